"""A registry of this project beside a real one that it mirrors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conftest import write_tree
from tests.e2e.conftest import running_registry
from tests.remote.conftest import home
from tests.sync.upstream import Upstream

__all__ = ["home"]

Sync = Callable[..., tuple[int, dict[str, Any], str]]
Open = Callable[[str], Upstream]


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry; tests share it, each with repositories of its own."""
    with running_registry(tmp_path_factory.mktemp("upstream")) as address:
        yield address


@pytest.fixture
def upstream(host: str) -> Iterator[Open]:
    """Return what opens a repository of that registry, to write to."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(closing(Upstream(host, name)))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A registry without a collection."""
    folder = tmp_path / "mine"
    write_tree(folder, {"_config.yml": "title: M\n", "collections/README.md": ""})
    return folder


@pytest.fixture
def sync(mine: Path, capsys: pytest.CaptureFixture[str]) -> Sync:
    """Return what sets `registry.sync`, runs the command, and returns its exit, JSON and errors."""

    def synchronise(
        mirrors: list[Any] | None, *flags: str, **registry: Any
    ) -> tuple[int, dict[str, Any], str]:
        if mirrors is not None:
            document = {"title": "M", "registry": {"sync": mirrors, **registry}}
            (mine / "_config.yml").write_text(json.dumps(document))
        capsys.readouterr()
        status = run(["sync", "-q", "--json", "-s", str(mine), *flags])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else {}, err

    return synchronise
