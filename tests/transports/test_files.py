"""Files, SIFs, charts and skopeo's folders: what they become, and what is refused."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from builder.errors import BuilderError
from builder.oci.graph import walk
from builder.transports.sources import SourceOptions, open_source
from tests.images import Image

TITLE = "org.opencontainers.image.title"
SIF = b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\0" + b"01\0" * 50


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def manifest_of(*texts: str, artifact_type: str = "") -> dict[str, object]:
    options = SourceOptions(Path("spool"), artifact_type=artifact_type)
    with open_source(list(texts), options) as source:
        top = source.resolve()
        assert list(walk(top, source, source.label))
        document: dict[str, object] = json.loads(source.open(top).read())
        return document


def layers(document: dict[str, object]) -> list[dict[str, object]]:
    found = document["layers"]
    assert isinstance(found, list)
    return found


def chart(files: dict[str, str], name: str = "hello-0.1.0.tgz") -> str:
    with tarfile.open(name, "w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return f"chart:{name}"


def test_files_keep_their_names_and_types() -> None:
    Path("sub").mkdir()
    for name in ("a.csv", "sub/b.json", "c.weird"):
        Path(name).write_text(name)
    document = manifest_of("file:a.csv", "file:sub/b.json", "file:c.weird:application/x-mine")
    assert document["artifactType"] == "application/vnd.unknown.artifact.v1"
    shown = [(item["annotations"], item["mediaType"]) for item in layers(document)]
    assert shown == [
        ({TITLE: "a.csv"}, "text/csv"),
        ({TITLE: "sub/b.json"}, "application/json"),
        ({TITLE: "c.weird"}, "application/x-mine"),
    ]
    assert manifest_of("file:a.csv", artifact_type="application/x-set")["artifactType"] == (
        "application/x-set"
    )


def test_a_folder_is_packed_the_same_every_time() -> None:
    digests = set()
    for number in (1, 2):
        Path("data").mkdir(exist_ok=True)
        Path("data/x").write_text("x")
        os.utime("data/x", (number, number))
        (layer,) = layers(manifest_of("file:data"))
        assert layer["annotations"] == {TITLE: "data", "io.deis.oras.content.unpack": "true"}
        digests.add(layer["digest"])
    assert len(digests) == 1
    assert not list(Path("spool").iterdir())


def test_a_sif_has_the_types_that_apptainer_pulls() -> None:
    Path("x.sif").write_bytes(SIF)
    document = manifest_of("sif:x.sif")
    (layer,) = layers(document)
    assert layer["mediaType"] == "application/vnd.sylabs.sif.layer.v1.sif"
    assert layer["annotations"] == {TITLE: "x.sif"}
    config = document["config"]
    assert isinstance(config, dict)
    assert config["mediaType"] == "application/vnd.sylabs.sif.config.v1+json"


def test_a_chart_says_what_helm_says() -> None:
    text = "apiVersion: v2\nname: hello\nversion: 0.1.0+build.5\nappVersion: 1.10\n"
    source = chart({"hello/Chart.yaml": text, "hello/templates/x.yaml": "a: b\n"})
    Path("hello-0.1.0.tgz.prov").write_text("provenance")
    document = manifest_of(source)
    kinds = [str(item["mediaType"]).rpartition(".")[2] for item in layers(document)]
    assert kinds == ["tar+gzip", "prov"]
    with open_source([source], SourceOptions(Path("spool"))) as opened:
        assert opened.suggested_tag == "0.1.0_build.5"
        top = opened.resolve()
        config = next(
            node.descriptor for node in walk(top, opened, "x") if "helm.config" in
            node.descriptor.media_type
        )  # fmt: skip
        facts = json.loads(opened.open(config).read())
    assert (facts["name"], facts["appVersion"]) == ("hello", "1.10")


def test_skopeo_s_folder_keeps_every_byte() -> None:
    image = Image.index(Image.of("a"), Image.of("b"))
    Path("dir").mkdir()
    Path("dir/version").write_text("Directory Transport Version: 1.1\n")
    Path("dir/manifest.json").write_bytes(image.manifest)
    for digest, data in image.blobs.items():
        encoded = digest.partition(":")[2]
        name = f"{encoded}.manifest.json" if b'"layers"' in data else encoded
        Path("dir", name).write_bytes(data)
    with open_source(["dir:dir"], SourceOptions(Path("spool"))) as source:
        nodes = list(walk(source.resolve(), source, "dir"))
    assert {node.descriptor.digest for node in nodes} == {image.digest, *image.blobs}


def fifo() -> str:
    os.mkfifo("pipe")
    return "file:pipe"


def link() -> str:
    Path("link").symlink_to("/etc/passwd")
    return "file:link"


def linked_folder() -> str:
    Path("folder").mkdir()
    Path("folder/link").symlink_to("/etc/passwd")
    return "file:folder"


def no_sif() -> str:
    Path("x.sif").write_bytes(b"#!/bin/sh\n" * 20)
    return "sif:x.sif"


def bomb() -> str:
    with tarfile.open("bomb.tgz", "w:gz", compresslevel=9) as archive:
        info = tarfile.TarInfo("x/zeros")
        info.size = 300 << 20
        archive.addfile(info, io.BytesIO(bytes(300 << 20)))
    return "chart:bomb.tgz"


def two_charts() -> str:
    text = "name: a\nversion: 1.0.0\n"
    return chart({"a/Chart.yaml": text, "b/Chart.yaml": text})


REFUSED = {
    fifo: "regular file",
    link: "symbolic link",
    linked_folder: "symbolic link",
    no_sif: "is not a SIF",
    bomb: "decompresses to more",
    two_charts: "holds no chart",
    lambda: "file:": "no path",
    lambda: "file:nope": "does not exist",
    lambda: "sif:nope": "does not exist",
    lambda: "dir:.": "manifest.json",
    lambda: "chart:nope": "does not exist",
    lambda: chart({"a/values.yaml": "x: y\n"}): "holds no chart",
    lambda: chart({"a/Chart.yaml": "name: a\n"}): "has no version",
    lambda: chart({"a/Chart.yaml": "&x name: *x\n"}): "anchors",
    lambda: chart({"a/Chart.yaml": "name: a\nversion: 'a b'\n"}): "tag",
}


@pytest.mark.parametrize("make", REFUSED)
def test_what_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(BuilderError) as caught:
        manifest_of(make())
    assert REFUSED[make] in str(caught.value)


def test_one_name_twice() -> None:
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "x.txt").write_text(name)
    with pytest.raises(BuilderError, match="same name"):
        manifest_of(f"file:{Path('a/x.txt').absolute()}", f"file:{Path('b/x.txt').absolute()}")
    with pytest.raises(BuilderError, match="--artifact-type"):
        manifest_of("sif:x", artifact_type="x/y")
