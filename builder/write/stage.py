"""Files on their way into a folder: made out of sight, then put in place by rename.

They lie in `.builder-tmp/` of the folder itself, on the same disk as their
places, in a folder of this run: a machine that was given up for dead and still
writes for an earlier one finds no place for that. A file whose folder is there
already is kept under a name made from its path; a new folder is put together
whole, so that it appears with all its files in one rename, and a first build
writes each file once and moves none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from builder.errors import LocalError

STAGE = ".builder-tmp"
_ROOT = {"": True, "..": True}  # folders that are there in any case


class Move(NamedTuple):
    """A staged file or folder, and the path that it is to have."""

    staged: str
    path: str


class Stage:
    """The stage of the folder `root`; workers write to it, their parent empties it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._place = f"{root}/{STAGE}/{os.urandom(6).hex()}"
        self._there = dict(_ROOT)
        self._made: set[str] = set()

    def open(self) -> None:
        """Make an empty stage, whatever was there."""
        self.close()
        os.mkdir(f"{self._root}/{STAGE}")  # nobody can have planted anything in what is new
        os.mkdir(self._place)
        for name in ("files", "new", "old"):
            os.mkdir(f"{self._place}/{name}")

    def close(self) -> None:
        """Remove the stage with all that is on it."""
        self._there, self._made = dict(_ROOT), set()
        stage = f"{self._root}/{STAGE}"
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.lstat(stage).st_mode):
                os.unlink(stage)
            shutil.rmtree(stage, ignore_errors=True)

    def place(self, path: str) -> str:
        """Return where the file is written that is to be at `path`."""
        folder = path.rpartition("/")[0]
        if path.startswith("../") or self._is_there(folder):
            mark = hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16)
            return f"{self._place}/files/{mark.hexdigest()}"
        self._make(folder)
        return f"{self._place}/new/{path}"

    def vacant(self, path: str) -> str:
        """Return a name beside the stage's own for what a worker that died had begun to make."""
        return f"{self.aside(path)}-{os.urandom(6).hex()}"

    def is_new(self, folder: str) -> bool:
        """Tell whether a folder is known not to be in the site yet."""
        return folder in self._made

    def moves(self, paths: Iterable[str]) -> list[Move]:
        """Return what puts the files of `paths`, and the new folders, in their places.

        Raises LocalError where a link is in the place of a folder.
        """
        found = [Move(self.place(path), path) for path in paths
                 if self._is_there(path.rpartition("/")[0]) or path.startswith("../")]  # fmt: skip
        return [*found, *self._new_folders("")]

    def aside(self, path: str) -> str:
        """Return a name for what has to leave `path` and is removed with the stage."""
        mark = hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16)
        return f"{self._place}/old/{mark.hexdigest()}"

    def _new_folders(self, inner: str) -> Iterator[Move]:
        with os.scandir(f"{self._place}/new/{inner}") as entries:
            for entry in entries:
                path = f"{inner}{entry.name}"
                if self._is_there(path):
                    yield from self._new_folders(f"{path}/")
                else:
                    yield Move(entry.path, path)

    def _is_there(self, folder: str) -> bool:
        """Tell whether a folder of the site is there; raises LocalError for a link."""
        if (known := self._there.get(folder)) is not None:
            return known
        found = self._is_there(folder.rpartition("/")[0]) and self._is_folder(folder)
        self._there[folder] = found
        return found

    def _is_folder(self, folder: str) -> bool:
        place = f"{self._root}/{folder}"
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            return False
        if stat.S_ISLNK(mode):
            message = f"{place}: is a link, and is not followed"
            raise LocalError(message, "remove it and build again")
        return stat.S_ISDIR(mode)

    def _make(self, folder: str) -> None:
        if not folder or folder in self._made:
            return
        self._make(folder.rpartition("/")[0])
        with suppress(FileExistsError):
            os.mkdir(f"{self._place}/new/{folder}")
        self._made.add(folder)
