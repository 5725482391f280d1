"""What people say of tags after the fact, and what git remembers of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from tests.conftest import read_tree
from tests.gitting import git
from tests.images import Image

G = "collections/vanessa/greeting"


@pytest.fixture
def several(greeting: Path) -> Path:
    Image.of("old").tag(greeting / G, "1.0")
    Image.of("one").tag(greeting / G, "1.1")  # what latest is
    return greeting


def test_a_yank_counts_for_every_name_of_the_image(
    several: Path, build: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    reason = 'reads "others" files: use 1.2'
    assert run(["yank", "-s", str(several), "vanessa/greeting:1.1", reason]) == 0
    assert "and so latest, with the same digest" in capsys.readouterr().out
    assert build() == 0
    site = several / "_site/vanessa/greeting"
    for tag, yanked in (("1.1", True), ("latest", True), ("1.0", False)):
        twin = json.loads((site / f"tags/{tag}/index.json").read_bytes())
        assert (twin.get("yanked") == reason) == yanked, tag
    twin = json.loads((site / "index.json").read_bytes())
    assert twin["newest"] == "1.0"
    assert run(["list", "-s", str(several), "--tags"]) == 0
    assert f"yanked: {reason}" in capsys.readouterr().out


def test_undo_leaves_what_was(several: Path) -> None:
    before = read_tree(several / G)
    readme = several / G / "manifests/1.0/README.md"
    readme.write_text("---\ndescription: Old\n---\nNotes stay.\n")
    kept = readme.read_bytes()
    assert run(["yank", "-s", str(several), "vanessa/greeting:1.0", "too old"]) == 0
    assert b"yanked: " in readme.read_bytes()
    assert run(["yank", "-s", str(several), "vanessa/greeting:1.0", "--undo"]) == 0
    assert readme.read_bytes() == kept
    readme.unlink()
    assert read_tree(several / G) == before


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["vanessa/greeting:1.0"], 2),
        (["vanessa/greeting:1.0", "why", "--undo"], 2),
        (["vanessa/greeting", "why"], 2),
        (["vanessa/greeting:9", "why"], 1),
        (["vanessa/nobody:1", "why"], 1),
    ],
)
def test_what_is_refused(several: Path, arguments: list[str], status: int) -> None:
    before = read_tree(several / "collections")
    assert run(["yank", "-s", str(several), *arguments]) == status
    assert read_tree(several / "collections") == before


def test_history_is_what_git_remembers(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(several, "init", "-q")
    digests = []
    for text in ("one", "two", "three"):
        image = Image.of(text)
        image.tag(several / G, "latest")
        digests.append(image.digest)
        (several / G / "README.md").write_text(f"---\ntitle: Greeting {text}\n---\nHello.\n")
        git(several, "add", "-A")
        git(several, "commit", "-q", "-m", text)
    (several / G / "manifests/1.0/manifest.json").unlink()
    git(several, "commit", "-q", "-a", "-m", "gone")
    capsys.readouterr()
    assert run(["history", "-s", str(several), "vanessa/greeting:latest", "--json"]) == 0
    moves = json.loads(capsys.readouterr().out)
    assert [move["digest"] for move in moves] == digests[::-1]
    assert run(["history", "-s", str(several), "vanessa/greeting"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[1:3] == ["1.0", "(removed)"]
    assert run(["history", "-s", str(several), "vanessa/greeting:none"]) == 1


def test_whoever_committed_says_nothing_to_the_terminal(
    several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(several, "init", "-q")
    git(several, "add", "-A")
    name = "eve\x1b[2J\x9b31m\u202egone"
    git(several, "commit", "-q", "-m", "x", f"--author={name} <e@example.org>")
    capsys.readouterr()
    for flags in ([], ["--json"]):
        assert run(["history", "-s", str(several), "vanessa/greeting", *flags]) == 0
        shown = capsys.readouterr().out
        assert "eve" in shown
        assert shown.replace("\n", "").isprintable()
    assert json.loads(shown)[0]["author"] == name


def test_a_failure_is_json_too(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "-s", str(several), "vanessa/nobody", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["exit"] == 1
    assert found["problems"][0]["message"] == "there is no such collection"
    assert run(["inspect", "-s", str(several), "not//aname", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["exit"] == 2
    for arguments in (["list", "--bogus"], ["yank"], ["nosuch"], ["build", "-j", "x"]):
        assert run([*arguments, "--json"]) == 2
        found = json.loads(capsys.readouterr().out)
        assert found["exit"] == 2
        assert found["problems"][0]["message"]
