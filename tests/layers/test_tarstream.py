"""Tars written forwards: their length is known, and every reader gets what was put in."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from builder.errors import ContentError
from builder.layers.docker_archive import docker_archive
from builder.layers.tarstream import Part, tar_chunks, tar_size
from builder.oci.digest import Digest


def written(*parts: Part) -> bytes:
    data = b"".join(tar_chunks(parts))
    assert len(data) == tar_size(parts)
    return data


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 3 << 20])
def test_members_come_back(size: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * size)
    data = written(
        Part("folder", 0, None), Part("a" * 130, size, file), Part("b", 3, b"abc")
    )  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        assert [item.name for item in members] == ["folder", "a" * 130, "b"]
        assert members[0].isdir()
        stream = archive.extractfile(members[1])
        assert stream is not None
        assert stream.read() == file.read_bytes()
        assert {item.mtime for item in members} == {0}


def test_sizes_beyond_the_plain_header() -> None:
    large = 9 << 30
    header = Part("layer", large, Path("/nowhere")).header
    assert tarfile.TarInfo.frombuf(header[:512], "utf-8", "strict").type == tarfile.XHDTYPE
    assert tar_size([Part("layer", large, Path("/nowhere"))]) == len(header) + large + 1024


def test_a_file_that_shrank_is_named(tmp_path: Path) -> None:
    file = tmp_path / "layer"
    file.write_bytes(b"four")
    with pytest.raises(ContentError, match="was 9 bytes and is 4 now"):
        list(tar_chunks([Part("layer", 9, file)]))


def test_a_docker_archive(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.write_bytes(b"one layer")
    diff_id = Digest.of(b"one layer")
    both = [(diff_id, layer, 9), (diff_id, layer, 9)]
    data = written(*docker_archive(b"{}", both, "host/name:1"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        stream = archive.extractfile("manifest.json")
        assert stream is not None
        (entry,) = json.loads(stream.read())
    assert names == [entry["Config"], f"{diff_id.encoded}/layer.tar", "manifest.json"]
    assert entry["RepoTags"] == ["host/name:1"]
    assert entry["Layers"] == [f"{diff_id.encoded}/layer.tar"] * 2
