"""What tests of publishing share: a registry that changes, and ways to publish it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.images import Image, sha256

Publish = Callable[..., Any]


@pytest.fixture
def publish(
    greeting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Publish:
    """Publish the registry; returns what --json says, or the exit code and the error."""
    monkeypatch.setattr("builder.cli.publish.now", lambda: "2024-05-01T12:00:00Z")

    def call(dest: str | Path, *arguments: str) -> Any:
        capsys.readouterr()
        status = run(["publish", str(dest), "-s", str(greeting), "--json", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return json.loads(said.out) if status == 0 else (status, said.err)

    return call


@pytest.fixture
def move(greeting: Path) -> Callable[[str], Image]:
    """Point the tag `latest` to another image, and forget the old one's blobs."""

    def call(text: str) -> Image:
        folder = greeting / "collections/vanessa/greeting"
        for blob in (folder / "blobs/sha256").glob("*"):
            blob.unlink()
        image = Image.of(text)
        image.tag(folder, "latest")
        return image

    return call


def complete(read: Callable[[str], bytes | None], tag: str = "latest") -> str:
    """Pull an image by way of `read`, checking every byte; returns the manifest's digest."""
    name = "vanessa/greeting"
    raw = read(f"v2/{name}/manifests/{tag}")
    assert raw is not None
    digest = sha256(raw)
    assert read(f"v2/{name}/manifests/{digest}") == raw
    manifest = json.loads(raw)
    if "manifests" in manifest:
        for item in manifest["manifests"]:
            assert complete(read, item["digest"]) == item["digest"]
        return digest
    for item in [manifest["config"], *manifest["layers"]]:
        blob = read(f"v2/{name}/blobs/{item['digest']}")
        assert blob is not None
        assert sha256(blob) == item["digest"]
    return digest
