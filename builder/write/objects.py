"""What `serve` answers from: every body under its digest, and a map that changes in one moment.

Nothing that is being served is ever written over. The record is the map; its
commit lets a new site be seen, whole, and who reads the record of before has
all bodies of before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from builder.errors import ContentError
from builder.output import File
from builder.storage.local import LINK_ABOVE, new_file
from builder.write.destination import Change
from builder.write.folder import copy_new, linked, told, write_chunks, write_new
from builder.write.record import Record

_MARKER = ".builder-preview"
_UNFINISHED = ".unfinished"
_FOLDERS = tuple(f"{number:02x}" for number in range(256))


class Objects:
    """Bodies below `root`, in folders by the first two digits of their digests."""

    beside = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self._opened = False
        self._count = 0

    def path(self, digest: str) -> Path:
        """Return where the body of a digest is or would be."""
        return self.root / _name(digest)

    def claim(self) -> None:
        """Raise ContentError for a folder that holds something else."""
        if self.root.is_symlink() or (self.root.exists() and not self.root.is_dir()):
            raise ContentError.at(
                str(self.root), "is not a folder, so no preview can be kept in it"
            )
        if self.root.exists() and not (self.root / _MARKER).exists() and any(self.root.iterdir()):
            message = "is not empty and holds no preview: nothing in it was touched"
            hint = "'builder serve' keeps more than the site there: choose another --destination"
            raise ContentError.at(str(self.root), message, hint)

    def is_at(self, identity: str) -> bool:
        """Tell whether there is a preview: the record says which."""
        return bool(identity) and (self.root / _MARKER).exists()

    def damaged(self, record: Record) -> set[str]:
        """Return, once in a process, what has no body."""
        if self._opened:
            return set()
        there = set(self._names())
        return {path for path, digest in record.digests() if _name(digest) not in there}

    def noted(self) -> set[str]:
        """Return nothing: what has no name in the record is not seen."""
        return set()

    def open(self, record: Record) -> None:
        """Make the folders that are missing."""
        del record
        if not self._opened:
            with told(self.root):
                self.root.mkdir(parents=True, exist_ok=True)
                if not (self.root / _MARKER).exists():
                    os.close(new_file(self.root / _MARKER))
                shutil.rmtree(self.root / _UNFINISHED, ignore_errors=True)
                for name in (_UNFINISHED, *_FOLDERS):
                    (self.root / name).mkdir(exist_ok=True)
        self._opened = True

    def sweep(self, wanted: Iterable[str]) -> None:
        """Remove all bodies but those of the digests `wanted`; nothing may be building."""
        names = set(map(_name, wanted))
        for name in self._names():
            if name not in names:
                (self.root / name).unlink(missing_ok=True)

    def _names(self) -> Iterator[str]:
        for folder in _FOLDERS:
            with suppress(FileNotFoundError):
                yield from (f"{folder}/{name}" for name in os.listdir(self.root / folder))

    def holds(self, path: str, digest: str, size: int) -> bool:
        """Tell whether the body of a digest is here."""
        del path
        try:
            return os.lstat(self.path(digest)).st_size == size
        except FileNotFoundError:
            return False

    def write(self, path: str, data: bytes, digest: str) -> None:
        """Keep a body under its digest."""
        if not self.holds(path, digest, len(data)):
            with told(self.root):
                temporary = self._temporary()
                write_new(temporary, data)
                os.replace(temporary, self.path(digest))

    def link(self, path: str, file: File) -> None:
        """Keep a file under its digest: a hard link where it is large, else a copy."""
        if self.holds(path, file.digest, file.size):
            return
        temporary = self._temporary()
        if file.size <= LINK_ABOVE or not linked(file.path, temporary):
            copy_new(file, temporary, self.root)
        os.replace(temporary, self.path(file.digest))

    def stream(self, path: str, chunks: Iterable[bytes], size: int) -> tuple[str, bool]:
        """Keep what is streamed; return its digest, and whether it was not here yet."""
        temporary = self._temporary()
        digest = write_chunks(temporary, chunks)
        is_new = not self.holds(path, digest, size)
        os.replace(temporary, self.path(digest))
        return digest, is_new

    def publish(self, change: Change, commit: Callable[[], None]) -> None:
        """Let the record be seen; the bodies are here."""
        del change
        commit()

    def discard(self) -> None:
        """Leave what was made: the next build wants most of it."""

    def _temporary(self) -> str:
        self._count += 1
        return f"{self.root}/{_UNFINISHED}/{os.uname().nodename}-{os.getpid()}-{self._count}"


class Part(Objects):
    """The files of a part of a site, which another machine puts together with the other parts."""

    def claim(self) -> None:
        """Empty what an earlier build made; raises ContentError for a folder with anything else."""
        if not os.path.lexists(self.root):
            return
        ours = self.root.is_dir() and not self.root.is_symlink()
        if not ours or ((there := os.listdir(self.root)) and _MARKER not in there):
            message = "is not empty and holds no shard: nothing in it was touched"
            raise ContentError.at(str(self.root), message, "choose another --destination")
        shutil.rmtree(self.root)


def _name(digest: str) -> str:
    encoded = digest.rpartition(":")[2]
    return f"{encoded[:2]}/{encoded[2:]}"
