"""Links planted where a build or a store writes: nothing outside is made or changed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import BuilderError
from builder.storage.local import LocalStorage, write_durably
from builder.write.folder import Folder, write_beside
from tests.conftest import read_tree

DATA = b"what is written"
Plant = Callable[[Path, Path], None]


def link(name: str) -> Plant:
    """Return what plants a link at `name` below the destination's parent."""

    def plant(base: Path, outside: Path) -> None:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.rmdir() if path.is_dir() else path.unlink()
        path.symlink_to(outside)

    return plant


def site(folder: Folder, source: Path) -> None:
    folder.write("a/x", DATA)
    folder.write_blob("a/y", source, len(DATA))
    folder.write_stream("a/z", [DATA], len(DATA))
    folder.finish("0" * 32, ["a/x", "a/y", "a/z"])


PLACES = {
    "an unfinished file": f"site/.builder-tmp/{os.getpid()}-1",
    "an unfinished blob": f"site/.builder-tmp/{os.getpid()}-2",
    "an unfinished stream": f"site/.builder-tmp/{os.getpid()}-3",
    "the folder of unfinished files": "site/.builder-tmp",
    "the next marker": "site/.builder-site.new",
    "the marker": "site/.builder-site",
    "a file": "site/a/x",
    "a folder": "site/a",
}


@pytest.mark.parametrize("kind", ["a file", "a folder", "nothing"])
@pytest.mark.parametrize("name", PLACES.values(), ids=PLACES)
def test_a_build_never_writes_through_a_link(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    outside = tmp_path / "outside"
    outside.mkdir()
    goal = {"a file": outside / "file", "a folder": outside, "nothing": outside / "new"}[kind]
    (outside / "file").write_bytes(b"somebody's")
    folder = Folder(tmp_path / "site")
    folder.claim()
    folder.start()
    link(name)(tmp_path, goal)
    try:
        folder.claim()
        folder.start()
        site(folder, tmp_path / "source")
    except BuilderError as error:
        assert "link" in str(error)  # noqa: PT017 - some links are refused, some are replaced
    else:
        assert (tmp_path / "site/a/x").read_bytes() == DATA
        assert not (tmp_path / "site/a/x").is_symlink()
    assert read_tree(outside) == {"file": b"somebody's"}


def test_what_is_beside_a_site_never_goes_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"somebody's")
    beside = tmp_path / "site.nginx"
    for name in ("http.conf", ".http.conf.new"):
        link(f"site.nginx/{name}")(tmp_path, outside)
        write_beside(tmp_path / "site", "nginx", {"http.conf": DATA})
        assert (beside / "http.conf").read_bytes() == DATA
        assert not (beside / "http.conf").is_symlink()
        assert outside.read_bytes() == b"somebody's"


def test_a_store_replaces_a_link_that_was_planted_at_its_temporary_name(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"somebody's")
    (tmp_path / "new").symlink_to(outside)
    assert write_durably(tmp_path / "new", tmp_path / "final", io.BytesIO(DATA))
    assert (tmp_path / "final").read_bytes() == DATA
    digest = "sha256:" + "0" * 64
    link(f"store/blobs/sha256/.incoming-{os.getpid()}-{'0' * 16}")(tmp_path, outside)
    LocalStorage(tmp_path / "store").put(digest, io.BytesIO(DATA))
    assert (tmp_path / "store/blobs/sha256" / ("0" * 64)).read_bytes() == DATA
    assert outside.read_bytes() == b"somebody's"
