"""Links planted where a build or a store writes: nothing outside is made or changed."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import BuilderError
from builder.output import File
from builder.storage import LocalStorage
from builder.storage.local import hidden_beside, write_durably
from builder.write.destination import Change
from builder.write.folder import Folder
from builder.write.record import Record
from tests.conftest import read_tree

DATA = b"what is written"
Plant = Callable[[Path, Path], None]


def link(name: str) -> Plant:
    """Return what plants a link at `name` below the destination's parent."""

    def plant(base: Path, outside: Path) -> None:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(outside)

    return plant


def site(folder: Folder, source: Path) -> None:
    """Build a tree of three files, one of each kind, and one beside it."""
    paths = ["a/x", "a/y", "a/z", "../site.nginx/http.conf"]
    folder.claim()
    folder.open(Record(None))
    folder.write("a/x", DATA, "")
    folder.link("a/y", File(source, len(DATA), ""))
    _, is_new = folder.stream("a/z", [DATA], len(DATA))
    folder.write(paths[3], DATA, "")
    written = [path for path in paths if is_new or path != "a/z"]
    folder.publish(Change(written, paths, (), "0" * 32, lambda: paths), lambda: None)


PLACES = {
    "the stage": "site/.builder-tmp",
    "the next marker": "site/.builder-site.new",
    "the marker": "site/.builder-site",
    "a file": "site/a/x",
    "a folder": "site/a",
    "a file beside the site": "site.nginx/http.conf",
    "the folder beside the site": "site.nginx",
}


@pytest.mark.parametrize("kind", ["a file", "a folder", "nothing"])
@pytest.mark.parametrize("name", PLACES.values(), ids=PLACES)
def test_a_build_never_writes_through_a_link(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    outside = tmp_path / "outside"
    outside.mkdir()
    goal = {"a file": outside / "file", "a folder": outside, "nothing": outside / "new"}[kind]
    (outside / "file").write_bytes(b"somebody's")
    site(Folder(tmp_path / "site"), tmp_path / "source")
    link(name)(tmp_path, goal)
    try:
        site(Folder(tmp_path / "site"), tmp_path / "source")
    except BuilderError as error:
        assert "link" in str(error)  # noqa: PT017 - some links are refused, some are replaced
    else:
        for path in ("site/a/x", "site.nginx/http.conf"):
            assert (tmp_path / path).read_bytes() == DATA
            assert not (tmp_path / path).is_symlink()
    assert read_tree(outside) == {"file": b"somebody's"}


def test_a_store_replaces_a_link_that_was_planted_at_its_temporary_name(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"somebody's")
    hidden_beside(tmp_path / "final").symlink_to(outside)
    write_durably(tmp_path / "final", DATA)
    assert (tmp_path / "final").read_bytes() == DATA
    digest = "sha256:" + "0" * 64
    link(f"store/blobs/sha256/.incoming-{os.getpid()}-{'0' * 16}")(tmp_path, outside)
    LocalStorage(tmp_path / "store").put(digest, io.BytesIO(DATA))
    assert (tmp_path / "store/blobs/sha256" / ("0" * 64)).read_bytes() == DATA
    assert outside.read_bytes() == b"somebody's"
