"""Every test file is one that `make test` collects."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def test_no_folder_of_tests_is_left_out(pytestconfig: pytest.Config) -> None:
    left_out: list[str] = pytestconfig.getini("norecursedirs")
    folders = {
        part
        for path in TESTS.rglob("test_*.py")
        for part in path.relative_to(TESTS).parent.parts
        if "node_modules" not in path.parts
    }
    assert "build" in folders  # pytest's own list has this name
    assert [name for name in sorted(folders) if any(fnmatch(name, it) for it in left_out)] == []
