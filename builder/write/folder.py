"""The destination folder: whose it is, what is in it, and how a new tree takes its place.

A destination carries `.builder-site`, which lists the paths that were written
here. Its first line holds the identity of the tree, or dashes while a new one
is put in place: a build that was killed there is seen by the next, which then
compares every file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.errors import ContentError, LocalError
from builder.output import MARKER, File
from builder.storage.local import CHUNK, LINK_ABOVE, changed_at, new_file, open_regular
from builder.write.destination import Change
from builder.write.record import Record
from builder.write.stage import STAGE, Move, Stage

_HEADER = b"builder-site 1 "
_WRITING = b"-" * 32
_MANY = 1000  # files to hash again that make it worth while to say when that was done


class Folder:
    """A destination that we may write to."""

    beside = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self._place = str(root)  # for what is done for every file
        self._stage = Stage(str(root))
        self._made: list[Path] = []

    def claim(self) -> None:
        """Make the folder ours; raises ContentError when it holds somebody else's files."""
        if self.root.is_symlink() or (self.root.exists() and not self.root.is_dir()):
            raise ContentError.at(
                str(self.root), "is not a folder, so no site can be written to it"
            )
        if os.path.lexists(self.root / MARKER) or not self.root.exists():
            return
        if any(name != STAGE for name in os.listdir(self.root)):
            message = "is not empty and was not made by builder: nothing in it was touched"
            hint = "choose another --destination, or empty the folder yourself"
            raise ContentError.at(str(self.root), message, hint)

    def is_at(self, identity: str) -> bool:
        """Tell whether the marker carries the identity of a tree."""
        marker = self.root / MARKER
        if not identity or not os.path.lexists(marker):
            return False
        with open_regular(marker, str(marker)) as file:
            return file.readline(64) == _HEADER + identity.encode() + b"\n"

    def noted(self) -> set[str]:
        """Return all paths that the marker lists."""
        return set(self._noted())

    def _noted(self) -> list[str]:
        marker = self.root / MARKER
        if not os.path.lexists(marker):
            return []
        with open_regular(marker, str(marker)) as file:
            return [path for path in file.read().decode("utf-8", "replace").split("\n")[1:] if path]

    def damaged(self, record: Record) -> set[str]:
        """Return what is gone, or changed since the marker was written and has other bytes now."""
        began = time.time_ns()
        sealed = os.lstat(self.root / MARKER).st_mtime_ns
        if sealed > began:  # the clock was set back: no time can be believed
            sealed = 0
        suspects = self._touched(self._noted(), sealed)
        found = {path for path in suspects if not self._is_sound(path, record)}
        if not found and len(suspects) > _MANY:
            os.utime(self.root / MARKER, ns=(began, began), follow_symlinks=False)
        return found

    def _touched(self, paths: Iterable[str], sealed: int) -> list[str]:
        """Return which paths have no file, or one that was changed at `sealed` or later."""
        found = []
        root = os.open(self._place, os.O_PATH | os.O_DIRECTORY)  # found faster from there
        try:
            for path in paths:
                try:
                    state = os.lstat(path, dir_fd=root)
                except (FileNotFoundError, NotADirectoryError):
                    found.append(path)
                    continue
                if changed_at(state) >= sealed or not stat.S_ISREG(state.st_mode):
                    found.append(path)
        finally:
            os.close(root)
        return found

    def _is_sound(self, path: str, record: Record) -> bool:
        known = record.digest_of(path)
        return known is None or self.holds(path, *known)

    def open(self, record: Record) -> None:
        """Make the stage."""
        del record
        with told(self.root):
            missing = [path for path in (self.root, *self.root.parents) if not path.exists()]
            self.root.mkdir(parents=True, exist_ok=True)
            self._made = missing
            self._stage.open()

    def discard(self) -> None:
        """Remove the stage, and the folder if it came with it, here or in a run that was killed."""
        came = [*self._made]
        if self.root.is_dir() and not self.root.is_symlink():
            if os.listdir(self.root) == [STAGE]:
                came.insert(0, self.root)
            self._stage.close()
        for path in came:
            with suppress(OSError):
                path.rmdir()
        self._made = []

    def holds(self, path: str, digest: str, size: int) -> bool:
        """Tell whether the file at `path` has these bytes."""
        if self._stage.is_new(path.rpartition("/")[0]):
            return False
        file = f"{self._place}/{path}"
        try:
            found = os.lstat(file)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        algorithm, _, encoded = digest.partition(":")
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest() == encoded

    def write(self, path: str, data: bytes, digest: str) -> None:
        """Stage the bytes that are to be at `path`."""
        del digest
        try:
            write_new(self._stage.place(path), data)
        except FileExistsError:
            with self._vacant(path) as place:
                write_new(place, data)
        except OSError as error:
            raise _cannot(f"{self._place}/{path}", error) from error

    def link(self, path: str, file: File) -> None:
        """Stage a file that is to be at `path`: a hard link where it is large, else a copy."""
        with self._vacant(path) as place:
            if file.size <= LINK_ABOVE or not linked(file.path, place):
                copy_new(file, place, self.root / path)

    def stream(self, path: str, chunks: Iterable[bytes], size: int) -> tuple[str, bool]:
        """Stage what is streamed; return its digest, and whether that is new at `path`."""
        with self._vacant(path) as place:
            digest = write_chunks(place, chunks)
        if self.holds(path, digest, size):
            os.unlink(self._stage.place(path))
            return digest, False
        return digest, True

    @contextmanager
    def _vacant(self, path: str) -> Iterator[str]:
        """Give a name to make the staged file of `path` under; where it is new that is its own.

        A worker that died may have left one, whole or not: it is replaced at once.
        """
        staged = self._stage.place(path)
        if not os.path.lexists(staged):
            yield staged
            return
        vacant = self._stage.vacant(path)
        yield vacant
        os.replace(vacant, staged)

    def publish(self, change: Change, commit: Callable[[], None]) -> None:
        """Put what is staged in place, content before names before pages, removals last.

        Raises ContentError, LocalError before anything is touched where
        something else is in the way.
        """
        moves = sorted(self._stage.moves(change.written), key=lambda move: _order_of(move.path))
        for move in moves:
            self._check_way(move, change.gone)
        try:
            self._announce(change.fresh)
            for move in moves:
                self._move(move)
            for path in sorted(change.gone, key=_order_of, reverse=True):
                self._remove(path)
            self._stage.close()
            commit()
            self._seal(change)
        except OSError as error:
            hint = "the site is only partly updated: build again to repair it"
            raise LocalError.of(error, error.filename or self.root, hint) from error
        self._made = []

    def _check_way(self, move: Move, gone: Collection[str]) -> None:
        """Refuse to put a file over a folder, or a folder over a file, that is not ours."""
        final = f"{self.root}/{move.path}"
        try:
            found = os.lstat(final).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
        foreign = ""
        if stat.S_ISDIR(os.lstat(move.staged).st_mode):
            foreign = "" if move.path in gone else move.path
        elif stat.S_ISDIR(found):
            below = (f"{move.path}/{path}" for path in _files_below(final))
            foreign = next((path for path in below if path not in gone), "")
        if foreign:
            message = f"{self.root}/{foreign}: is where the site has to be written"
            raise LocalError(message, "it was not made by builder: move it away and build again")

    def _announce(self, fresh: Collection[str]) -> None:
        """Say in the marker that a build is writing, and what, so that nothing is ever orphaned."""
        marker = self.root / MARKER
        if not os.path.lexists(marker):
            os.close(new_file(marker))  # ours from the first moment, if empty
        self._head(_WRITING, "".join(f"{path}\n" for path in sorted(fresh)))

    def _head(self, identity: bytes, lines: str = "") -> None:
        """Write the first line of the marker over the one that is there, and `lines` at its end."""
        descriptor = os.open(self.root / MARKER, os.O_WRONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_HEADER + identity + b"\n")
            file.seek(0, os.SEEK_END)
            file.write(lines.encode("utf-8", "surrogateescape"))

    def _seal(self, change: Change) -> None:
        """Say in the marker which tree this is, and which files it has."""
        if not (change.fresh or change.gone):
            self._head(change.identity.encode())
            return
        text = "".join(f"{path}\n" for path in change.paths())
        temporary = self.root / f"{MARKER}.new"
        with os.fdopen(new_file(temporary), "wb") as file:
            file.write(_HEADER + change.identity.encode() + b"\n" + text.encode())
        temporary.replace(self.root / MARKER)

    def _move(self, move: Move) -> None:
        final = f"{self.root}/{move.path}"
        if move.path.startswith("../"):
            Path(final).parent.mkdir(exist_ok=True)
        try:
            os.replace(move.staged, final)
        except IsADirectoryError:  # of an older tree, where a file is needed now
            os.rename(final, self._stage.aside(move.path))
            os.replace(move.staged, final)
        except NotADirectoryError:  # a file of an older tree, where a folder is needed now
            os.unlink(final)
            os.rename(move.staged, final)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_beside(move.staged, Path(final))

    def _remove(self, path: str) -> None:
        """Remove the file at `path` and the folders that are empty without it."""
        if not (is_inside(path) or self._is_beside(path)):
            return
        file = self.root / path
        try:
            file.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        for parent in file.parents:
            if parent in (self.root, self.root.parent, self.root / ".."):
                break
            try:
                parent.rmdir()
            except OSError:  # not empty: done
                break

    def _is_beside(self, path: str) -> bool:
        beside = path.removeprefix("../")
        return beside != path and is_inside(beside) and beside.startswith(f"{self.root.name}.")


def is_inside(path: str) -> bool:
    """Tell whether an output path stays inside its folder."""
    return bool(path) and not path.startswith("/") and not {"", ".", ".."} & set(path.split("/"))


def _order_of(path: str) -> tuple[int, str]:
    """Return when a file or folder comes: a client may be in the middle of a pull.

    Content is there before a manifest names it, manifests before tags, tags
    before the lists of them, and pages come last. What goes, goes the other way.
    """
    if path != "v2" and not path.startswith("v2/"):
        return 4, path
    name = path.rpartition("/")[2]
    if name in ("_catalog", "_tags", "list"):
        return 3, path
    if "/blobs/" in f"{path}/":
        return 0, path
    return (1 if ":" in name else 2), path


def write_new(path: str, data: bytes) -> None:
    """Write a file that is not there yet."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def copy_new(file: File, path: str, label: Path) -> None:
    """Copy a file to where none is yet; `label` is what cannot be made if that fails."""
    with open_regular(file.path, str(file.path)) as source, told(label), open(path, "xb") as target:
        shutil.copyfileobj(source, target, CHUNK)


def write_chunks(path: str, chunks: Iterable[bytes]) -> str:
    """Write a file that is not there yet, piece by piece; return its digest."""
    total = hashlib.sha256()
    with open(path, "xb") as file:
        for chunk in chunks:
            total.update(chunk)
            file.write(chunk)
    return f"sha256:{total.hexdigest()}"


def linked(source: Path, target: str) -> bool:
    """Give a file one more name; tell whether it can have one."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk, too many links, or a file system without them
        return False
    return True


def _files_below(folder: str) -> Iterator[str]:
    for where, _, names in os.walk(folder):
        inner = os.path.relpath(where, folder)
        yield from (name if inner == "." else f"{inner}/{name}" for name in names)


def _copy_beside(staged: str, final: Path) -> None:
    """Put a file in place that lies on another disk."""
    temporary = final.with_name(f".{final.name}.new")
    with open(staged, "rb") as source, os.fdopen(new_file(temporary), "wb") as target:
        shutil.copyfileobj(source, target)
    temporary.replace(final)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Say which file of the site could not be made."""
    try:
        yield
    except OSError as error:
        raise _cannot(str(path), error) from error


def _cannot(path: str, error: OSError) -> LocalError:
    hint = "nothing was changed: make room, or choose another --destination"
    return LocalError.of(error, path, hint)
