"""Time limits are for one text: what is hashed is neither cut off nor hashed twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from builder.build import worker
from builder.cli import run
from builder.cli.serve_builds import Rebuilder
from builder.config import Config, load_config
from builder.config.flags import Flags
from builder.registry.content import hashed_key
from builder.storage.cache import Cache
from builder.write import workers
from tests.conftest import write_tree
from tests.e2e.test_faults import large_image

SLOW = "---\ntitle: x\n---\n```autohotkey\n" + "\n" * 8000 + "```\n"
NAME = "collections/vanessa/large"


@pytest.fixture
def hard(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of a large layer and a README that takes more than a second."""
    large_image().tag(greeting / NAME, "latest")
    write_tree(greeting, {f"{NAME}/README.md": SLOW})
    monkeypatch.setattr(worker, "TEXT_SECONDS", 1)
    return greeting


def test_the_text_is_blamed_and_the_hash_is_kept(
    hard: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert build() == 1
    told = capfd.readouterr().err
    assert f"{NAME}/README.md: took more than 1 seconds of processor time to render" in told
    assert "1 problem; nothing was changed" in told
    layer = next(path for path in hard.glob(f"{NAME}/blobs/sha256/*")
                 if path.stat().st_size > 16 << 20)  # fmt: skip
    key = hashed_key(f"sha256:{layer.name}", os.lstat(layer))
    assert Cache(hard / ".builder-cache/cache.sqlite").get(key) is not None


class Session:
    """What a worker does: one text within its limit, and much work that is none."""

    def work(self, item: int) -> int:
        with workers.Limited("a text", "to render", 1, ""):
            pass
        return sum(number * number for number in range(item))


def test_the_limit_is_not_for_what_is_around_the_text() -> None:
    def died(item: int, death: workers.Death) -> int:
        pytest.fail(f"{item}: {death}")

    with workers.Workers(Session(), 1) as pool:
        (result,) = pool.run("work", [20_000_000], key=str, died=died)
    assert result > 0


def test_check_has_the_same_limit(hard: Path) -> None:
    assert run(["check", "-q", "-s", str(hard)]) == 1


def test_a_preview_outlives_the_text(hard: Path) -> None:
    def configure(url: str) -> Config:
        config = load_config(Flags(str(hard), target="preview", url=url))
        return replace(config, destination=config.cache / "serve/preview")

    address, readme = "http://127.0.0.1:4000", f"{NAME}/README.md"
    with closing(Rebuilder(configure, 1)) as builder:
        for text, is_bad in (("x", False), (SLOW, True), ("y", False)):
            (hard / readme).write_text(text)
            outcome = builder.build(address, frozenset({readme}))
            assert outcome.failed == is_bad
            assert ("took more than 1 seconds" in "".join(outcome.problems)) == is_bad
