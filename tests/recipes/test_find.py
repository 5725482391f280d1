"""Pending, stale and current; which recipes are meant."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from tests.images import Image
from tests.recipes.conftest import Command, recipe

States = Callable[[], dict[str, str]]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def commit(registry: Path) -> None:
    git(registry, "add", "-A")
    git(registry, "commit", "--quiet", "-m", "state")


def test_the_list_has_its_documented_shape(registry: Path, recipes: Command) -> None:
    recipe(registry, "a/b:1")
    Image.of("one").tag(registry / "collections/plain", "latest")
    path = "collections/a/b/manifests/1/build.sh"
    assert recipes() == [{"name": "a/b", "tag": "1", "state": "pending", "recipe": path}]


def test_the_list_for_people(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe(registry, "a/b:1", {"Containerfile": "FROM scratch\n"})
    assert run(["recipes", "-s", str(registry)]) == 0
    expected = "pending  a/b:1  collections/a/b/manifests/1/Containerfile\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("build.sh", "stale"),
        ("data/deep/new.txt", "stale"),
        (".containerignore", "stale"),
        ("data/README.md", "stale"),
        ("README.md", "pending"),
        ("manifest.json", "pending"),
        (".build.sh.swp", "current"),
        ("build.sh~", "current"),
    ],
)
def test_what_a_change_asks_for(
    registry: Path, recipes: Command, states: States, path: str, state: str
) -> None:
    folder = recipe(registry, "a/b:1")
    recipe(registry, "a/b:2")
    recipes("build")
    assert states() == {"a/b:1": "current", "a/b:2": "current"}
    file = folder / path
    if state == "pending":
        file.unlink()
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("true")
    assert states() == {"a/b:1": state, "a/b:2": "current"}


def test_a_text_about_the_tag_is_no_change(
    registry: Path, recipes: Command, states: States
) -> None:
    readme = recipe(registry, "a/b:1") / "README.md"
    recipes("build")
    readme.write_text(readme.read_text() + "\nNotes.\n")
    assert states() == {"a/b:1": "current"}


def test_an_executable_bit_is_a_change(registry: Path, recipes: Command, states: States) -> None:
    folder = recipe(registry, "a/b:1")
    recipes("build")
    (folder / "build.sh").chmod(0o755)
    assert states() == {"a/b:1": "stale"}


def test_one_bad_folder_hides_no_other(registry: Path, recipes: Command) -> None:
    recipe(registry, "bad:1", {"Dockerfile": "", "Containerfile": ""})
    recipe(registry, "good:1")
    assert [item["name"] for item in recipes(code=1)] == ["good"]
    assert [item["state"] for item in recipes("build", code=1)] == ["built"]


def test_only_what_is_named(registry: Path, recipes: Command) -> None:
    for reference in ("a:1", "a:2", "b:1", "b:2", "c:1"):
        recipe(registry, reference)
    recipe(registry, "bad:1", {"Dockerfile": "", "Containerfile": ""})
    built = recipes("build", "a", "b:2", "a:1")
    assert [f"{item['name']}:{item['tag']}" for item in built] == ["a:1", "a:2", "b:2"]
    again = recipes("build", "a:1", "--dry-run")
    assert [item["state"] for item in again] == ["current"]


@pytest.mark.parametrize("name", ["b", "a:2", "a:plain", "a@sha256:" + "0" * 64])
def test_a_name_without_a_recipe_is_refused(registry: Path, recipes: Command, name: str) -> None:
    recipe(registry, "a:1")
    Image.of("one").tag(registry / "collections/a", "plain")
    assert "there is no such recipe" in recipes("build", name, code=2)


def test_changed_since_a_commit(registry: Path, recipes: Command) -> None:
    git(registry, "init", "--quiet", "--initial-branch=main")
    (registry / ".gitignore").write_text("/.builder-cache/\n")
    folders = {name: recipe(registry, f"{name}:1") for name in ("deep", "gone", "same", "text")}
    recipes("build")
    commit(registry)
    git(registry, "checkout", "--quiet", "-b", "work")
    (folders["deep"] / "data").mkdir()
    (folders["deep"] / "data/README.md").write_text("an input")
    (folders["gone"] / "README.md").unlink()
    (folders["text"] / "README.md").write_text("---\n---\nno input")
    recipe(registry, "new:1")
    changed = [item["name"] for item in recipes("--changed-since", "main")]
    assert changed == ["deep", "gone", "new"]
    commit(registry)
    assert [item["name"] for item in recipes("--changed-since", "main")] == changed
    built = recipes("build", "--changed-since", "main", "same", code=0)
    assert built == []


def test_changed_since_what_git_does_not_know(registry: Path, recipes: Command) -> None:
    recipe(registry, "a:1")
    assert "is not in a git repository" in recipes("--changed-since", "main", code=2)
    git(registry, "init", "--quiet")
    assert "unknown git revision" in recipes("--changed-since", "--output=x", code=2)
    assert "unknown git revision" in recipes("--changed-since", "", code=2)


def test_shards_are_even_and_whole(registry: Path, recipes: Command) -> None:
    for number in range(7):
        recipe(registry, f"r{number}:1")
    parts = [recipes("build", "--dry-run", "--shard", f"{i}/3") for i in (1, 2, 3)]
    assert [len(part) for part in parts] == [3, 2, 2]
    assert sorted(item["name"] for part in parts for item in part) == [f"r{i}" for i in range(7)]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "²/3", "-1/3", "1/3/5"])
def test_a_part_of_nothing_is_refused(registry: Path, recipes: Command, text: str) -> None:
    recipe(registry, "a:1")
    assert "is not a part of a whole" in recipes("build", "--shard", text, code=2)


def test_flags_of_build_stand_after_it(registry: Path) -> None:
    assert run(["recipes", "-s", str(registry), "build"]) == 2


def test_a_folder_that_can_be_no_collection_is_told_of(
    registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe(registry, "Team/tool:1")
    assert run(["recipes", "-s", str(registry)]) == 1
    assert "collections/Team/tool: " in capsys.readouterr().err


def test_without_recipes_it_says_where_they_belong(
    registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["recipes", "-s", str(registry)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "",
        "no recipes yet: put one into collections/NAME/manifests/TAG/\n",
    )
