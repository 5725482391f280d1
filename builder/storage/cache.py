"""A cache of derived bytes, keyed by what they were derived from.

One SQLite file in `.builder-cache/`; deleting it costs time and changes no
output. So no error of it is an error of the run: what cannot be written is
made again next time, what is damaged is made anew. Worker processes read it
and collect what they made; the process that started them writes, so that no
two processes write at once.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.errors import LocalError

log = logging.getLogger(__name__)

CacheItem = tuple[str, bytes]
_SUM = 12  # bytes before each value
_FILES = ("", "-wal", "-shm")  # what SQLite keeps, by what follows the name
# What is wrong with this machine; whatever else SQLite finds wrong is wrong with the file:
# it is damaged, of another layout, or holds what is no text.
_MACHINE = frozenset({
    sqlite3.SQLITE_AUTH, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY,
})  # fmt: skip


class DamagedError(LocalError):
    """A file that can be made again was damaged, and has been removed."""


class AlteredError(LocalError):
    """Rows do not add up, of which SQLite sees nothing."""

    def __init__(self, file: str) -> None:
        super().__init__(f"{file}: rows are lost or damaged", "build again, which mends it")


class Cache:
    """Values of bytes under text keys. `path` None keeps everything in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._fresh: dict[str, bytes] = {}

    def __reduce__(self) -> tuple[type[Cache], tuple[None]]:
        """Let other machines begin with nothing: SQLite's log is for one machine's processes."""
        return Cache, (None,)

    def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or None."""
        if key in self._fresh:
            return self._fresh[key]
        row = None
        with self._harmless():
            found = self._open().execute("SELECT value FROM cache WHERE key = ?", (key,))
            row = found.fetchone()
        return _sound(key, row[0]) if row else None

    def put(self, key: str, value: bytes) -> None:
        """Remember a value until it is drained."""
        self._fresh[key] = value

    def drain(self) -> list[CacheItem]:
        """Return and forget what `put` collected, to be handed to `save` elsewhere."""
        items = list(self._fresh.items())
        self._fresh.clear()
        return items

    def save(self, items: Iterable[CacheItem]) -> None:
        """Write values, one process after the other: not for what comes in great numbers."""
        with self._harmless(), self._open() as connection:
            rows = ((key, _sum(key, value) + value) for key, value in items)
            connection.executemany("INSERT OR REPLACE INTO cache VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file; the next call opens it again. Call before forking."""
        if self._connection is not None and self._path is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """Go on without the cache where it fails."""
        try:
            with guarded(self._path):
                yield
        except DamagedError as error:
            log.debug("%s", error)
            self.close()
        except (LocalError, OSError) as error:
            log.debug("no cache in this run: %s", error)
            self.close()
            self._path = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path)
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
            )
        return self._connection


def _sum(key: str, value: bytes) -> bytes:
    """Return what tells a value that a disk has altered: SQLite does not look."""
    return hashlib.blake2b(value, digest_size=_SUM, key=key.encode()[:64]).digest()


def _sound(key: str, stored: object) -> bytes | None:
    if not isinstance(stored, bytes):
        return None
    value = stored[_SUM:]
    return value if stored[:_SUM] == _sum(key, value) else None


def connect(path: Path | None) -> sqlite3.Connection:
    """Open an SQLite file whose loss is harmless; a damaged one is replaced.

    Raises LocalError where it can be neither opened nor made.
    """
    if path is None:
        return sqlite3.connect(":memory:")
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in files_of(path):
        if file.is_symlink() or (file.exists() and not file.is_file()):
            _remove(file)  # SQLite would write wherever a link leads, and opens nothing else
    try:
        with guarded(path):
            return _configured(path)
    except DamagedError:
        with guarded(path):
            return _configured(path)


def _remove(path: Path) -> None:
    """Remove what is no file, or leave it to SQLite to say that it cannot be opened."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


@contextmanager
def guarded(path: Path | None) -> Iterator[None]:
    """Turn errors of SQLite, and AlteredError, into errors of this disk; a damaged file is removed.

    Raises DamagedError for what another try heals, LocalError for the rest:
    a full disk, a folder that nobody may write to.
    """
    try:
        yield
    except (sqlite3.Error, AlteredError) as error:
        shown = str(path or "a database in memory")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        misused = isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError)
        if path is not None and code not in _MACHINE and not misused:
            for file in files_of(path):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
            raise DamagedError(f"{shown}: was damaged, and is made anew", "run again") from error
        hint = "is the disk full, or may you not write there?"
        raise LocalError(f"{shown}: {error}", hint) from error


def files_of(path: Path) -> list[Path]:
    """Return the files that SQLite keeps for one at `path`."""
    return [path.with_name(f"{path.name}{suffix}") for suffix in _FILES]


def _configured(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UnicodeDecodeError as error:  # SQLite's words for damage quote it
        raise sqlite3.DatabaseError(str(error)) from error
    return connection
