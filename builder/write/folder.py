"""The destination folder: whose it is, and how a file gets into it.

A destination carries `.builder-site`, which lists the paths that were written
here. Its first line holds the identity of the tree, or dashes while a build
is writing: a build that was killed is seen by the next, which then compares
every file. Each file is replaced by rename.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.errors import ContentError, LocalError
from builder.output import MARKER
from builder.storage.local import CHUNK, new_file, open_regular

_TEMPORARY = ".builder-tmp"
_HEADER = b"builder-site 1 "
_WRITING = b"-" * 32
LINK_ABOVE = 1 << 20  # bytes; smaller blobs are copied, so that nobody shares an inode with git


class Folder:
    """A destination that we may write to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known_folders: set[str] = set()
        self._count = 0

    def claim(self) -> str:
        """Make the folder ours; return the identity that its marker carries, empty if none.

        Raises ContentError for a folder that holds somebody else's files.
        """
        marker = self.root / MARKER
        if self.root.is_symlink() or (self.root.exists() and not self.root.is_dir()):
            raise ContentError.at(
                str(self.root), "is not a folder, so no site can be written to it"
            )
        if not os.path.lexists(marker):
            if self.root.exists() and any(self.root.iterdir()):
                message = "is not empty and was not made by builder: nothing in it was touched"
                hint = "choose another --destination, or empty the folder yourself"
                raise ContentError.at(str(self.root), message, hint)
            return ""
        with open_regular(marker, str(marker)) as file:
            line = file.readline(64).rstrip(b"\n")
        held = line.removeprefix(_HEADER)
        return "" if held in (line, _WRITING) else held.decode("ascii", "replace")

    def start(self) -> None:
        """Say in the marker that a build is writing."""
        self.root.mkdir(parents=True, exist_ok=True)
        with _opened(self.root) as folder:
            if not os.path.lexists(self.root / MARKER):
                os.close(new_file(MARKER, folder))  # ours from the first moment, if empty
            self._write_header(_WRITING)
            with suppress(FileExistsError):
                os.mkdir(_TEMPORARY, dir_fd=folder)

    def note(self, paths: Iterable[str]) -> None:
        """Add paths to the marker before they are written, so that none is ever orphaned."""
        lines = "".join(f"{path}\n" for path in paths)
        if lines:
            with (self.root / MARKER).open("ab", buffering=0) as file:
                file.write(lines.encode())

    def noted(self) -> set[str]:
        """Return all paths that the marker lists."""
        marker = self.root / MARKER
        if not marker.exists():
            return set()
        return set(marker.read_text("utf-8", "replace").split("\n")[1:]) - {""}

    def finish(self, identity: str, paths: Iterable[str] | None) -> None:
        """Say in the marker which tree this is; `paths` replaces its list unless None."""
        shutil.rmtree(self.root / _TEMPORARY, ignore_errors=True)
        if paths is None:
            self._write_header(identity.encode())
            return
        lines = "".join(f"{path}\n" for path in paths)
        text = _HEADER + identity.encode() + b"\n" + lines.encode()
        with _opened(self.root) as folder:
            _replace(folder, MARKER, text)

    def _write_header(self, value: bytes) -> None:
        descriptor = os.open(self.root / MARKER, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, _HEADER + value + b"\n", 0)
        finally:
            os.close(descriptor)

    def holds(self, path: str, data: bytes) -> bool:
        """Tell whether the file at `path` has exactly these bytes."""
        file = self.root / path
        try:
            found = os.lstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size != len(data):
                return False
            return file.read_bytes() == data
        except (FileNotFoundError, NotADirectoryError):
            return False

    def holds_blob(self, path: str, digest: str, size: int) -> bool:
        """Tell whether the file at `path` has this digest."""
        file = self.root / path
        try:
            found = os.lstat(file)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        algorithm, _, encoded = digest.partition(":")
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest() == encoded

    def write(self, path: str, data: bytes) -> None:
        """Put `data` at `path`."""
        with self._unfinished() as (folder, name):
            with os.fdopen(new_file(name, folder), "wb") as file:
                file.write(data)
            self._place(folder, name, path)

    def write_blob(self, path: str, source: Path, size: int) -> None:
        """Put the file `source` at `path`: a hard link where it is large, else a copy."""
        with self._unfinished() as (folder, name):
            if size <= LINK_ABOVE or not _link(source, name, folder):
                with source.open("rb") as held, os.fdopen(new_file(name, folder), "wb") as file:
                    shutil.copyfileobj(held, file, CHUNK)
            self._place(folder, name, path)

    def write_stream(self, path: str, chunks: Iterable[bytes], size: int) -> tuple[str, bool]:
        """Put what is streamed at `path`; return its digest, and whether that is new there."""
        total = hashlib.sha256()
        with self._unfinished() as (folder, name):
            with os.fdopen(new_file(name, folder), "wb") as file:
                for chunk in chunks:
                    total.update(chunk)
                    file.write(chunk)
            digest = f"sha256:{total.hexdigest()}"
            if self.holds_blob(path, digest, size):
                os.unlink(name, dir_fd=folder)
                return digest, False
            self._place(folder, name, path)
        return digest, True

    def remove(self, path: str) -> None:
        """Remove the file at `path` and the folders that are empty without it."""
        if not is_inside(path):
            return
        file = self.root / path
        try:
            file.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        for parent in file.relative_to(self.root).parents:
            if parent == Path():
                break
            try:
                (self.root / parent).rmdir()
            except OSError:  # not empty: done
                break

    @contextmanager
    def _unfinished(self) -> Iterator[tuple[int, str]]:
        """Open the folder of unfinished files; yield its descriptor and a name in it."""
        self._count += 1
        with _opened(self.root / _TEMPORARY) as folder:
            yield folder, f"{os.getpid()}-{self._count}"

    def _place(self, folder: int, name: str, path: str) -> None:
        self._ensure(path.rpartition("/")[0])
        final = f"{self.root}/{path}"
        try:
            os.replace(name, final, src_dir_fd=folder)
        except IsADirectoryError:
            message = f"{final}: a folder is in the way of a file"
            raise LocalError(message, "remove the folder and build again") from None

    def _ensure(self, folder: str) -> None:
        """Make a folder and its parents, refusing to write through a link."""
        if not folder or folder in self._known_folders:
            return
        self._ensure(folder.rpartition("/")[0])
        place = f"{self.root}/{folder}"
        try:
            os.mkdir(place)
        except FileExistsError:
            mode = os.lstat(place).st_mode
            if stat.S_ISREG(mode):  # a file of an older tree stands where a folder is needed now
                os.unlink(place)
                os.mkdir(place)
            elif not stat.S_ISDIR(mode):
                hint = "remove it and build again"
                raise LocalError(f"{place}: is a link, and is not followed", hint) from None
        self._known_folders.add(folder)


def is_inside(path: str) -> bool:
    """Tell whether an output path stays inside its folder."""
    return bool(path) and not path.startswith("/") and not {"", ".", ".."} & set(path.split("/"))


def write_beside(destination: Path, target: str, files: Mapping[str, bytes]) -> None:
    """Write a target's files to `<destination>.<target>/`, leaving equal ones alone."""
    beside = destination.with_name(f"{destination.name}.{target}")
    for path, data in files.items():
        file = beside / path
        if file.is_file() and not file.is_symlink() and file.read_bytes() == data:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        with _opened(file.parent) as folder:
            _replace(folder, file.name, data)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a folder to write in; raises LocalError where a link was planted in its place."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        message = f"{path}: is a link or a file, and is not followed"
        raise LocalError(message, "remove it and build again") from None
    try:
        yield folder
    finally:
        os.close(folder)


def _replace(folder: int, name: str, data: bytes) -> None:
    """Put `data` at `name` in an open folder, in one moment."""
    temporary = f".{name.lstrip('.')}.new"
    with os.fdopen(new_file(temporary, folder), "wb") as file:
        file.write(data)
    os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _link(source: Path, name: str, folder: int) -> bool:
    """Give a file one more name; tell whether it can have one."""
    try:
        os.link(source, name, dst_dir_fd=folder, follow_symlinks=False)
    except OSError:  # another disk, too many links, or a file system without them
        return False
    return True
