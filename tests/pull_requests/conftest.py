"""A registry under git, and a branch of it that proposes something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.config import Flags
from builder.pull_requests.base import open_base
from builder.pull_requests.judge import judge
from builder.pull_requests.model import Limits, Proposal
from builder.remote.options import RemoteOptions
from tests.conftest import write_tree
from tests.gitting import commit, git
from tests.images import Image

Judge = Callable[..., Proposal]
CONFIG = "title: T\nregistry:\n  immutable: ['v*']\n"
OWNERS = "* @boss\ncollections/vanessa/ @vanessa\ncollections/lab/ *\n"


@pytest.fixture
def repository(greeting: Path) -> Path:
    """A registry under git, with owners, an immutable tag and a branch for a proposal."""
    Image.of("fixed").tag(greeting / "collections/vanessa/greeting", "v1")
    write_tree(
        greeting,
        {
            "_config.yml": CONFIG,
            ".gitignore": "/.builder-cache/\n/_blobs/\n",
            ".github/CODEOWNERS": OWNERS,
            ".github/workflows/check.yml": "on: pull_request\n",
        },
    )
    git(greeting, "init", "-q", "-b", "main")
    commit(greeting, "base")
    git(greeting, "checkout", "-qb", "proposal")
    return greeting


@pytest.fixture
def judged(repository: Path) -> Judge:
    """Commit what lies there and judge it; `limits` are those of `Limits`."""

    def call(
        author: str = "vanessa",
        *,
        add: bool = True,
        remote: RemoteOptions | None = None,
        **limits: int,
    ) -> Proposal:
        if add:
            commit(repository, "proposed")
        return judge(open_base(Flags(str(repository)), "main"), author, Limits(**limits), remote)

    return call


def messages(proposal: Proposal) -> list[str]:
    return [f"{problem.path}: {problem.message}" for problem in proposal.problems]


def base_has(repository: Path, tree: dict[str, str]) -> None:
    """Change the base branch, and begin the proposal anew from there."""
    git(repository, "checkout", "-q", "main")
    write_tree(repository, tree)
    commit(repository, "base again")
    git(repository, "checkout", "-qB", "proposal")
