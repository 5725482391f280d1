"""A target's rules are made of the content alone: a second build has those of a clean one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from builder.targets import target_names
from tests.conftest import read_tree, write_tree
from tests.images import Image


def build(registry: Path, target: str, destination: Path) -> dict[str, bytes]:
    done = run(["build", "-q", "-s", str(registry), "-t", target, "-d", str(destination)])
    assert done == 0
    beside = read_tree(destination.with_name(f"{destination.name}.{target}"))
    return read_tree(destination) | {f"beside/{path}": data for path, data in beside.items()}


def clean(registry: Path, target: str, destination: Path) -> dict[str, bytes]:
    """Build a copy, with no cache and no record, elsewhere."""
    copy = destination.with_name("copy")
    shutil.copytree(registry, copy, ignore=shutil.ignore_patterns(".builder-cache"))
    try:
        return build(copy, target, destination)
    finally:
        shutil.rmtree(copy)


@pytest.mark.parametrize("target", [name for name in target_names() if name != "preview"])
def test_every_build_has_the_rules_of_a_clean_one(
    target: str, registry: Path, tmp_path: Path
) -> None:
    for name in ("anna/one", "anna/two", "carl/three"):
        folder = registry / "collections" / name
        write_tree(folder, {"README.md": f"---\ntitle: {name}\n---\nHello.\n"})
        Image.of(name).tag(folder, "1.0")
    collections = registry / "collections"
    changes: tuple[Callable[[], object], ...] = (
        lambda: write_tree(collections, {"anna/one/README.md": "---\ntitle: X\n---\nY\n"}),
        lambda: Image.index(Image.of("a"), Image.of("b")).tag(collections / "anna/two", "2.0"),
        lambda: shutil.rmtree(collections / "carl"),
    )
    build(registry, target, tmp_path / "site")
    for number, change in enumerate(changes):
        change()
        again = build(registry, target, tmp_path / "site")
        assert again == clean(registry, target, tmp_path / f"clean{number}")
