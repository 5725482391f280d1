"""Large files of one image are hashed side by side: a fault of each is said all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.cli import run
from builder.registry import content
from tests.images import Image

Capture = pytest.CaptureFixture[str]
IMAGE = Image.of("top", below=["one", "two", "three"])


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_SLOW", 0)
    monkeypatch.setattr(content, "ALWAYS_HASHED", 0)


@pytest.fixture
def layers(registry: Path) -> list[Path]:
    """The files of an image's blobs, in a registry that has it twice."""
    for name in ("a", "b"):
        IMAGE.tag(registry / f"collections/large/{name}", "1.0")
    return sorted((registry / "collections/large/a/blobs/sha256").iterdir())


def test_each_is_hashed_once(
    registry: Path, layers: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = registry / "log"
    hashed = content._encoded

    def noted(file: str | Path, digest: str, label: str) -> str:
        with log.open("a") as lines:
            lines.write(f"{digest}\n")
        return hashed(file, digest, label)

    monkeypatch.setattr(content, "_encoded", noted)
    assert run(["build", "-q", "-s", str(registry)]) == 0
    assert len(log.read_text().splitlines()) == 2 * len(layers)


@pytest.mark.parametrize("number", range(5))
def test_a_damaged_one_is_named(
    registry: Path, layers: list[Path], number: int, capsys: Capture
) -> None:
    data = bytearray(layers[number].read_bytes())
    data[-1] ^= 1
    layers[number].write_bytes(data)
    assert run(["check", "-q", "-s", str(registry)]) == 1
    said = capsys.readouterr().err
    assert f"collections/large/a/blobs/sha256/{layers[number].name}: the file's bytes" in said
    assert "large/b" not in said


def test_one_that_nobody_may_read_is_named(
    registry: Path, layers: list[Path], capsys: Capture
) -> None:
    layers[1].unlink()
    os.mkfifo(layers[1])
    assert run(["check", "-q", "-s", str(registry)]) == 1
    assert layers[1].name in capsys.readouterr().err
