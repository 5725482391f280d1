"""A built site as a map of paths: the record says what there is, the folder has the bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from builder.output import Entry
from builder.storage.local import open_regular
from builder.write.objects import Objects
from builder.write.record import Record


class BuiltSite:
    """The published map of a destination, read while nothing writes to it."""

    def __init__(self, root: Path, record: Path) -> None:
        self._root = root
        self._record = Record(record)

    def find(self, path: str) -> Entry | None:
        """Return the entry published at exactly `path`, if any."""
        return self._record.find(path)

    def open(self, entry: Entry) -> BinaryIO:
        """Open an entry's bytes, never through a link; raises FileNotFoundError."""
        folder, path = self._root, entry.copy_of or entry.path
        for part in path.split("/")[:-1]:
            folder = folder / part
            if os.path.islink(folder):
                raise FileNotFoundError(entry.path)
        return open_regular(folder / path.rpartition("/")[2], entry.path)

    def under(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries below `prefix`, in byte order of their paths."""
        return self._record.under(prefix)

    def content(self) -> Iterator[Entry]:
        """Yield the entries of all but what the target added, in byte order of their paths."""
        return self._record.content()

    def key(self) -> str:
        """Return what identifies the files of the site, and what each of them was made from."""
        return self._record.key()

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield path and size of every file of the content."""
        return self._record.sizes()

    def close(self) -> None:
        """Close the record."""
        self._record.close()


class PreviewSite(BuiltSite):
    """The map that a preview had when this was made, whatever is built since."""

    def __init__(self, objects: Objects, record: Path) -> None:
        super().__init__(objects.root, record)
        self._record.freeze()
        self._objects = objects

    def open(self, entry: Entry) -> BinaryIO:
        """Open an entry's bytes; raises FileNotFoundError."""
        return open_regular(self._objects.path(entry.digest), entry.path)

    def sweep(self) -> None:
        """Remove the bodies that this map does not name; call while nothing is building."""
        self._objects.sweep(digest for _, digest in self._record.digests())
