"""The last build's record: which bundles there were, and which files they became.

One SQLite file in `.builder-cache/` for each destination, target and
configuration. Losing it costs time and never changes the output: a record is
believed only while the destination's marker carries the same tree identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from builder.output import Claim, Entry
from builder.storage.cache import connect

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS bundles (
        name TEXT PRIMARY KEY, fingerprint TEXT, load_key TEXT, facts TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS outputs (
        path TEXT PRIMARY KEY, bundle TEXT, media_type TEXT, headers TEXT, digest TEXT,
        size INTEGER, location TEXT, fingerprint TEXT, folder_answer INTEGER, copy_of TEXT
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS outputs_of ON outputs (bundle)",
)
_COLUMNS = "path, media_type, headers, digest, size, location, fingerprint, folder_answer, copy_of"
_HAS_FILE = "location = '' AND copy_of = ''"
_MASK = (1 << 128) - 1
SIDE = "side"  # the bundle of the files that a target adds


class Known(NamedTuple):
    """What the record keeps of a bundle; `load_key` identifies what its `facts` were read from."""

    fingerprint: str
    load_key: str = ""
    facts: str = ""


class Record:
    """One record file; `path` None keeps it in memory."""

    def __init__(self, path: Path | None) -> None:
        self._db = connect(path)
        for statement in SCHEMA:
            self._db.execute(statement)

    def freeze(self) -> None:
        """Read the record as it is now, whatever is committed to it later."""
        self._db.execute("BEGIN")
        self.meta("identity")  # the state that is read is that of the first look

    def meta(self, key: str) -> str:
        """Return a value kept beside the bundles, or the empty string."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    def set_meta(self, key: str, value: str) -> None:
        """Keep a value beside the bundles."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def beside(self) -> dict[str, tuple[str, int]]:
        """Return digest and size of the files that lie beside the site, by their paths from it."""
        return {path: (digest, size) for path, (digest, size)
                in json.loads(self.meta("beside") or "{}").items()}  # fmt: skip

    def set_beside(self, files: Mapping[str, tuple[str, int]]) -> None:
        """Remember the files that lie beside the site."""
        self.set_meta("beside", json.dumps(files))

    def claims(self) -> dict[str, tuple[Claim, ...]]:
        """Return the claims that were kept, by the names of their bundles."""
        kept = json.loads(self.meta("claims") or "{}")
        return {name: tuple(Claim(*claim) for claim in claims) for name, claims in kept.items()}

    def set_claims(self, claims: Mapping[str, Iterable[Claim]]) -> None:
        """Remember claims that do not clash."""
        kept = {name: [(each.path, each.origin) for each in own] for name, own in claims.items()}
        self.set_meta("claims", json.dumps(kept))

    def bundles(self) -> dict[str, str]:
        """Return the fingerprint of every bundle of the last build."""
        return dict(self._db.execute("SELECT name, fingerprint FROM bundles"))

    def facts(self) -> Iterator[tuple[str, str, str]]:
        """Yield name, load key and facts of every bundle that has some."""
        yield from self._db.execute("SELECT name, load_key, facts FROM bundles WHERE facts != ''")

    def save_bundle(self, name: str, known: Known) -> None:
        """Remember a bundle."""
        self._db.execute("INSERT OR REPLACE INTO bundles VALUES (?, ?, ?, ?)", (name, *known))

    def outputs_of(self, bundle: str) -> dict[str, Entry]:
        """Return the files of a bundle by their path."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM outputs WHERE bundle = ?", (bundle,))  # noqa: S608
        return {row[0]: _entry(row) for row in rows}

    def replace_outputs(self, bundle: str, old: Iterable[str], new: Iterable[Entry]) -> None:
        """Replace the files of a bundle."""
        self._db.executemany(
            "DELETE FROM outputs WHERE path = ? AND bundle = ?", ((path, bundle) for path in old)
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_row(entry, bundle) for entry in new),
        )

    def forget(self, bundle: str) -> dict[str, Entry]:
        """Drop a bundle; return the files it had."""
        entries = self.outputs_of(bundle)
        self._db.execute("DELETE FROM outputs WHERE bundle = ?", (bundle,))
        self._db.execute("DELETE FROM bundles WHERE name = ?", (bundle,))
        return entries

    def clear(self) -> None:
        """Forget everything: the destination is not what this record describes."""
        for table in ("outputs", "bundles", "meta"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the schema's own names

    def digest_of(self, path: str) -> tuple[str, int] | None:
        """Return digest and size of a file, in the site or beside it; None for one not known."""
        if path.startswith("../"):
            return self.beside().get(path)
        entry = self.find(path)
        return (entry.digest, entry.size) if entry and entry.has_file else None

    def bundles_of(self, paths: Iterable[str]) -> set[str]:
        """Return the names of the bundles that some files belong to."""
        query = "SELECT bundle FROM outputs WHERE path = ?"
        rows = (self._db.execute(query, (path,)).fetchone() for path in paths)
        return {row[0] for row in rows if row}

    def digests(self) -> Iterator[tuple[str, str]]:
        """Yield path and digest of every file."""
        yield from self._db.execute(f"SELECT path, digest FROM outputs WHERE {_HAS_FILE}")  # noqa: S608

    def paths(self) -> Iterator[str]:
        """Yield every path that has a file, those beside the site first, in byte order."""
        yield from sorted(self.beside())
        query = f"SELECT path FROM outputs WHERE {_HAS_FILE} ORDER BY path"  # noqa: S608
        yield from (path for (path,) in self._db.execute(query))

    def find(self, path: str) -> Entry | None:
        """Return the entry published at `path`, if any."""
        query = f"SELECT {_COLUMNS} FROM outputs WHERE path = ?"  # noqa: S608
        row = self._db.execute(query, (path,)).fetchone()
        return _entry(row) if row else None

    def under(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the entries whose path starts with `prefix`, in byte order."""
        query = f"SELECT {_COLUMNS} FROM outputs WHERE path >= ? AND path < ? ORDER BY path"  # noqa: S608
        for row in self._db.execute(query, (prefix, prefix + "\U0010ffff")):
            yield _entry(row)

    def content(self) -> Iterator[Entry]:
        """Yield the entries of all but what the target added, in byte order of their paths.

        A target's rules are made from these alone: from its own files of the
        last build it would make others than from an empty folder.
        """
        return self._content(_COLUMNS)

    def ruled(self) -> Iterator[Entry]:
        """Yield the same with nothing in them but what `Entry.ruled` says."""
        columns = _COLUMNS.replace("digest, size", "'', IIF(path GLOB 'v2/*', size, 0)")
        return self._content(columns.replace("fingerprint", "''"))

    def _content(self, columns: str) -> Iterator[Entry]:
        query = f"SELECT {columns} FROM outputs WHERE bundle != ? ORDER BY path"  # noqa: S608
        return map(_entry, self._db.execute(query, (SIDE,)))

    def totals(self, *, without: str = "") -> tuple[int, int]:
        """Return the bytes and the number of all files, except those below the path `without`."""
        query = f"SELECT SUM(size), COUNT(*) FROM outputs WHERE {_HAS_FILE} AND NOT (path GLOB ?)"  # noqa: S608
        size, count = self._db.execute(query, (f"{without}*" if without else "",)).fetchone()
        return size or 0, count

    def larger_than(self, size: int, *, without: str = "") -> list[tuple[str, int]]:
        """Return path and size of every file of more than `size` bytes; see `totals`."""
        query = (
            f"SELECT path, size FROM outputs WHERE {_HAS_FILE} AND size > ? AND NOT (path GLOB ?)"  # noqa: S608
        )
        return self._db.execute(query, (size, f"{without}*" if without else "")).fetchall()

    def commit(self) -> None:
        """Make what was saved visible to readers."""
        self._db.commit()

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _row(entry: Entry, bundle: str) -> tuple[object, ...]:
    headers = json.dumps(entry.headers) if entry.headers else ""
    return (
        entry.path, bundle, entry.media_type, headers, entry.digest, entry.size,
        entry.location, entry.fingerprint, int(entry.folder_answer), entry.copy_of,
    )  # fmt: skip


def _entry(row: tuple[str, str, str, str, int, str, str, int, str]) -> Entry:
    path, media_type, headers, digest, size, location, mark, folder_answer, copy_of = row
    pairs = tuple((key, value) for key, value in json.loads(headers)) if headers else ()
    return Entry(
        path, media_type, pairs, digest, size, location, mark, bool(folder_answer), copy_of
    )


def identity(entries: Iterable[Entry]) -> int:
    """Return a number for a set of files that adds up over disjoint sets.

    Kept as a running sum, it identifies the whole tree without reading it.
    """
    return sum(_identity(entry) for entry in entries) & _MASK


def _identity(entry: Entry) -> int:
    text = f"{entry.path}\0{entry.digest}\0{entry.location}{entry.copy_of}".encode(
        "utf-8", "surrogateescape"
    )
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


def shifted(total: int, *, minus: Iterable[Entry], plus: Iterable[Entry]) -> int:
    """Return the identity of a tree after some files went and others came."""
    return (total - identity(minus) + identity(plus)) & _MASK
