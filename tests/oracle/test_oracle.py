"""A short run of the oracle; `make oracle` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle.play import TARGETS, Game, play
from tests.oracle.world import make_app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_app(tmp_path_factory.mktemp("app"))


@pytest.mark.parametrize("serve", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_a_build_after_any_edits_is_a_first_build(
    target: str, app: Path, tmp_path: Path, *, serve: bool
) -> None:
    failure = play(Game(len(target), target, serve), range(5), tmp_path, app)
    assert failure is None, failure
