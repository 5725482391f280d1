"""The cache costs time when it is lost, and nothing else, however it is lost."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
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


@pytest.mark.parametrize("name", ["cache.sqlite", "cache.sqlite-wal", "cache.sqlite-shm"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_no_file_in_its_place(make: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    path = tmp_path / "cache.sqlite"
    cache = Cache(path)
    cache.save([("a", b"1")])
    assert cache.get("a") == b"1"
    cache.close()
    assert path.is_file()


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


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_not_followed(tmp_path: Path, suffix: str, there: bool) -> None:  # noqa: FBT001
    path, elsewhere = tmp_path / "cache.sqlite", tmp_path / "elsewhere"
    if there:
        elsewhere.write_text("precious")
    path.with_name(f"{path.name}{suffix}").symlink_to(elsewhere)
    cache = Cache(path)
    cache.save([("a", b"1")])
    assert cache.get("a") == b"1"
    assert (elsewhere.read_text() == "precious") if there else not elsewhere.exists()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE cache SET value = 7",
        "UPDATE cache SET value = NULL",
        "UPDATE cache SET value = CAST(x'ff00ff' AS TEXT)",
        "DROP TABLE cache; CREATE TABLE cache (other)",
        "DROP TABLE cache; CREATE VIEW cache AS SELECT 1 AS key, 2 AS value",
        "CREATE TRIGGER no BEFORE INSERT ON cache BEGIN SELECT RAISE(FAIL, 'no'); END",
    ],
)
def test_a_sound_database_of_other_content(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path / "cache.sqlite")
    with sqlite3.connect(path) as connection:
        connection.executescript(damage)
    connection.close()
    for _ in range(2):  # the first may only find that it is of no use
        cache = Cache(path)
        assert cache.get("key 1") is None or "TRIGGER" in damage
        cache.save([("new", b"1")])
        cache.close()
    assert Cache(path).get("new") == b"1"
