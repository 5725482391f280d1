"""A build without a record takes what was made of the same bytes before, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.build.kept import content_mark
from builder.cli import run
from builder.storage.cache import Cache
from tests.conftest import read_tree, write_tree
from tests.images import Image

C = "collections"
Edit = Callable[[Path], object]


@pytest.fixture
def two(registry: Path) -> Path:
    """A registry with a link between collections, a recipe, a picture and an old address."""
    write_tree(registry, {
        "_config.yml": "title: Two\nurl: https://example.org\n",
        "_includes/site_footer.html": "<footer>One</footer>\n",
        f"{C}/a/README.md": "---\nredirect_from: /a/x/\n---\n[B](../b/README.md#use) ![](x.png)\n",
        f"{C}/a/x.png": "no picture",
        f"{C}/a/manifests/next/Dockerfile": "FROM scratch\nCOPY run.sh /\n",
        f"{C}/a/manifests/next/run.sh": "exit\n",
        f"{C}/b/README.md": "# Use\n",
    })  # fmt: skip
    for name in ("a", "b"):
        Image.of(name).tag(registry / C / name, "1.0")
    return registry


def built(folder: Path) -> int:
    return run(["build", "-q", "-s", str(folder), "-d", str(folder / "_site"), "-t", "nginx"])


def checkout(source: Path, to: Path, *, kept: bool) -> Path:
    """Copy a registry, with other times and inodes; without records and, as told, all caches."""
    left = shutil.ignore_patterns("_site*", "records", *(() if kept else ("kept",)))
    shutil.copytree(source, to, copy_function=shutil.copy, ignore=left)
    return to


def kept_in(folder: Path) -> tuple[int, int]:
    """Return what tells whether the file was written again."""
    (file,) = (folder / ".builder-cache/kept").glob("*.sqlite")
    return file.stat().st_ino, file.stat().st_mtime_ns


def site(folder: Path) -> dict[str, bytes]:
    return read_tree(folder / "_site") | read_tree(folder / "_site.nginx")


def test_what_is_kept_is_not_made_again(two: Path, tmp_path: Path) -> None:
    assert built(two) == 0
    again = checkout(two, tmp_path / "again", kept=True)
    before = kept_in(again)
    assert built(again) == 0
    assert kept_in(again) == before
    assert site(again) == site(two)


EDITS: dict[str, Edit] = {
    "a text": lambda root: write_tree(root, {f"{C}/b/README.md": "# Use\nMore.\n"}),
    "where a link leads": lambda root: write_tree(root, {f"{C}/b/README.md": "# Other\n"}),
    "a picture": lambda root: write_tree(root, {f"{C}/a/x.png": "another"}),
    "a tag": lambda root: Image.of("c").tag(root / C / "a", "2.0"),
    "a tag that moves": lambda root: Image.of("c").tag(root / C / "a", "1.0"),
    "a collection that goes": lambda root: shutil.rmtree(root / C / "b"),
    "a collection below": lambda root: write_tree(root, {f"{C}/a/c/README.md": "# C\n"}),
    "an include": lambda root: write_tree(
        root, {"_includes/site_footer.html": "<footer>Two</footer>"}
    ),
    "an address": lambda root: write_tree(
        root, {"_config.yml": "title: Two\nurl: https://e.org\n"}
    ),
    "a file that runs": lambda root: (root / C / "a/manifests/next/run.sh").chmod(0o755),
    "a folder without files": lambda root: (root / C / "a/manifests/3.0").mkdir(),
    "a blob that is damaged": lambda root: _damage(root / C / "a/blobs/sha256"),
    "a kept file that is damaged": lambda root: _damage(root / ".builder-cache/kept"),
}


def _damage(folder: Path) -> None:
    for file in folder.iterdir():
        data = bytearray(file.read_bytes())
        data[len(data) // 2 :: 50] = bytes(len(data[len(data) // 2 :: 50]))
        file.write_bytes(data)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_is_seen(
    two: Path, tmp_path: Path, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert built(two) == 0
    edit(two)
    again = checkout(two, tmp_path / "again", kept=True)
    status = built(again)
    told = capsys.readouterr().err.replace(str(again), "")
    clean = checkout(two, tmp_path / "clean", kept=False)
    assert (status, told) == (built(clean), capsys.readouterr().err.replace(str(clean), ""))
    assert status != 0 or site(again) == site(clean)


@pytest.mark.parametrize("edit", ["a tag", "a file that runs", "a folder without files"])
def test_the_mark_of_a_folder_is_of_all_that_a_build_reads(two: Path, edit: str) -> None:
    cache = Cache(None)
    before = content_mark(two / C / "a", cache)
    EDITS[edit](two)
    assert content_mark(two / C / "a", cache) != before
