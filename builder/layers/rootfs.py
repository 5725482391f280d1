"""The root filesystem that the layers of an image make together.

The same paths that unpacking them would put on a disk, without a disk: the
rules are those of image-spec `layer.md`, "Changeset over existing files" and
"Whiteouts", and where these are silent what umoci does. An SQLite database
holds them, which moves to an unnamed temporary file when it outgrows its
memory: an image can have millions of files.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

from builder.errors import ContentError
from builder.layers.listing import FileEntry, Listing

MAX_LINKS = 255  # on the way to one file, as umoci has it
MAX_STEPS = 1 << 20  # along paths, and so many more for each entry:
_STEPS = 64
_REMEMBERED = 10_000  # folders
_MEMORY = 32 << 20
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE files (
  path TEXT PRIMARY KEY, kind TEXT, size INT, mode INT, offset INT, target TEXT, pieces TEXT,
  layer INT,  -- whose bytes these are
  touched INT -- by which layer last: what a layer brought, its own whiteouts leave
) WITHOUT ROWID
"""
# What is at a path and below it: '0' is what follows '/' in order.
_REMOVE = "DELETE FROM files WHERE (path = ?1 OR path > ?1 || '/' AND path < ?1 || '0')"
_REMOVE_LOWER = _REMOVE + " AND touched < ?2"
_CLEAR_LOWER = "DELETE FROM files WHERE path > ?1 || '/' AND path < ?1 || '0' AND touched < ?2"
_CLEAR_ROOT = "DELETE FROM files WHERE ?1 = '' AND touched < ?2"
_REPLACE = "REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD = "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TOTAL = "SELECT count(*) FROM files WHERE kind IN ('f', 'h')"
_BYTES = """
SELECT coalesce(sum(size), 0) FROM
  (SELECT DISTINCT layer, offset, size FROM files WHERE kind IN ('f', 'h') AND offset)
"""
_LARGEST = "SELECT * FROM files WHERE kind = 'f' ORDER BY size DESC, path LIMIT ?"


class Found(NamedTuple):
    """A path of an image: whose layer's bytes it has, counted from 0, and its entry."""

    layer: int
    entry: FileEntry


class LinkError(Exception):
    """Links that lead in a circle."""


class RootFS:
    """Layers are applied to it, the lowest first; then it is asked what is there.

    `label` names the image where its links cannot be followed in sensible time.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._steps = MAX_STEPS
        self._sql = sqlite3.connect("", isolation_level=None)
        self._sql.executescript(f"{_SCHEMA}; PRAGMA cache_size = {-_MEMORY >> 10}; BEGIN")
        self._folders: dict[str, str] = {}  # where names of folders have led since the last link
        self._layer = -1

    @classmethod
    def of(cls, layers: Iterable[Listing | None], label: str) -> Self:
        """Return what layers make; those without a listing bring nothing."""
        found = cls(label)
        for listing in layers:
            found.apply(listing.entries() if listing else ())
        return found

    def __del__(self) -> None:
        self._sql.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sql.close()

    def apply(self, entries: Iterable[FileEntry]) -> None:
        """Put the entries of one more layer on top, in the layer's order."""
        self._layer += 1
        self._folders.clear()
        for entry in entries:
            self._steps += _STEPS
            if entry.kind == "o":
                self._clear(self._resolved(entry.path), itself=False)
                continue
            folder, _, name = entry.path.rpartition("/")
            if entry.kind == "w":
                self._clear(self.place(entry.path), itself=True)
            else:
                self._put(_join(self._folder(folder), name), entry)

    def entries(self) -> Iterator[Found]:
        """Yield all that is there, in byte order of the paths."""
        yield from map(_found, self._sql.execute("SELECT * FROM files ORDER BY path"))

    def largest(self, count: int) -> list[Found]:
        """Return the largest files."""
        return list(map(_found, self._sql.execute(_LARGEST, (count,))))

    def total(self) -> tuple[int, int]:
        """Return how many paths are files, and the bytes in them, of hard links once."""
        (count,) = self._sql.execute(_TOTAL).fetchone()
        (size,) = self._sql.execute(_BYTES).fetchone()
        return count, size

    def find(self, path: str) -> Found | None:
        """Return what a path leads to, through links inside the image; raises LinkError."""
        return self.at(self.resolve(path))

    def resolve(self, path: str) -> str:
        """Return where a path leads, whether something is there or not; raises LinkError.

        Links never lead out: the image's root is the root.
        """
        at, hops = "", 0
        rest = path.split("/")[::-1]
        while rest:
            name = rest.pop()
            self._steps -= 1
            if self._steps < 0:
                raise ContentError.at(self._label, "its layers have too many links to follow")
            if name == "..":
                at = at.rpartition("/")[0]
            elif name not in ("", "."):
                at = _join(at, name)
                row = self._row(at)
                if row and row[0] == "l":
                    if (hops := hops + 1) > MAX_LINKS:
                        raise LinkError(path)
                    at = "" if row[1].startswith("/") else at.rpartition("/")[0]
                    rest += row[1].split("/")[::-1]
        return at

    def at(self, path: str) -> Found | None:
        """Return what is at a path, which no link leads to."""
        row = self._sql.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
        return _found(row) if row else None

    def _row(self, path: str) -> tuple[str, str] | None:
        query = "SELECT kind, target FROM files WHERE path = ?"
        row: tuple[str, str] | None = self._sql.execute(query, (path,)).fetchone()
        return row

    def place(self, path: str) -> str:
        """Return the path itself where links lead to its folder, not what it may be a link to."""
        folder, _, name = path.rpartition("/")
        return _join(self._resolved(folder), name)

    def _resolved(self, folder: str) -> str:
        """Return where a name of a folder leads; as it stands if in a circle."""
        try:
            return self.resolve(folder)
        except LinkError:
            return folder

    def _folder(self, folder: str) -> str:
        """Return where a folder's name leads, and make it and those above it where they lack."""
        if (known := self._folders.get(folder)) is not None:
            return known
        found = self._resolved(folder)
        at = ""
        for name in found.split("/") if found else ():
            at = _join(at, name)
            row = self._row(at)
            if row is None or row[0] != "d":
                self._put(at, FileEntry(at, "d", 0, 0o755, 0))
            self._sql.execute("UPDATE files SET touched = ? WHERE path = ?", (self._layer, at))
        if len(self._folders) == _REMEMBERED:
            self._folders.clear()
        self._folders[folder] = found
        return found

    def _put(self, path: str, entry: FileEntry) -> None:
        """Put an entry at a path whose folder is there; only a folder leaves what is there."""
        layer = self._layer
        if entry.kind == "h":
            self._remove(path)
            layer, entry = self._linked(entry)
        pieces = None if entry.pieces is None else json.dumps(entry.pieces)
        values = (path, *entry[1:6], pieces, layer, self._layer)
        if self._sql.execute(_ADD, values).rowcount:
            return
        row = self._row(path)
        if row is None or row[0] != "d" or entry.kind != "d":
            self._remove(path)
        self._sql.execute(_REPLACE, values)

    def _remove(self, path: str) -> None:
        if self._sql.execute(_REMOVE, (path,)).rowcount:
            self._folders.clear()

    def _linked(self, link: FileEntry) -> Found:
        """Return a hard link as what it is one more name of, if that is there."""
        there = self.at(self.place(link.target))
        if there is None or there.entry.kind == "d":
            return Found(self._layer, link)
        if there.entry.kind in "fh":
            return Found(there.layer, there.entry._replace(kind="h", target=link.target))
        return there

    def _clear(self, path: str, *, itself: bool) -> None:
        """Remove what lower layers have at and below a path."""
        lower = _CLEAR_LOWER if path else _CLEAR_ROOT
        query = _REMOVE_LOWER if itself else lower
        if self._sql.execute(query, (path, self._layer)).rowcount:
            self._folders.clear()


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _found(row: tuple[str, str, int, int, int, str, str | None, int, int]) -> Found:
    path, kind, size, mode, offset, target, text, layer, _ = row
    pieces = None if text is None else tuple(json.loads(text))
    return Found(layer, FileEntry(path, kind, size, mode, offset, target, pieces))
