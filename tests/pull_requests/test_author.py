"""Who proposes, by what the CI says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.pull_requests.author import find_author


@pytest.mark.parametrize(
    ("event", "author"),
    [
        (json.dumps({"pull_request": {"user": {"login": "opener"}}}), "opener"),
        (json.dumps({"pull_request": {"user": {"login": 7}}}), "actor"),
        (json.dumps({"pull_request": None}), "actor"),
        (json.dumps([]), "actor"),
        ("{", "actor"),
    ],
)
def test_who_opened_it_counts_before_who_pressed_a_button(
    tmp_path: Path, event: str, author: str
) -> None:
    path = tmp_path / "event.json"
    path.write_text(event)
    environment = {"GITHUB_EVENT_PATH": str(path), "GITHUB_ACTOR": "actor"}
    assert find_author(environment) == author


def test_gitlab_and_nobody(tmp_path: Path) -> None:
    assert find_author({"GITLAB_USER_LOGIN": "anna"}) == "anna"
    assert find_author({"GITHUB_EVENT_PATH": str(tmp_path / "none")}) == ""
