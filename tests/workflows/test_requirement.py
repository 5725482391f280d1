"""The builder that made a registry is named exactly, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.workflows.requirement import requirement
from tests.gitting import commit, git

NAME = "static-container-registry"
COMMIT = "0" * 40


class Installed:
    """A distribution as importlib.metadata gives it."""

    version = "1.4.2"

    def __init__(self, origin: dict[str, Any] | None) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.origin is None else json.dumps(self.origin)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Any:
    def ask(origin: dict[str, Any] | None) -> str | None:
        monkeypatch.setattr(
            "builder.workflows.requirement.distribution", lambda _: Installed(origin)
        )
        return requirement()

    return ask


def vcs(url: str, kind: str = "git") -> dict[str, Any]:
    return {"url": url, "vcs_info": {"vcs": kind, "commit_id": COMMIT}}


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, f"{NAME}==1.4.2"),
        (vcs("https://git.example/a/b.git"), f"{NAME} @ git+https://git.example/a/b.git@{COMMIT}"),
        (vcs("https://me:secret@git.example:8443/a/b"),
         f"{NAME} @ git+https://git.example:8443/a/b@{COMMIT}"),
        (vcs("ssh://git@git.example:22/a/b"), f"{NAME} @ git+https://git.example/a/b@{COMMIT}"),
        (vcs("https://git.example/a/b", "hg"), None),
        (vcs("file:///srv/a/b"), None),
        ({"url": "file:///tmp/x.whl", "archive_info": {}}, None),
        ({"url": "file:///nowhere", "dir_info": {}}, None),
    ],
)  # fmt: skip
def test_it_is_named_by_where_it_came_from(
    found: Any, origin: dict[str, Any] | None, line: str | None
) -> None:
    assert found(origin) == line


@pytest.mark.parametrize(
    ("url", "inner"),
    [
        ("git@git.example:a/b.git", "git.example/a/b.git"),
        ("https://token@git.example/a/b", "git.example/a/b"),
        ("../elsewhere", None),
        (None, None),
    ],
)
def test_a_clone_is_named_by_its_origin_and_commit(
    found: Any, tmp_path: Path, url: str | None, inner: str | None
) -> None:
    clone = tmp_path / "a clone"
    clone.mkdir()
    git(clone, "init", "-q")
    made = commit(clone, "All")
    if url:
        git(clone, "remote", "add", "origin", url)
    origin = {"url": clone.as_uri(), "dir_info": {"editable": True}}
    assert found(origin) == (inner and f"{NAME} @ git+https://{inner}@{made}")


def test_a_builder_that_was_not_installed_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.workflows.requirement._NAME", "no-such-distribution")
    assert requirement() is None
