"""A short run of the oracle; `make oracle` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle.play import TARGETS, Game, play


@pytest.mark.parametrize("serve", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_a_build_after_any_edits_is_a_first_build(
    target: str, oracle_app: Path, tmp_path: Path, *, serve: bool
) -> None:
    failure = play(Game(len(target), target, serve), range(5), tmp_path, oracle_app)
    assert failure is None, failure
