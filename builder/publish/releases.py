"""Releases side by side in a server's folder, and the pointer to the current one.

blobs/sha256/<hex>     every file once, whichever releases have it
releases/7/            the tree of release 7, made of hard links into blobs/
releases/7.nginx/      the target's rules for it
releases/7.entries     what is in it: written last, so that a release without is half
current                a link to releases/7
current.nginx          a link to releases/7.nginx
.builder-publish       says that all of this is ours
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.errors import ContentError
from builder.output import Entry
from builder.publish.entries import (
    ENTRIES,
    count_own,
    damage,
    read_entries,
    read_maker,
    write_entries,
)
from builder.publish.release import RELEASE, Release, read_release
from builder.storage import LocalStorage
from builder.storage.local import (
    TEMPORARY,
    make_folder,
    sweep_folder,
    sync_disk,
    sync_folder,
    write_durably,
)

MARKER = ".builder-publish"
LOCK = ".builder-lock"
CURRENT = "current"
FEW_FOLDERS = 1000  # above, one wait for the whole disk is shorter than one for each folder
_READABLE = 0o044  # the bits that let the server's user read a file


@contextmanager
def readable() -> Iterator[None]:
    """Let everybody read what is made while the block runs: a server has a user of its own.

    The umask decides only who else may write. It is the whole process's.
    """
    before = os.umask(0o022)
    os.umask(before & 0o022)
    try:
        yield
    finally:
        os.umask(before)


class Releases:
    """A folder that releases are published to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = LocalStorage(root)
        self._folder = root / "releases"

    def check(self) -> None:
        """Raise ContentError for a folder that holds somebody else's files."""
        if not os.path.lexists(self.root):
            return
        if not self.root.is_dir():
            raise ContentError.at(str(self.root), "is not a folder", "name a new folder")
        if (self.root / MARKER).exists():
            return
        # A first run that was killed may have come no further than its lock.
        if any(not _is_begun(path.name) for path in self.root.iterdir()):
            message = (
                "is not empty and was not made by 'builder publish': nothing in it was touched"
            )
            raise ContentError.at(str(self.root), message, "publish to a new folder")

    def claim(self) -> None:
        """Make the folder ours, and remove what killed runs left; call with its lock held."""
        make_folder(self.root)
        marker = self.root / MARKER
        if not marker.exists():
            write_durably(marker, b"builder-publish 1\n")
        make_folder(self._folder)
        with suppress(PermissionError):  # somebody else's, who says who may read it
            _let_read(self._folder, _READABLE | 0o011)
        self.store.sweep()
        sweep_folder(self._folder)
        sweep_folder(self.root)
        complete = set(self.numbers())
        for path in self._folder.iterdir():
            number = path.name.partition(".")[0]
            if number.isdigit() and int(number) not in complete:
                _remove(path)

    def numbers(self) -> list[int]:
        """Return the complete releases, oldest first."""
        if not self._folder.is_dir():
            return []
        names = (path.name for path in self._folder.glob(f"*{ENTRIES}"))
        return sorted(int(stem) for name in names if (stem := name[: -len(ENTRIES)]).isdigit())

    def current(self) -> int:
        """Return the number of the release that is served, 0 for none."""
        try:
            name = os.readlink(self.root / CURRENT).rpartition("/")[2]
        except FileNotFoundError:
            return 0
        except OSError:
            message = "is not a symbolic link to a release"
            raise ContentError.at(str(self.root / CURRENT), message, "remove it") from None
        return int(name) if name.isdigit() else 0

    def tree(self, number: int) -> Path:
        """Return the folder of a release's files."""
        return self._folder / str(number)

    def release(self, number: int) -> Release:
        """Return what a release says of itself; raises ContentError when it is damaged."""
        path = self.tree(number) / RELEASE
        try:
            return read_release(path.read_bytes(), label=str(path))
        except FileNotFoundError:
            raise damage(path, self._list(number), "is missing") from None
        except ContentError as error:
            raise damage(path, self._list(number), error.problems[0].message) from None

    def entries(self, number: int) -> tuple[list[Entry], list[Entry]]:
        """Return the entries of a release: its own, and what it carries on of earlier ones.

        Raises ContentError when they are damaged.
        """
        return read_entries(self._list(number))

    def count(self, number: int) -> int:
        """Return how many files a release has of its own, without what it says of itself."""
        return count_own(self._list(number))

    def maker(self, number: int) -> str:
        """Return the text that tells which code made a release, for which host, and of what."""
        return read_maker(self._list(number))

    def _list(self, number: int) -> Path:
        """Return the file that says what is in a release."""
        return self._folder / f"{number}{ENTRIES}"

    def sealed(self, number: int) -> int:
        """Return when a release was complete, in nanoseconds: all of it was written before."""
        return self._list(number).stat().st_mtime_ns

    def make(
        self,
        number: int,
        *,
        maker: str,
        own: Iterable[Entry],
        carried: Iterable[Entry],
        beside: tuple[str, dict[str, bytes]],
        progress: Callable[[int], None],
    ) -> None:
        """Make a release of files that are all in the store; on return it survives a power cut."""
        rows = [*((entry, True) for entry in own), *((entry, False) for entry in carried)]
        try:
            self._make(number, rows, beside, progress)
            write_entries(self._list(number), maker, rows)
        except BaseException:
            self._remove_half(number)
            raise

    def _make(
        self,
        number: int,
        rows: Sequence[tuple[Entry, bool]],
        beside: tuple[str, dict[str, bytes]],
        progress: Callable[[int], None],
    ) -> None:
        temporary = self._folder / f"{TEMPORARY}{number}"
        temporary.mkdir()
        root, folders = os.fspath(temporary), {""}
        for count, (entry, _) in enumerate(rows, 1):
            if not entry.location:
                _make_above(root, entry.path, folders)
                self._place(entry, f"{root}/{entry.path}")
            progress(count)
        if len(folders) > FEW_FOLDERS:
            sync_disk(temporary)
        else:
            for folder in folders:
                sync_folder(temporary / folder)
        self.write_beside(number, *beside)
        temporary.rename(self.tree(number))

    def _remove_half(self, number: int) -> None:
        """Remove what there is of a release that could not be made, as far as the disk allows."""
        with suppress(OSError):
            sweep_folder(self._folder)
            for path in (self.tree(number), *self._folder.glob(f"{number}.*")):
                _remove(path)

    def _place(self, entry: Entry, path: str) -> None:
        held = self.store.name(entry.digest)
        try:
            _let_read(held, _READABLE)
            os.link(held, path, follow_symlinks=False)
        except FileNotFoundError:
            raise
        except OSError:  # too many links, a file system without them, or somebody else's file
            shutil.copyfile(held, path)
            with open(path, "rb") as file:
                os.fsync(file.fileno())

    def admit(self, number: int, entries: Iterable[Entry]) -> list[Entry]:
        """Add content to a release that is served; return what it did not have.

        While a server changes over from one release to the next, a client can
        read a name from the new one and then be answered by the old one.
        """
        tree, folders = os.fspath(self.tree(number)), {""}
        added = [entry for entry in entries if not os.path.lexists(f"{tree}/{entry.path}")]
        for entry in added:
            if not entry.location:
                _make_above(tree, entry.path, folders)
                self._place(entry, f"{tree}/{entry.path}")
        return added

    def write_beside(self, number: int, target: str, files: dict[str, bytes]) -> None:
        """Write the rules that lie beside a release, each file in one moment."""
        for path, data in files.items():
            final = self._folder / f"{number}.{target}" / path
            make_folder(final.parent)
            write_durably(final, data)

    def point(self, number: int, target: str) -> None:
        """Make a release the current one: its rules first, then its files."""
        if self.tree(number).with_name(f"{number}.{target}").is_dir():
            self._flip(f"{CURRENT}.{target}", f"releases/{number}.{target}")
        self._flip(CURRENT, f"releases/{number}")
        sync_folder(self.root)

    def _flip(self, name: str, to: str) -> None:
        temporary = self.root / f"{TEMPORARY}{name}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(to)
        try:
            temporary.rename(self.root / name)
        except OSError:
            temporary.unlink()
            raise

    def made(self) -> list[tuple[int, float]]:
        """Return the complete releases, oldest first, and when each was made, in seconds."""
        return [(number, self._list(number).stat().st_mtime) for number in self.numbers()]

    def prune(self, numbers: Iterable[int]) -> None:
        """Remove releases, then the blobs that none of the others has."""
        for number in numbers:
            self._list(number).unlink()
            for path in self._folder.glob(f"{number}.*"):
                _remove(path)
            _remove(self.tree(number))
        needed = {
            entry.digest
            for number in self.numbers()
            for entries in self.entries(number)
            for entry in entries
        }
        for stored in list(self.store.list()):
            if stored.digest not in needed:
                self.store.delete(stored.digest)


def _is_begun(name: str) -> bool:
    """Tell whether a run makes a file of this name before it marks the folder as ours."""
    return name == LOCK or name.startswith(TEMPORARY)


def _let_read(path: str | Path, bits: int) -> None:
    """Add permissions to what a stricter umask has hidden; raises PermissionError."""
    found = os.lstat(path).st_mode
    if found & bits != bits and not stat.S_ISLNK(found):
        os.chmod(path, stat.S_IMODE(found) | bits)


def _make_above(root: str, path: str, made: set[str]) -> None:
    folder = path.rpartition("/")[0]
    if folder not in made:
        os.makedirs(f"{root}/{folder}", exist_ok=True)
        while folder not in made:
            made.add(folder)
            folder = folder.rpartition("/")[0]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
