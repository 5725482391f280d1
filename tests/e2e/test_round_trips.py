"""Every kind of image, in and out: the digest at the end is the digest at the start."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from builder.cli import run as builder
from tests.e2e.conftest import run, serving
from tests.images import MANIFEST, Image, as_json, descriptor

pytestmark = pytest.mark.e2e
KINDS = ("single", "index", "zstd", "docker", "artifact", "sif", "chart")
INDEX = "application/vnd.oci.image.index.v1+json"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sif() -> bytes:
    """Return what is enough of a SIF to be taken for one: launch line, magic, version, arch."""
    header = (
        b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\0" + b"01\0" + b"02\0"
    )
    return header.ljust(4096, b"\0")


def chart(path: Path) -> None:
    text = b"apiVersion: v2\nname: hello\nversion: 0.1.0\ndescription: A chart of one file.\n"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("hello/Chart.yaml")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))


def with_referrer(folder: Path) -> tuple[Image, Image]:
    """Write an image layout with an image and what refers to it."""
    image = Image.of("subject")
    raw = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/spdx+json",
            "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": [descriptor("application/spdx+json", b'{"spdx": 1}')],
            "subject": descriptor(MANIFEST, image.manifest),
        }
    )
    sbom = Image(raw, {sha256(b"{}"): b"{}", sha256(b'{"spdx": 1}'): b'{"spdx": 1}'})
    image.layout(folder, "latest")
    Image(raw, sbom.blobs | {sbom.digest: raw}).store(folder)
    index = json.loads((folder / "index.json").read_bytes())
    index["manifests"].append(descriptor(MANIFEST, raw))
    (folder / "index.json").write_bytes(as_json(index))
    return image, sbom


def sources(folder: Path) -> dict[str, str]:
    """Make one image of each kind; return what `add` takes for it."""
    Image.of("single").layout(folder / "single", "latest")
    Image.index(Image.of("a"), Image.of("b", architecture="arm64")).layout(folder / "index", "1")
    (folder / "content").mkdir()
    (folder / "content/hello.txt").write_text("hello\n" * 1000)
    run("umoci", "init", "--layout", str(folder / "made"))
    run("umoci", "new", "--image", f"{folder}/made:1.0")
    run("umoci", "insert", "--image", f"{folder}/made:1.0", str(folder / "content"), "/content")
    run("skopeo", "copy", "--dest-compress-format=zstd", f"oci:{folder}/made:1.0",
        f"oci:{folder}/zstd:1.0")  # fmt: skip
    run("skopeo", "copy", "--format=v2s2", f"oci:{folder}/made:1.0", f"dir:{folder}/docker")
    (folder / "data.csv").write_text("a,b\n1,2\n")
    (folder / "image.sif").write_bytes(sif())
    chart(folder / "hello-0.1.0.tgz")
    return {
        "single": f"oci:{folder}/single:latest",
        "index": f"oci:{folder}/index:1",
        "zstd": f"oci:{folder}/zstd:1.0",
        "docker": f"dir:{folder}/docker",
        "artifact": f"file:{folder}/data.csv",
        "sif": f"sif:{folder}/image.sif",
        "chart": f"chart:{folder}/hello-0.1.0.tgz",
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with one collection for each kind, and one with a referrer."""
    folder = tmp_path_factory.mktemp("trips")
    registry = folder / "registry"
    registry.mkdir()
    (registry / "_config.yml").write_text("title: Round trips\n")
    for kind, text in sources(folder).items():
        assert builder(["add", "-q", "-s", str(registry), text, f"trip/{kind}:1"]) == 0, kind
    with_referrer(folder / "subject")
    subject = f"oci:{folder}/subject:latest"
    flags = ["-q", "-s", str(registry), "--with-referrers"]
    assert builder(["add", *flags, subject, "trip/subject:1"]) == 0
    return registry


@pytest.fixture(scope="module")
def host(source: Path) -> Iterator[str]:
    with serving(source) as address:
        yield address


def stored(source: Path, kind: str, tag: str = "1") -> bytes:
    return (source / f"collections/trip/{kind}/manifests/{tag}/manifest.json").read_bytes()


def raw(host: str, reference: str) -> bytes:
    text = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host}/{reference}")
    return text.encode()


def get(url: str, accept: str = "*/*") -> requests.Response:
    return requests.get(url, headers={"Accept": accept}, timeout=20)


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_in_is_served(host: str, source: Path, kind: str) -> None:
    assert raw(host, f"trip/{kind}:1") == stored(source, kind)


@pytest.mark.parametrize("kind", ["single", "index", "zstd"])
def test_a_layout_gives_the_digest_it_had(
    host: str, source: Path, tmp_path: Path, kind: str
) -> None:
    image = f"docker://{host}/trip/{kind}:1"
    run("skopeo", "copy", "--all", "--src-tls-verify=false", image, f"oci:{tmp_path}:back")
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert index["manifests"][0]["digest"] == sha256(stored(source, kind))


def test_docker_s_format_keeps_its_bytes(host: str, source: Path, tmp_path: Path) -> None:
    image = f"docker://{host}/trip/docker:1"
    run("skopeo", "copy", "--src-tls-verify=false", image, f"dir:{tmp_path}/back")
    assert (tmp_path / "back/manifest.json").read_bytes() == stored(source, "docker")
    assert b"docker.distribution.manifest.v2" in stored(source, "docker")


@pytest.mark.parametrize("kind", KINDS)
def test_out_to_a_registry_and_back(source: Path, docker_registry: str, kind: str) -> None:
    there = f"docker://{docker_registry}/trips/{kind}:2"
    flags = ["-q", "-s", str(source)]
    assert builder(["push", *flags, f"trip/{kind}:1", there]) == 0
    assert raw(docker_registry, f"trips/{kind}:2") == stored(source, kind)
    assert builder(["add", *flags, there, f"back/{kind}:2"]) == 0
    back = source / f"collections/back/{kind}/manifests/2/manifest.json"
    assert back.read_bytes() == stored(source, kind)


def test_docker_s_format_from_a_registry(
    source: Path, docker_registry: str, tmp_path: Path
) -> None:
    run("skopeo", "copy", "--format=v2s2", "--dest-tls-verify=false",
        f"oci:{source.parent}/made:1.0", f"docker://{docker_registry}/v2s2:1")  # fmt: skip
    original = raw(docker_registry, "v2s2:1")
    assert (
        builder(
            ["add", "-q", "-s", str(source), f"docker://{docker_registry}/v2s2:1", "back/v2s2:1"]
        )
        == 0
    )
    added = source / "collections/back/v2s2/manifests/1/manifest.json"
    assert added.read_bytes() == original
    assert (
        builder(
            ["push", "-q", "-s", str(source), "back/v2s2:1", f"docker://{docker_registry}/again:1"]
        )
        == 0
    )
    assert raw(docker_registry, "again:1") == original
    assert tmp_path.exists()


def test_referrers_travel(source: Path, host: str, docker_registry: str) -> None:
    image, sbom = with_referrer(source.parent / "same")
    listed = get(f"http://{host}/v2/trip/subject/referrers/{image.digest}").json()
    assert [item["digest"] for item in listed["manifests"]] == [sbom.digest]
    schema = image.digest.replace(":", "-")
    by_tag = get(f"http://{host}/v2/trip/subject/manifests/{schema}").json()
    assert by_tag["manifests"] == listed["manifests"]
    there = f"docker://{docker_registry}/trips/subject:1"
    flags = ["-q", "-s", str(source)]
    assert builder(["push", *flags, "trip/subject:1", there]) == 0
    # docker-registry 2 has no referrers endpoint: whoever pushes writes the tag.
    pushed = get(f"http://{docker_registry}/v2/trips/subject/manifests/{schema}", INDEX).json()
    assert [item["digest"] for item in pushed["manifests"]] == [sbom.digest]
    assert builder(["add", *flags, "--with-referrers", there, "back/subject:1"]) == 0
    kept = source / "collections/back/subject/blobs" / sbom.digest.replace(":", "/")
    assert kept.read_bytes() == sbom.manifest


def test_a_folder_by_way_of_a_registry_to_anonymous_curl(
    docker_registry: str, tmp_path: Path
) -> None:
    """An index in an image layout, pushed by skopeo, added, built, and fetched."""
    registry = tmp_path / "registry"
    registry.mkdir()
    (registry / "_config.yml").write_text("title: One\n")
    image = Image.index(Image.of("x"), Image.of("y", architecture="arm64"))
    image.layout(tmp_path / "folder", "1.0.0")
    there = f"docker://{docker_registry}/one/app:1.0.0"
    layout = f"oci:{tmp_path}/folder:1.0.0"
    run("skopeo", "copy", "--all", "--dest-tls-verify=false", layout, there)
    assert builder(["add", "-q", "-s", str(registry), there, "one/app:1.0.0"]) == 0
    with serving(registry) as host:
        site = f"http://{host}/v2/one/app"
        curl = ["curl", "-fsSL", "-H", f"Accept: {INDEX}", "-H", "Authorization: Bearer QQ=="]
        manifest = run(*curl, f"{site}/manifests/1.0.0")
        assert sha256(manifest.encode()) == image.digest
        child = json.loads(run(*curl, f"{site}/manifests/{_first(json.loads(manifest))}"))
        layer = child["layers"][0]
        run(*curl, "-o", str(tmp_path / "layer"), f"{site}/blobs/{layer['digest']}")
        assert sha256((tmp_path / "layer").read_bytes()) == layer["digest"]
        shown = json.loads(
            run("skopeo", "inspect", "--tls-verify=false", f"docker://{host}/one/app:1.0.0")
        )
    assert (shown["Name"], shown["Digest"]) == (f"{host}/one/app", image.digest)
    assert shown["RepoTags"] == ["1.0.0"]
    assert shown["Layers"] == [layer["digest"]]


def _first(index: dict[str, Any]) -> str:
    digest: str = index["manifests"][0]["digest"]
    return digest


def test_a_layout_that_was_dropped_in(source: Path, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    (registry / "collections").mkdir(parents=True)
    (registry / "_config.yml").write_text("title: Dropped\n")
    run("skopeo", "copy", f"oci:{source.parent}/made:1.0",
        f"oci:{registry}/collections/dropped:1.0")  # fmt: skip
    index = json.loads((registry / "collections/dropped/index.json").read_bytes())
    with serving(registry) as host:
        assert sha256(raw(host, "dropped:1.0")) == index["manifests"][0]["digest"]
