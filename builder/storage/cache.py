"""A cache of derived bytes, keyed by what they were derived from.

One SQLite file in `.builder-cache/`; deleting it costs time and changes no
output. Worker processes read it and collect what they made; the process that
started them writes, so that no two processes write at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

CacheItem = tuple[str, bytes]


class Cache:
    """Values of bytes under text keys. `path` None keeps everything in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._fresh: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""
        if key in self._fresh:
            return self._fresh[key]
        row = self._open().execute("SELECT value FROM cache WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key: str, value: bytes) -> None:
        """Remember a value until it is drained."""
        self._fresh[key] = value

    def drain(self) -> list[CacheItem]:
        """Return and forget what `put` collected, to be handed to `save` elsewhere."""
        items = list(self._fresh.items())
        self._fresh.clear()
        return items

    def save(self, items: Iterable[CacheItem]) -> None:
        """Write values that a worker drained; call in one process only."""
        with self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO cache VALUES (?, ?)", items)

    def close(self) -> None:
        """Close the file; the next call opens it again. Call before forking."""
        if self._connection is not None and self._path is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path)
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
            )
        return self._connection


def connect(path: Path | None) -> sqlite3.Connection:
    """Open an SQLite file whose loss is harmless; a damaged one is replaced."""
    if path is None:
        return sqlite3.connect(":memory:")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _configured(path)
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
        return _configured(path)


def _configured(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection
