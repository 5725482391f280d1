"""The cache costs time when it is lost, and nothing else, however it is lost."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from builder.errors import LocalError
from builder.storage.cache import Cache, DamagedError, connect, guarded


def filled(path: Path) -> Path:
    cache = Cache(path)
    cache.save([(f"key {number}", b"x" * 900) for number in range(500)])
    cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.mark.parametrize("where", [0, 18, 100, 4096, 9000, 200_000])
def test_damage_anywhere_is_no_error(tmp_path: Path, where: int) -> None:
    path = filled(tmp_path / "cache.sqlite")
    data = bytearray(path.read_bytes())
    data[where : where + 64] = os.urandom(64)
    path.write_bytes(data)
    cache = Cache(path)
    for number in range(500):
        assert cache.get(f"key {number}") in (None, b"x" * 900)
    cache.save([("after", b"y")])
    assert cache.get("after") in (None, b"y")
    cache.close()
    again = Cache(path)
    again.save([("later", b"z")])
    assert again.get("later") == b"z"
    again.close()


@pytest.mark.parametrize("text", [b"", b"no database\n" * 400, b"SQLite format 3\0"])
def test_another_file_in_its_place(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(text)
    cache = Cache(path)
    assert cache.get("a") is None
    cache.save([("a", b"1")])
    assert cache.get("a") == b"1"
    cache.close()


def test_where_nobody_may_write(tmp_path: Path) -> None:
    place = tmp_path / "a file"
    place.write_text("")
    cache = Cache(place / "cache.sqlite")
    assert cache.get("a") is None
    cache.save([("a", b"1")])
    cache.put("b", b"2")
    assert cache.get("b") == b"2"


def test_a_full_disk(tmp_path: Path) -> None:
    path = filled(tmp_path / "cache.sqlite")
    connection = connect(path)
    with pytest.raises(LocalError, match="full") as caught, guarded(path):  # noqa: PT012
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE more (a)")
        connection.executemany("INSERT INTO more VALUES (?)", [(b"x" * 9000,)] * 50)
    connection.close()
    assert not isinstance(caught.value, DamagedError)
    assert path.exists()
