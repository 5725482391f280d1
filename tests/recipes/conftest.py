"""Registries with recipes, built by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conftest import write_tree

HELLO = 'echo hello > "$BUILDER_OUTPUT/hello.txt"\n'
Command = Callable[..., Any]


def tag_folder(registry: Path, reference: str) -> Path:
    name, _, tag = reference.partition(":")
    return registry / "collections" / name / "manifests" / tag


def recipe(registry: Path, reference: str, files: dict[str, str] | None = None) -> Path:
    """Write a tag folder with a recipe; `build.sh` that makes one file unless told otherwise."""
    folder = tag_folder(registry, reference)
    write_tree(folder, {"build.sh": HELLO} if files is None else files)
    return folder


@pytest.fixture
def recipes(registry: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `builder recipes` with --json; returns what it prints after checking the exit code."""

    def call(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        status = run(["recipes", *arguments, "--json", "-s", str(registry)])
        captured = capsys.readouterr()
        assert status == code, captured.err
        return json.loads(captured.out) if captured.out and status != 2 else captured.err

    return call


@pytest.fixture
def states(recipes: Command) -> Callable[[], dict[str, str]]:
    """Return the state of every recipe."""
    return lambda: {f"{item['name']}:{item['tag']}": item["state"] for item in recipes()}
