"""Folders made into artifacts: what goes in, what stays out, and equal bytes anywhere."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from tests.conftest import write_tree


@pytest.mark.parametrize(
    ("prepare", "word"),
    [
        (lambda folder: (folder / "index.html").unlink(), "index.html"),
        (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "symbolic link"),
        (lambda folder: (folder / "new\nline").write_text("x"), "are not portable"),
    ],
)
def test_folders_that_are_not_bundled(
    prepare: Callable[[Path], object],
    word: str,
    registry: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "site"
    write_tree(folder, {"index.html": "x", ".env": "SECRET=1"})
    prepare(folder)
    assert run(["bundle", "-s", str(registry), str(folder), "x/y:1"]) == 1
    assert word in capsys.readouterr().err
    assert not (registry / "collections").exists()


def test_hidden_files_stay_at_home(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "site", {"index.html": "x", ".env": "SECRET=1"})
    assert run(["bundle", "-s", str(registry), str(tmp_path / "site"), "x/y:1"]) == 0
    assert ".env: warning: is hidden" in capsys.readouterr().err
    stored = [path.read_bytes() for path in (registry / "collections").rglob("sha256/*")]
    assert not any(b"SECRET" in gzip.decompress(data) for data in stored if data[:2] == b"\x1f\x8b")
