"""Hosts take files and sites up to a size: a build that is over says so, and what to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder import targets
from builder.output import Capabilities
from builder.targets.base import FileHost
from builder.targets.limits import too_large, too_much
from tests.images import Image

G = "collections/vanessa/greeting"
HOST = Capabilities("h", "A host", max_file=10, max_site=100, max_files=3)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give the plain target limits."""
    plain = targets.TARGETS["plain"].capabilities

    def call(**limits: Any) -> None:
        made = FileHost(replace(plain, **limits))
        monkeypatch.setattr(targets, "TARGETS", {**targets.TARGETS, "plain": made})

    return call


def test_the_problems_say_count_limit_and_way_out() -> None:
    (problem,) = too_large(HOST, [("a", 10), ("b", 1234)])
    assert str(problem).startswith("b: is 1,234 bytes; A host takes files of up to 10\n  hint: ")
    assert "registry.host" in problem.hint
    assert "registry.blobs" not in problem.hint
    (elsewhere,) = too_large(replace(HOST, redirects=True), [("b", 11)])
    assert "registry.blobs" in elsewhere.hint
    told = list(too_large(HOST, ((f"{number:02}", 11) for number in range(30))))
    assert len(told) == 21
    assert "10 more" in told[-1].message
    size, count = too_much(HOST, "_config.yml", 101, 4)
    assert size.message == "the site is 101 bytes; A host takes 100"
    assert count.message == "the site has 4 files; A host takes 3"
    assert list(too_much(HOST, "_config.yml", 100, 3)) == []
    assert list(too_much(Capabilities("x", "X"), "_config.yml", 1 << 60, 1 << 30)) == []


def test_a_large_layer_stops_github_pages_before_anything_is_written(
    greeting: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    size = 100_000_001
    digest = hashlib.sha256(bytes(size)).hexdigest()
    file = greeting / "_blobs/blobs/sha256" / digest
    file.parent.mkdir(parents=True)
    with file.open("wb") as out:
        out.truncate(size)
    document = json.loads(Image.of("one").manifest)
    document["layers"][0] |= {"digest": f"sha256:{digest}", "size": size}
    (greeting / G / "manifests/latest/manifest.json").write_text(json.dumps(document))
    assert build("-t", "github-pages") == 1
    told = capfd.readouterr().err
    assert f"_blobs/blobs/sha256/{digest}: is 100,000,001 bytes; GitHub Pages" in told
    assert not (greeting / "_site").exists()
    (greeting / "_config.yml").write_text(
        "url: https://pages.example.org\nregistry: {host: registry.example.org}\n"
    )
    assert build("-t", "github-pages") == 0


def test_layers_alone_are_too_much(
    greeting: Path, build: Callable[..., int], limit: Callable[..., None]
) -> None:
    limit(max_site=100)
    assert build() == 1
    assert not (greeting / "_site").exists()


def test_the_whole_is_counted_again_each_time(
    greeting: Path,
    build: Callable[..., int],
    limit: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert build() == 0
    files = sum(path.is_file() for path in (greeting / "_site").rglob("*")) - 1  # the marker
    limit(max_files=files, max_site=20_000_000)
    assert build() == 0
    Image.of("two").tag(greeting / G, "two")
    for _ in range(2):
        assert build() == 1
        told = capfd.readouterr().err
        assert f"takes {files:,}" in told
        assert "nothing was changed" in told
        assert not (greeting / "_site/vanessa/greeting/tags/two").exists()
    page = (greeting / "_site/vanessa/greeting/index.html").stat().st_size
    limit(max_files=2 * files, max_file=page - 1)
    assert build() == 1
    assert "/vanessa/greeting/index.html: is " in capfd.readouterr().err
    limit()
    assert build() == 0
