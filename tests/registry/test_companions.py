"""Companion tags and archives: what a build publishes beside tags, where, and when it will not."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from builder.oci.schema1 import EMPTY_LAYER_DIGEST, payload_of
from tests.conftest import read_tree
from tests.images import Image, sha256

G = "collections/vanessa/greeting"
V2 = "_site/v2/vanessa/greeting"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

Build = Callable[..., int]


def settings(registry: Path, text: str) -> None:
    (registry / "_config.yml").write_text(f"url: https://example.org\nregistry: {{{text}}}\n")


def listed(registry: Path) -> list[str]:
    found: list[str] = json.loads((registry / V2 / "tags/list").read_bytes())["tags"]
    return found


def both(**more: Any) -> Image:
    return Image.index(Image.of("a", **more), Image.of("b", architecture="arm64"))


def packed_as(kind: str, text: str = "zstd") -> Image:
    """Return an image whose layer says that it is of another type."""
    image = Image.of(text)
    document = json.loads(image.manifest)
    document["layers"][0]["mediaType"] = kind
    return Image(json.dumps(document).encode(), image.blobs)


def test_schema1_companions(greeting: Path, build: Build) -> None:
    both().tag(greeting / G, "1.0")
    settings(greeting, "schema1: true")
    assert build() == 0
    assert listed(greeting) == ["1.0", "1.0.s1", "latest", "latest.s1"]
    friendly = json.loads((greeting / "_site/vanessa/greeting/tags/index.json").read_bytes())
    assert friendly["tags"] == ["1.0", "latest"]
    body = (greeting / V2 / "manifests/1.0.s1").read_bytes()
    payload = payload_of(body)
    assert payload is not None
    assert json.loads(payload)["architecture"] == "amd64"
    assert (greeting / V2 / f"manifests/{sha256(payload)}").read_bytes() == body
    assert not (greeting / "_site/vanessa/greeting/tags/1.0.s1").exists()
    assert (greeting / V2 / "manifests/1.0").read_bytes() == both().manifest


def test_verify_knows_companions(
    greeting: Path, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    settings(greeting, "schema1: true")
    assert build() == 0
    site = greeting / "_site"
    assert run(["verify", str(site)]) == 0
    payload = payload_of((greeting / V2 / "manifests/latest.s1").read_bytes())
    assert payload is not None
    (greeting / V2 / f"manifests/{sha256(payload)}").write_bytes(b"{}")
    capfd.readouterr()
    assert run(["verify", str(site)]) == 1
    assert sha256(payload) in "".join(capfd.readouterr())


def test_the_empty_layer_is_there_when_it_is_named(greeting: Path, build: Build) -> None:
    settings(greeting, "schema1: true")
    assert build() == 0
    empty = greeting / V2 / "blobs" / EMPTY_LAYER_DIGEST
    assert not empty.exists()
    image = Image.of("steps")
    (digest,) = [key for key in image.blobs if image.blobs[key].startswith(b"{")]
    config = json.loads(image.blobs.pop(digest))
    config["history"].append({"created_by": "CMD", "empty_layer": True})
    raw = json.dumps(config).encode()
    document = json.loads(image.manifest)
    document["config"] |= {"digest": sha256(raw), "size": len(raw)}
    Image(json.dumps(document).encode(), image.blobs | {sha256(raw): raw}).tag(greeting / G, "2")
    assert build() == 0
    assert sha256(empty.read_bytes()) == EMPTY_LAYER_DIGEST


def test_only_for_hosts_without_types(greeting: Path, build: Build) -> None:
    settings(greeting, "schema1: true, platform_tags: true")
    both().tag(greeting / G, "1.0")
    assert build("-t", "s3") == 0
    assert listed(greeting) == ["1.0", "latest"]
    assert build("-t", "github-pages", "-b", "/below") == 0
    assert listed(greeting) == ["1.0", "latest"]
    assert build("-t", "github-pages") == 0
    assert "1.0.s1" in listed(greeting)


def test_platform_tags_leave_real_ones_alone(greeting: Path, build: Build) -> None:
    index = both()
    index.tag(greeting / G, "1.0")
    Image.of("mine").tag(greeting / G, "1.0-AMD64")
    settings(greeting, "platform_tags: true")
    assert build() == 0
    assert listed(greeting) == ["1.0", "1.0-AMD64", "1.0-arm64", "latest"]
    child = json.loads(index.manifest)["manifests"][1]["digest"]
    raw = (greeting / V2 / "manifests/1.0-arm64").read_bytes()
    assert sha256(raw) == child
    settings(greeting, "platform_tags: true, schema1: {suffix: -old, platform: linux/arm64}")
    assert build() == 0
    assert "1.0-arm64-old" not in listed(greeting)
    body = json.loads((greeting / V2 / "manifests/1.0-old").read_bytes())
    assert body["architecture"] == "arm64"


def test_a_companion_that_is_a_tag(
    greeting: Path, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    Image.of("two").tag(greeting / G, "latest.s1")
    settings(greeting, "schema1: true")
    assert build() == 1
    told = capfd.readouterr().err
    assert f"{G}/manifests/latest.s1: " in told
    assert f"{G}/manifests/latest " in told
    assert "registry.schema1" in told
    assert not (greeting / "_site").exists()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (packed_as(ZSTD), "layer 1 is"),
        (Image.index(Image.of("c", architecture="s390x")), "no image for linux/amd64"),
    ],
)
def test_what_cannot_be_rendered_is_told(
    image: Image, words: str, greeting: Path, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    if "no image" in words:
        image = Image(image.manifest.replace(b'"amd64"', b'"s390x"'), image.blobs, image.media_type)
    image.tag(greeting / G, "odd")
    settings(greeting, "schema1: true")
    assert build() == 0
    assert listed(greeting) == ["latest", "latest.s1", "odd"]
    told = capfd.readouterr().err
    assert f"{G}/manifests/odd: warning: has no schema 1 companion" in told
    assert words in told


def test_signatures_are_no_images(
    greeting: Path, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    packed_as("application/vnd.dev.cosign.simplesigning.v1+json").tag(greeting / G, "sig")
    settings(greeting, "schema1: true, archives: true")
    assert build() == 0
    assert listed(greeting) == ["latest", "latest.s1", "sig"]
    assert "warning" not in capfd.readouterr().err


def test_archives(greeting: Path, build: Build) -> None:
    index = both()
    index.tag(greeting / G, "1.0")
    settings(greeting, "archives: true")
    assert build("-t", "nginx") == 0
    folder = greeting / "_site/vanessa/greeting/tags"
    assert (folder / "latest/greeting_latest.tar").exists()
    assert sorted(path.name for path in (folder / "1.0").glob("*.tar")) == [
        "greeting_1.0-amd64.tar", "greeting_1.0-arm64.tar",
    ]  # fmt: skip
    data = (folder / "1.0/greeting_1.0-arm64.tar").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {item.name: archive.extractfile(item) for item in archive}
        contents = {name: stream.read() for name, stream in members.items() if stream}
    (entry,) = json.loads(contents["manifest.json"])
    assert entry["RepoTags"] == ["example.org/vanessa/greeting:1.0"]
    assert json.loads(contents[entry["Config"]])["architecture"] == "arm64"
    layers = [sha256(contents[name]) for name in entry["Layers"]]
    child = json.loads(index.blobs[json.loads(index.manifest)["manifests"][1]["digest"]])
    assert layers == [layer["digest"] for layer in child["layers"]]


def test_archives_are_made_once_and_are_equal_anywhere(greeting: Path, build: Build) -> None:
    settings(greeting, "archives: true")
    assert build() == 0
    file = greeting / "_site/vanessa/greeting/tags/latest/greeting_latest.tar"
    before = file.stat().st_mtime_ns
    (greeting / G / "README.md").write_text("---\ntitle: Other\n---\nWords.\n")
    assert build() == 0
    shutil.rmtree(greeting / ".builder-cache")
    assert build() == 0
    assert file.stat().st_mtime_ns == before
    assert build("-d", str(greeting / "fresh")) == 0
    assert read_tree(greeting / "fresh") == read_tree(greeting / "_site")
    settings(greeting, "archives: false")
    assert build() == 0
    assert not file.exists()


def test_archives_that_cannot_be(
    greeting: Path, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    packed_as(ZSTD).tag(greeting / G, "zstd")
    far = Image.of("far away")
    (layer,) = [digest for digest in far.blobs if not far.blobs[digest].startswith(b"{")]
    far.tag(greeting / G, "far")
    (greeting / G / "blobs" / layer.replace(":", "/")).unlink()
    settings(greeting, "archives: true, blobs: https://blobs.example.org/")
    assert build() == 0
    told = capfd.readouterr().err
    assert "manifests/zstd: warning: has no archive" in told
    assert "manifests/far: warning: has no archive" in told
    names = [path.name for path in (greeting / "_site").rglob("*.tar")]
    assert names == ["greeting_latest.tar"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema1: 3", "true, false or a mapping"),
        ("schema1: {sufix: .x}", "unknown key 'registry.schema1.sufix'"),
        ("schema1: {suffix: a/b}", "cannot end a tag"),
        ("schema1: {platform: amd64}", "is not a platform"),
        ("platform_tags: maybe", "must be true or false"),
    ],
)
def test_settings_that_make_no_sense(
    text: str, words: str, greeting: Path, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    settings(greeting, text)
    assert build() == 1
    assert words in capfd.readouterr().err
