"""Layers in a bucket: brought there, linked to, looked after."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conftest import read_tree
from tests.images import Image
from tests.publish.fake_s3 import FakeS3, Stored

Capture = pytest.CaptureFixture[str]
IMAGE = Image.of("far away")
LAYER: str = json.loads(IMAGE.manifest)["layers"][0]["digest"]
KEY = f"layers/blobs/{LAYER.replace(':', '/')}"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.offsite.bucket.time.sleep", lambda _: None)


@pytest.fixture
def fake(fake: FakeS3, registry: Path) -> FakeS3:
    """A bucket that everybody may read, and a registry whose layers go there."""
    (registry / "_config.yml").write_text(
        "registry:\n  commit_below: 0\n  target: nginx\n  blobs: s3://bucket/layers\n"
        f"  blobs_url: {fake.address}/bucket/layers\n"
    )
    return fake


Builder = Callable[..., Any]


@pytest.fixture
def builder(registry: Path, tmp_path: Path, capsys: Capture) -> Builder:
    """Run a command on the registry; returns the exit code and what was told, or the JSON."""
    IMAGE.layout(tmp_path / "layout", "1")

    def call(*arguments: str) -> Any:
        capsys.readouterr()
        code = run([*arguments, "-s", str(registry)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return (code, said.out + said.err) if "--json" not in arguments else json.loads(said.out)

    return call


@pytest.fixture
def add(builder: Builder, tmp_path: Path) -> Callable[[], tuple[int, str]]:
    """Add the image."""

    def call() -> tuple[int, str]:
        found: tuple[int, str] = builder("add", f"oci:{tmp_path}/layout", "a/b:1")
        return found

    return call


Add = Callable[[], tuple[int, str]]


def test_a_layer_goes_there_and_clients_are_sent_to_it(
    fake: FakeS3, add: Add, builder: Builder, registry: Path
) -> None:
    code, said = add()
    assert code == 0, said
    assert "kept in the place that registry.blobs names" in said
    assert list(fake.objects) == [KEY]
    assert fake.objects[KEY].body == IMAGE.blobs[LAYER]
    assert fake.objects[KEY].headers["content-type"] == "application/octet-stream"
    assert not any(LAYER.partition(":")[2] in path for path in read_tree(registry))
    assert builder("build")[0] == 0
    emitted = b"".join(read_tree(registry).values()).decode("utf-8", "replace")
    assert f"{fake.address}/bucket/{KEY}" in emitted
    puts = len(fake.names("PUT"))
    assert add()[0] == 0
    assert len(fake.names("PUT")) == puts


def _other_bytes(fake: FakeS3) -> None:
    def store(key: str, body: bytes, headers: Mapping[str, str]) -> Stored:
        return FakeS3.store(fake, key, body[:-1] + b"x", headers)

    fake.store = store  # type: ignore[method-assign]


LIES: dict[str, tuple[Callable[[FakeS3], object], str]] = {
    "forgets": (lambda fake: setattr(fake, "lies", lambda key: True), "is missing after"),  # noqa: ARG005
    "other bytes": (_other_bytes, "does not return what was just uploaded"),
    "denies": (
        lambda fake: setattr(fake, "fault", lambda method, key: (403, "AccessDenied")),  # noqa: ARG005
        "403",
    ),
    "private": (
        lambda fake: setattr(
            fake, "fault",
            lambda method, key: (403, "AccessDenied")
            if method == "GET" and key and not fake.names("PUT") else None,
        ),
        "without a login",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_no_tag_points_to_what_a_bucket_does_not_give(
    name: str, fake: FakeS3, add: Add, registry: Path
) -> None:
    before = read_tree(registry)
    lie, words = LIES[name]
    lie(fake)
    code, said = add()
    assert code == 4
    assert words in said
    assert {path: data for path, data in read_tree(registry).items()
            if not path.startswith(".builder-cache")} == before  # fmt: skip


def test_what_lies_in_the_bucket_is_checked_when_asked(
    fake: FakeS3, add: Add, builder: Builder
) -> None:
    assert add()[0] == 0
    assert builder("check", "--blobs")[0] == 0
    good = fake.objects[KEY]
    fake.objects[KEY] = Stored(good.body[:-1] + b"x", good.headers, good.modified)
    assert builder("check")[0] == 0
    code, said = builder("check", "--blobs")
    assert code == 1
    assert f"s3://bucket/{KEY}: " in said
    assert "the bytes have another digest" in said
    assert "a/b needs it" in said
    fake.objects.clear()
    code, said = builder("check", "--blobs")
    assert code == 1
    assert "is missing" in said
    fake.fault = lambda method, key: (403, "AccessDenied")  # noqa: ARG005
    assert builder("check", "--blobs")[0] == 4


def test_a_layer_with_an_address_of_its_own_is_not_looked_for(
    fake: FakeS3, add: Add, builder: Builder
) -> None:
    assert add()[0] == 0
    fake.store("elsewhere/image.sif", b"SIF bytes", {})
    assert builder("add", "s3://bucket/elsewhere/image.sif", "x/y:1")[0] == 0
    code, said = builder("check", "--blobs")
    assert code == 0, said


def _written_in(fake: FakeS3, year: int) -> None:
    fake.objects = {
        key: Stored(item.body, item.headers, item.modified.replace(year=year))
        for key, item in fake.objects.items()
    }


def test_gc_and_du_look_there_when_asked(fake: FakeS3, add: Add, builder: Builder) -> None:
    assert add()[0] == 0
    lost = f"layers/blobs/sha256/{'0' * 64}"
    for key in (lost, "layers/other", "other/blobs/sha256/" + "1" * 64):
        fake.store(key, b"12345", {})
    found = builder("du", "--blobs", "--json")["bucket"]
    size = len(IMAGE.blobs[LAYER])
    assert found == {"place": "s3://bucket/layers", "total": size + 5, "unreachable": 5}
    assert builder("gc", "--delete", "--json")["blobs"] == []
    _written_in(fake, 2099)
    assert builder("gc", "--blobs", "--json")["blobs"] == []
    _written_in(fake, 2020)
    (blob,) = builder("gc", "--blobs", "--json")["blobs"]
    assert blob["path"] == f"s3://bucket/{lost}"
    assert lost in fake.objects
    assert builder("gc", "--blobs", "--delete")[0] == 0
    assert lost not in fake.objects
    assert KEY in fake.objects
    assert "layers/other" in fake.objects
    assert builder("untag", "a/b:1")[0] == 0
    assert builder("gc", "--blobs", "--delete")[0] == 0
    assert KEY not in fake.objects


def test_export_reads_from_there(fake: FakeS3, add: Add, builder: Builder, tmp_path: Path) -> None:
    assert add()[0] == 0
    assert builder("export", "a/b:1", f"oci:{tmp_path}/out:1")[0] == 0
    copy = tmp_path / "out/blobs" / LAYER.replace(":", "/")
    assert copy.read_bytes() == IMAGE.blobs[LAYER]
    fake.objects.clear()
    assert builder("export", "a/b:1", f"oci:{tmp_path}/again:1")[0] != 0


def test_the_files_of_what_lies_there_are_listed(
    fake: FakeS3, builder: Builder, registry: Path, tmp_path: Path
) -> None:
    assert fake.address
    code, said = builder("add", "--files", f"oci:{tmp_path}/layout", "a/b:1")
    assert code == 0
    assert "listed the files of 1 layer" in said
    code, said = builder("inspect", "--files", "a/b:1")
    assert code == 0
    assert "hello.txt" in said
    assert not list((registry / ".builder-cache").glob("layers-*"))


def test_an_address_without_a_bucket_is_a_warning(builder: Builder, registry: Path) -> None:
    (registry / "_config.yml").write_text("registry:\n  blobs_url: https://example.org\n")
    code, said = builder("check")
    assert code == 0
    assert "_config.yml:2: warning: registry.blobs_url does nothing" in said


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("blobs: s3://bucket", "registry.blobs_url"),
        ("blobs: s3://user:word@bucket\n  blobs_url: https://example.org", "s3://user:***@bucket"),
        ("blobs: s3://bucket/a b\n  blobs_url: https://example.org", "is not a plain path"),
        ("blobs: s3://bucket\n  blobs_url: http://plain.example.org", "not a public address"),
        ("blobs: s3://bucket\n  blobs_url: https://user@example.org/x", "not a public address"),
    ],
)
def test_an_address_for_clients_is_needed(
    config: str, words: str, builder: Builder, registry: Path
) -> None:
    (registry / "_config.yml").write_text(f"registry:\n  {config}\n")
    code, said = builder("build")
    assert code == 1
    assert words in said
    assert "_config.yml:2" in said


@pytest.mark.parametrize("command", ["gc", "du", "check"])
def test_no_bucket_to_look_into(command: str, builder: Builder) -> None:
    assert builder(command, "--blobs")[0] == 2
