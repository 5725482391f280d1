"""Unpacked apps on the disk: found again, believed only when whole, forgotten in order."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder.apps import store as store_module
from builder.apps.model import App, AppConfig
from builder.apps.store import AppStore
from builder.errors import ContentError, LocalError
from builder.oci.digest import Digest
from tests.apps.samples import Held, packed
from tests.conftest import read_tree

FIRST, SECOND, THIRD = (Digest(f"sha256:{letter * 64}") for letter in "abc")
CONFIG = AppConfig("app", spa=True)


def unpacked(store: AppStore, manifest: Digest, text: str = "page") -> App:
    held = Held(packed({"app/index.html": text, "app/again.html": text, "app/x": "1"}))
    return store.unpack(manifest, CONFIG, held.layers, held, "apps/it")


def test_an_app_is_found_again_by_another_process(tmp_path: Path) -> None:
    made = unpacked(AppStore(tmp_path), FIRST)
    again = AppStore(tmp_path)
    assert again.get(FIRST) == made
    assert again.get(SECOND) is None
    file = made.files["index.html"]
    assert again.path(FIRST, file).read_bytes() == b"page"
    assert made.config == CONFIG
    nothing = Held()
    assert again.unpack(FIRST, CONFIG, nothing.layers, nothing, "apps/it") == made


def test_what_is_damaged_is_unpacked_again(tmp_path: Path) -> None:
    file = unpacked(AppStore(tmp_path), FIRST).files["index.html"]
    for damage in (b"PAGE", b"", None):
        path = AppStore(tmp_path).path(FIRST, file)
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        again = AppStore(tmp_path)
        assert again.get(FIRST) is None
        assert unpacked(again, FIRST).files["index.html"] == file
        assert path.read_bytes() == b"page"
    (tmp_path / FIRST.encoded / "app.json").write_text('{"root": []}')
    assert AppStore(tmp_path).get(FIRST) is None


def test_a_refused_app_leaves_nothing(tmp_path: Path) -> None:
    held = Held(packed({"app/index.html": "page", "app/../../evil": "evil"}))
    with pytest.raises(ContentError):
        AppStore(tmp_path / "store").unpack(FIRST, CONFIG, held.layers, held, "apps/it")
    assert read_tree(tmp_path) == {}
    assert list((tmp_path / "store").iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_module, "_to_json", full)
    with pytest.raises(LocalError, match="No space"):
        unpacked(AppStore(tmp_path), FIRST)
    assert list(tmp_path.iterdir()) == []


def test_what_was_asked_for_last_stays(tmp_path: Path) -> None:
    store = AppStore(tmp_path)
    for age, manifest in enumerate((FIRST, SECOND, THIRD)):
        unpacked(store, manifest, "x" * 10_000)
        os.utime(tmp_path / manifest.encoded, (1000 + age, 1000 + age))
    assert store.get(FIRST) is not None  # as good as new
    store.trim(25_000)
    assert [store.get(item) is not None for item in (FIRST, SECOND, THIRD)] == [True, False, True]
    store.trim(0)
    assert sum(store.get(item) is not None for item in (FIRST, SECOND, THIRD)) == 1
    AppStore(tmp_path / "nowhere").trim(0)


def test_what_killed_runs_left_is_swept(tmp_path: Path) -> None:
    for name, time in ((".incoming-old", 1000.0), (".incoming-new", None)):
        (tmp_path / name).mkdir()
        if time:
            os.utime(tmp_path / name, (time, time))
    AppStore(tmp_path).trim(0)
    assert [path.name for path in tmp_path.iterdir()] == [".incoming-new"]


def test_many_at_once_end_with_one(tmp_path: Path) -> None:
    def work(_: int) -> App:
        return unpacked(AppStore(tmp_path), FIRST)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(24)))
    assert all(item == found[0] for item in found)
    assert [path.name for path in tmp_path.iterdir()] == [FIRST.encoded]
