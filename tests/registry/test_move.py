"""Another name for a collection, and the redirects it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.cli import run
from builder.errors import ContentError
from builder.registry.move import add_redirect
from tests.conftest import write_tree
from tests.images import Image

OLD, NEW = "vanessa/greeting", "anna/hello"
TEXTS = {
    "nothing": ("", "registry:\n  redirects:\n    a: b\n"),
    "other keys": ("title: T # yes\n", "title: T # yes\n\nregistry:\n  redirects:\n    a: b\n"),
    "no newline": ("title: T", "title: T\n\nregistry:\n  redirects:\n    a: b\n"),
    "a registry": (
        "registry:\n    target: plain  # where\ntitle: T\n",
        "registry:\n    redirects:\n        a: b\n    target: plain  # where\ntitle: T\n",
    ),
    "more": (
        "registry:\n  redirects:\n    x: y\n  target: plain\n",
        "registry:\n  redirects:\n    a: b\n    x: y\n  target: plain\n",
    ),
    "empty": (
        "registry:\n  redirects: {}\n  target: plain\n",
        "registry:\n  redirects:\n    a: b\n  target: plain\n",
    ),
    "a chain": (
        "registry:\n  redirects:\n    x: a\n",
        "registry:\n  redirects:\n    a: b\n    x: b\n",
    ),
    "back again": ("registry:\n  redirects:\n    b: a\n", "registry:\n  redirects:\n    a: b\n"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_the_rest_of_the_file_keeps_its_bytes(case: str) -> None:
    before, after = TEXTS[case]
    assert add_redirect(before, "a", "b") == after


def test_a_file_that_cannot_be_edited_is_left_alone() -> None:
    with pytest.raises(ContentError, match="cannot be edited"):
        add_redirect("registry: {target: plain}\n", "a", "b")


def test_mv_leaves_redirects(greeting: Path) -> None:
    flags = ["-q", "-s", str(greeting)]
    assert run(["mv", *flags, OLD, NEW, "--dry-run"]) == 0
    assert (greeting / "collections" / OLD).is_dir()
    assert run(["mv", *flags, OLD, NEW]) == 0
    assert not (greeting / "collections/vanessa").exists()
    assert run(["mv", *flags, NEW, "third/name"]) == 0
    assert run(["build", *flags]) == 0
    site = greeting / "_site"
    for page in (OLD, NEW, f"{OLD}/tags/latest", f"{NEW}/tags/latest"):
        assert "/third/name/" in (site / page / "index.html").read_text(), page
    assert (site / "v2/third/name/manifests/latest").is_file()
    assert not (site / "v2" / OLD).exists()


def test_mv_that_was_killed_is_completed_by_the_next(greeting: Path) -> None:
    (greeting / "collections/anna").mkdir()
    (greeting / "collections" / OLD).rename(greeting / "collections" / NEW)
    assert run(["mv", "-q", "-s", str(greeting), OLD, NEW]) == 0
    assert f"{OLD}: {NEW}" in (greeting / "_config.yml").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        ((OLD, "x/y"), 1, "is there already"),
        ((OLD, f"{OLD}/inner"), 1, "inside"),
        ((OLD, "v2/x"), 2, "reserved"),
        (("nobody/nothing", "a/b"), 1, "no such collection"),
        ((f"{OLD}:latest", "a/b"), 2, "without tags"),
        ((OLD, OLD), 2, "already"),
    ],
)
def test_mv_that_cannot_be(
    greeting: Path,
    arguments: tuple[str, ...],
    status: int,
    word: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_tree(greeting, {"collections/x/y/README.md": "---\ntitle: Y\n---\n"})
    assert run(["mv", "-s", str(greeting), *arguments]) == status
    assert word in capsys.readouterr().err
    assert (greeting / "collections" / OLD / "README.md").is_file()


def test_mv_of_immutable_tags_needs_force(greeting: Path) -> None:
    (greeting / "_config.yml").write_text("registry:\n  immutable: [latest]\n")
    flags = ["-q", "-s", str(greeting)]
    assert run(["mv", *flags, OLD, NEW]) == 1
    assert run(["mv", *flags, "--force", OLD, NEW]) == 0


def test_mv_of_what_has_collections_below(greeting: Path) -> None:
    write_tree(greeting, {f"collections/{OLD}/inner/README.md": "---\ntitle: I\n---\n"})
    assert run(["mv", "-q", "-s", str(greeting), OLD, NEW]) == 1
    Image.of("x").tag(greeting / f"collections/{OLD}/inner", "1")
    assert run(["mv", "-q", "-s", str(greeting), f"{OLD}/inner", NEW]) == 0
    assert (greeting / f"collections/{NEW}/manifests/1/manifest.json").is_file()
