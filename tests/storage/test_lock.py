"""The lock dies with its holder and names it meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.errors import LocalError, LockedError
from builder.storage.lock import lock


def test_held_once(tmp_path: Path) -> None:
    path = tmp_path / "cache/lock"
    with lock(path, "this place"):
        assert path.read_text() == str(os.getpid())
        with pytest.raises(LockedError, match=f"this place .process {os.getpid()}"):
            _take(path)
    _take(path)


def _take(path: Path) -> None:
    with lock(path, "this place"):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="file"):
        _take(tmp_path / "file/lock")
