"""The last build's record: which bundles there were, and which files they became.

One SQLite file in `.builder-cache/` for each destination, target and
configuration. Losing it costs time and never changes the output: a record is
believed only while the destination's marker carries the same tree identity.

SQLite takes a row that a disk has altered, or lost, as it is; so rows carry
sums, a bundle's adds up those of its files, and the file's number those of all
bundles. What does not add up is an AlteredError, to `guarded` the same as damage
that SQLite sees itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from builder.fingerprint import fingerprint
from builder.output import Claim, Entry, extension, is_ordinary
from builder.storage.cache import AlteredError, connect

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS meta (
        key TEXT PRIMARY KEY, value TEXT, sum INTEGER
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS bundles (
        name TEXT PRIMARY KEY, fingerprint TEXT, files INTEGER, sum INTEGER,
        load_key TEXT, facts TEXT, facts_sum INTEGER
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS outputs (
        path TEXT PRIMARY KEY, bundle TEXT, media_type TEXT, headers TEXT, digest TEXT,
        size INTEGER, location TEXT, fingerprint TEXT, folder_answer INTEGER, copy_of TEXT,
        sum INTEGER
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS outputs_of ON outputs (bundle)",
)
_OUTPUTS = "SELECT * FROM outputs"
_TOTAL = """SELECT user_version, (SELECT IFNULL(SUM(sum), 0) FROM meta)
    + (SELECT IFNULL(SUM(sum), 0) FROM bundles) FROM pragma_user_version"""
_MOST = (1 << 31) - 1  # of what SQLite keeps as the number of a file
_HAS_FILE = "location = '' AND copy_of = ''"
_MASK = (1 << 128) - 1
_Row = tuple[Any, ...]
SIDE = "side"  # the bundle of the files that a target adds


class Known(NamedTuple):
    """What the record keeps of a bundle; `load_key` identifies what its `facts` were read from."""

    fingerprint: str
    load_key: str = ""
    facts: str = ""


class Record:
    """One record file; `path` None keeps it in memory."""

    def __init__(self, path: Path | None) -> None:
        self._is_proven = False
        self._db = connect(path)
        try:
            for statement in SCHEMA:
                self._db.execute(statement)
            for row in self._db.execute("SELECT * FROM meta"):
                _sound(row)  # a damaged key would hide a value
            self._expect(*self._totals())
        except BaseException:
            self._db.close()
            raise

    def _totals(self) -> tuple[int, int]:
        """Return what all rows but those of files add up to: as it was kept, and as it is."""
        kept, found = self._db.execute(_TOTAL).fetchone()
        return kept, found & _MOST

    def _expect(self, kept: int, found: int) -> None:
        if kept != found:
            raise AlteredError("the record of the last build")

    def freeze(self) -> None:
        """Read the record as it is now, whatever is committed to it later."""
        self._db.execute("BEGIN")
        self.meta("identity")  # the state that is read is that of the first look

    def meta(self, key: str) -> str:
        """Return a value kept beside the bundles, or the empty string."""
        row = self._db.execute("SELECT * FROM meta WHERE key = ?", (key,)).fetchone()
        return str(_sound(row)[1]) if row else ""

    def set_meta(self, key: str, value: str) -> None:
        """Keep a value beside the bundles."""
        row = (key, value)
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (*row, _sum(row)))

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
        kept = {name: [*own] for name, own in claims.items()}
        self.set_meta("claims", json.dumps(kept))

    def bundles(self) -> dict[str, str]:
        """Return the fingerprint of every bundle of the last build."""
        rows = self._db.execute("SELECT name, fingerprint, files, sum FROM bundles")
        return {row[0]: row[1] for row in map(_sound, rows)}

    def facts(self) -> Iterator[tuple[str, str, str]]:
        """Yield name, load key and facts of every bundle that has some."""
        query = "SELECT name, load_key, facts, facts_sum FROM bundles"
        for name, load_key, facts in map(_sound, self._db.execute(query)):
            if facts:
                yield name, load_key, facts

    def save_bundle(self, name: str, known: Known) -> None:
        """Remember a bundle, after its files."""
        query = "SELECT IFNULL(SUM(sum), 0) FROM outputs WHERE bundle = ?"
        row = (name, known.fingerprint, self._db.execute(query, (name,)).fetchone()[0])
        told = (known.load_key, known.facts)
        values = (*row, _sum(row), *told, _sum((name, *told)))
        self._db.execute("INSERT OR REPLACE INTO bundles VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def key(self) -> str:
        """Return what identifies the files of this build, and what each of them was made from."""
        rows = self._db.execute("SELECT name, fingerprint FROM bundles ORDER BY name")
        return fingerprint(self.meta("identity"), self.meta("rules"), list(rows))

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield path and size of every file of the content, those that are copies too."""
        query = "SELECT path, size FROM outputs WHERE bundle != ? AND location = ''"
        yield from self._db.execute(query, (SIDE,))

    def outputs_of(self, bundle: str) -> dict[str, Entry]:
        """Return the files of a bundle by their path."""
        rows = self._db.execute(f"{_OUTPUTS} WHERE bundle = ?", (bundle,)).fetchall()
        kept = self._db.execute("SELECT files FROM bundles WHERE name = ?", (bundle,)).fetchone()
        entries = {row[0]: _entry(_sound(row)) for row in rows}
        self._expect(kept[0] if kept else 0, sum(row[-1] for row in rows))
        return entries

    def replace_outputs(self, bundle: str, old: Iterable[str], new: Iterable[Entry]) -> None:
        """Replace the files of a bundle."""
        self._db.executemany(
            "DELETE FROM outputs WHERE path = ? AND bundle = ?", ((path, bundle) for path in old)
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*row, _sum(row)) for row in (_row(entry, bundle) for entry in new)),
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
        self._is_proven = True

    def digest_of(self, path: str) -> tuple[str, int] | None:
        """Return digest and size of a file, in the site or beside it; None for one not known."""
        if path.startswith("../"):
            return self.beside().get(path)
        entry = self.find(path)
        return (entry.digest, entry.size) if entry and entry.has_file else None

    def bundles_of(self, paths: Iterable[str]) -> set[str]:
        """Return the names of the bundles that some files belong to."""
        return {row[1] for path in paths if (row := self._at(path))}

    def digests(self) -> Iterator[tuple[str, str]]:
        """Yield path and digest of every file."""
        self.prove()
        yield from self._db.execute(f"SELECT path, digest FROM outputs WHERE {_HAS_FILE}")  # noqa: S608

    def paths(self) -> Iterator[str]:
        """Yield every path that has a file, those beside the site first, in byte order."""
        yield from sorted(self.beside())
        self.prove()
        query = f"SELECT path FROM outputs WHERE {_HAS_FILE} ORDER BY path"  # noqa: S608
        yield from (path for (path,) in self._db.execute(query))

    def find(self, path: str) -> Entry | None:
        """Return the entry published at `path`, if any."""
        row = self._at(path)
        return _entry(row) if row else None

    def _at(self, path: str) -> _Row | None:
        row: _Row | None = self._db.execute(f"{_OUTPUTS} WHERE path = ?", (path,)).fetchone()
        return _sound(row) if row else None

    def under(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the entries whose path starts with `prefix`, in byte order."""
        query = f"{_OUTPUTS} WHERE path >= ? AND path < ? ORDER BY path"
        for row in self._db.execute(query, (prefix, prefix + "\U0010ffff")):
            yield _entry(_sound(row))

    def content(self) -> Iterator[Entry]:
        """Yield the entries of all but what the target added, in byte order of their paths.

        A target's rules are made from these alone: from its own files of the
        last build it would make others than from an empty folder.
        """
        return map(_entry, self._content())

    def ruled(self) -> Iterator[Entry]:
        """Yield the same with nothing in them but what `Entry.ruled` says, and that once."""
        seen = set()
        for row in self._content():
            path, _, media_type, headers, _, size, location, _, _, copy_of, _ = row
            if is_ordinary(path, headers, location, copy_of):
                like = (extension(path), media_type)
                if like in seen:
                    continue
                seen.add(like)
            size = size if path.startswith("v2/") else 0
            yield Entry(path, media_type, _pairs(headers), "", size, location, copy_of=copy_of)

    def _content(self) -> Iterator[_Row]:
        self.prove()
        return self._db.execute(f"{_OUTPUTS} WHERE bundle != ? ORDER BY path", (SIDE,))

    def prove(self) -> None:
        """Find out, once, that no row of a file is lost or damaged."""
        if self._is_proven:
            return
        total = 0
        for row in self._db.execute(_OUTPUTS):
            _sound(row)
            total += row[-1]
        kept = self._db.execute("SELECT IFNULL(SUM(files), 0) FROM bundles").fetchone()
        self._expect(kept[0], total)
        self._is_proven = True

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
        self._db.execute(f"PRAGMA user_version = {self._totals()[1]}")
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


def _entry(row: _Row) -> Entry:
    path, _, media_type, headers, digest, size, location, mark, folder_answer, copy_of = row[:10]
    pairs = _pairs(headers)
    return Entry(
        path, media_type, pairs, digest, size, location, mark, bool(folder_answer), copy_of
    )


def _pairs(headers: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in json.loads(headers)) if headers else ()


def _sum(values: _Row) -> int:
    """Return what tells a row that a disk has altered; it is no lock against a person."""
    return crc32("\0".join(map(str, values)).encode("utf-8", "surrogateescape"))


def _sound(row: _Row) -> _Row:
    """Return a row without the sum at its end; raises AlteredError where that is wrong."""
    values = row[:-1]
    if _sum(values) != row[-1]:
        raise AlteredError("the record of the last build")
    return values


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
