"""The page of a namespace lists what is below its folder, whatever names stand beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.cli import run
from tests.conftest import write_tree

NAMES = ["te/a", "team-x/b", "team.x/c", "team/d", "team/deep/e", "team/z", "team0/f", "teams/g"]


@pytest.mark.parametrize("name", ["team", "team/deep", "te", "team0", "teams"])
def test_a_namespace_lists_what_is_below_it(registry: Path, tmp_path: Path, name: str) -> None:
    write_tree(registry, {f"collections/{each}/README.md": "Text.\n" for each in NAMES})
    assert run(["build", "-q", "-s", str(registry), "-d", str(tmp_path / "site")]) == 0
    page = json.loads((tmp_path / "site" / name / "index.json").read_text())
    listed = [row["name"] for row in page["collections"]]
    assert sorted(listed) == [each for each in NAMES if each.startswith(f"{name}/")]
