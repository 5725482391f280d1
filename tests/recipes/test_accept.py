"""Recipes that one machine builds, and another takes in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conftest import read_tree
from tests.gitting import commit, git
from tests.images import Image
from tests.recipes.conftest import HELLO, Command, recipe

Plan = Callable[..., Any]


@pytest.fixture
def owned(registry: Path) -> Path:
    """A registry in git whose recipes have owners."""
    rules = "* @boss\n/collections/a/ @Anna @bert\n/collections/open/ * @boss\n"
    (registry / "OWNERS").write_text(rules)
    for reference in ("a/one:1", "a/two:1", "open/x:1", "open/y:1", "open/y:2", "c:1"):
        recipe(registry, reference)
    git(registry, "init", "-q")
    commit(registry, "All")
    return registry


def test_the_work_is_shared_out_by_owners(
    owned: Path, recipes: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = recipes("plan")
    assert {
        (item["owner"], item["name"]): [f"{row['name']}:{row['tag']}" for row in item["recipes"]]
        for item in shares
    } == {
        ("", "open/x"): ["open/x:1"], ("", "open/y"): ["open/y:1", "open/y:2"],
        ("anna,bert", ""): ["a/one:1", "a/two:1"], ("boss", ""): ["c:1"],
    }  # fmt: skip
    assert run(["recipes", "plan", "-s", str(owned)]) == 0
    assert capsys.readouterr().out == "- open/x\n- open/y\nanna,bert -\nboss -\n"
    assert [item["name"] for item in recipes("plan", "--owner", "-", "open/y")] == ["open/y"]
    assert [item["owner"] for item in recipes("plan", "--owner", "boss")] == ["boss"]
    assert recipes("plan", "--owner", "bert") == []


def test_a_registry_without_owners_is_shared_out_by_collections(
    registry: Path, recipes: Command
) -> None:
    recipe(registry, "a/b:1")
    assert "git" in str(recipes("plan", code=2))
    git(registry, "init", "-q")
    commit(registry, "All")
    assert [(item["owner"], item["name"]) for item in recipes("plan")] == [("", "a/b")]


def test_what_was_built_elsewhere_comes_in(
    owned: Path, recipes: Command, tmp_path: Path, build: Callable[..., int]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(recipes("plan", "--owner", "anna,bert")))
    before = read_tree(owned / "collections")
    done = recipes("build", "--plan", str(plan), "--into", str(tmp_path / "built"))
    assert [(item["name"], item["state"]) for item in done] == [("a/one", "built"),
                                                                ("a/two", "built")]  # fmt: skip
    assert read_tree(owned / "collections") == before
    assert {path.name for path in (tmp_path / "built").iterdir()} == {"a+one+1", "a+two+1"}
    (owned / "collections/a/two/manifests/1/data").write_text("changed since it was planned")
    accepted = recipes("accept", str(tmp_path / "built"), "--plan", str(plan))
    assert [item["state"] for item in accepted] == ["built", "built"]
    states = {item["name"]: item["state"] for item in recipes()}
    assert (states["a/one"], states["a/two"], states["c"]) == ("current", "stale", "pending")
    again = recipes("accept", str(tmp_path / "built"), "--plan", str(plan))
    assert [item["why"] for item in again] == ["another run built it first", None]
    assert build() == 0


def test_a_recipe_that_is_gone_brings_nothing_back(
    owned: Path, recipes: Command, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(recipes("plan", "--owner", "boss")))
    recipes("build", "--plan", str(plan), "--into", str(tmp_path / "built"))
    (owned / "collections/c/manifests/1/build.sh").unlink()
    before = read_tree(owned / "collections")
    assert recipes("accept", str(tmp_path / "built"), "--plan", str(plan)) == []
    assert read_tree(owned / "collections") == before


def test_what_was_not_planned_stays_out(owned: Path, recipes: Command, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(recipes("plan", "--owner", "boss")))
    Image.of("evil").layout(tmp_path / "built/a+one+1", "1")
    before = read_tree(owned / "collections")
    assert recipes("accept", str(tmp_path / "built"), "--plan", str(plan), code=1) == []
    (tmp_path / "link").symlink_to(tmp_path / "built")
    assert recipes("accept", str(tmp_path / "link"), "--plan", str(plan), code=1) == []
    assert read_tree(owned / "collections") == before
    assert recipes("accept", str(tmp_path / "nothing"), "--plan", str(plan)) == []


def blobs(layout: Path) -> list[Path]:
    return sorted((layout / "blobs/sha256").iterdir())


def pipes_for_blobs(layout: Path) -> None:
    for blob in blobs(layout):
        blob.unlink()
        os.mkfifo(blob)


def links_for_blobs(layout: Path) -> None:
    for blob in blobs(layout):
        blob.unlink()
        blob.symlink_to("/dev/zero")


def blobs_elsewhere(layout: Path) -> None:
    (layout / "blobs").rename(layout.parents[1] / "elsewhere")
    (layout / "blobs").symlink_to(layout.parents[1] / "elsewhere")


def blobs_of_a_tebibyte(layout: Path) -> None:
    for blob in blobs(layout):
        os.truncate(blob, 1 << 40)


def a_pipe_for_the_marker(layout: Path) -> None:
    (layout / "oci-layout").unlink()
    os.mkfifo(layout / "oci-layout")


def an_index_of_ten_gibibytes(layout: Path) -> None:
    os.truncate(layout / "index.json", 10 << 30)


def an_index_without_end(layout: Path) -> None:
    (layout / "index.json").write_text("[" * 100_000)


def a_path_for_a_digest(layout: Path) -> None:
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["digest"] = "sha256:../../../../etc/passwd"
    (layout / "index.json").write_text(json.dumps(index))


def a_layout_elsewhere(layout: Path) -> None:
    layout.rename(layout.parents[1] / "whole")
    layout.symlink_to(layout.parents[1] / "whole")


def a_pipe(layout: Path) -> None:
    shutil.rmtree(layout)
    os.mkfifo(layout)


@pytest.mark.parametrize(
    "attack",
    [pipes_for_blobs, links_for_blobs, blobs_elsewhere, blobs_of_a_tebibyte, a_pipe_for_the_marker,
     an_index_of_ten_gibibytes, an_index_without_end, a_path_for_a_digest, a_layout_elsewhere,
     a_pipe],
)  # fmt: skip
def test_what_a_recipe_hands_on_to_escape_is_refused(
    attack: Callable[[Path], None], owned: Path, recipes: Command, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(recipes("plan", "--owner", "boss")))
    layout = tmp_path / "built/c+1"
    Image.of("made").layout(layout, "1")
    attack(layout)
    before = read_tree(owned / "collections")
    (done,) = recipes("accept", str(tmp_path / "built"), "--plan", str(plan), code=1)
    assert done["state"] == "failed"
    assert read_tree(owned / "collections") == before


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"recipes": [{"name": "../x"}]}]',
    '[{"recipes": [{"name": "../x", "tag": "1", "inputs": ""}]}]'])  # fmt: skip
def test_a_plan_that_is_none(owned: Path, recipes: Command, tmp_path: Path, text: str) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(text)
    assert "recipes plan" in str(recipes("accept", str(owned), "--plan", str(plan), code=2))
    assert "none" in str(recipes("build", "--plan", str(tmp_path / "none"), code=3))


def test_a_result_that_is_no_image_layout_is_made_one(
    registry: Path, recipes: Command, tmp_path: Path
) -> None:
    recipe(registry, "a/b:1", {"build.sh": HELLO})
    recipes("build", "--into", str(tmp_path / "built"))
    index = json.loads((tmp_path / "built/a+b+1/index.json").read_bytes())
    assert len(index["manifests"]) == 1
