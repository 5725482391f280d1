"""A build that fails has changed nothing: not the site, not what lies beside it, not its record."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from builder.build.how import How
from builder.build.pipeline import Pipeline
from builder.cli import run
from builder.config import load_config
from builder.config.flags import Flags
from builder.errors import ContentError
from builder.write import writer
from tests.conftest import read_tree, write_tree
from tests.images import Image

G = "collections/vanessa/greeting"
LAYOUT = "---\nlayout: default\n---\n{}\n"
State = Mapping[str, Any]


def state(registry: Path) -> State:
    """Return all that a build leaves: trees with the files' inodes and times, and the records."""
    found: dict[str, Any] = {}
    for place in sorted(registry.glob("_site*")):
        for path in sorted(place.rglob("*")):
            about = path.lstat()
            kept = (about.st_ino, about.st_mtime_ns, path.read_bytes()) if path.is_file() else ()
            found[str(path.relative_to(registry))] = kept
    for record in sorted((registry / ".builder-cache/records").glob("*.sqlite")):
        with closing(sqlite3.connect(record)) as database:
            found[record.name] = list(database.iterdump())
    return found


def break_layout(registry: Path) -> None:
    write_tree(registry, {"_layouts/page.html": LAYOUT.format("{{ page.nosuch.deeper }}")})


def lose_include(registry: Path) -> None:
    write_tree(registry, {"_layouts/page.html": LAYOUT.format('{% include "no.html" %}')})


def go_on_for_ever(registry: Path) -> None:
    loop = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    write_tree(registry, {"_layouts/page.html": LAYOUT.format(loop)})


def take_an_address(registry: Path) -> None:
    write_tree(registry, {"vanessa/greeting/index.html": "mine"})


def write_a_hard_text(registry: Path) -> None:
    write_tree(registry, {f"{G}/README.md": "---\ntitle: x\n---\n" + "[" * 13000})


def damage_a_blob(registry: Path) -> None:
    blob = next(registry.glob(f"{G}/blobs/sha256/*"))
    blob.write_bytes(blob.read_bytes()[::-1])


MISTAKES = {
    "a layout with a name that is not there": (break_layout, "nosuch"),
    "a missing include": (lose_include, "no.html"),
    "a template that never ends": (go_on_for_ever, "seconds of processor time to make /about/"),
    "a file at a collection's address": (take_an_address, "already owns"),
    "a text over the limits": (write_a_hard_text, "limit"),
    "a damaged blob": (damage_a_blob, "digest"),
}


@pytest.mark.parametrize("target", ["plain", "nginx"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_nothing_is_changed(  # noqa: PLR0917 - the fixtures it needs
    mistake: str,
    target: str,
    greeting: Path,
    build: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "PAGE_SECONDS", 1)
    write_tree(greeting, {"about.md": "# About\n", "_layouts/page.html": LAYOUT.format("about")})
    assert build("-t", target) == 0
    before = state(greeting)
    shutil.rmtree(greeting / G / "manifests")
    Image.index(Image.of("two"), Image.of("three")).tag(greeting / G, "latest")
    spoil, word = MISTAKES[mistake]
    spoil(greeting)
    capfd.readouterr()
    for _ in range(2):
        assert build("-t", target) == 1
        told = capfd.readouterr().err
        assert word in told
        assert "nothing was changed" in told
        assert state(greeting) == before
    assert not (greeting / "_site/.builder-tmp").exists()


def test_a_first_build_that_fails_leaves_no_folder(greeting: Path, tmp_path: Path) -> None:
    write_tree(greeting, {"about.md": "# About\n"})
    break_layout(greeting)
    assert run(["build", "-s", str(greeting), "-d", str(tmp_path / "a/b")]) == 1
    assert not (tmp_path / "a").exists()


def test_what_a_killed_build_staged_is_nobody_s(greeting: Path, build: Callable[..., int]) -> None:
    for _ in range(2):  # the second one has nothing to do
        write_tree(greeting, {"_site/.builder-tmp/new/x": "left by a build that was killed"})
        assert build() == 0
        assert not (greeting / "_site/.builder-tmp").exists()


def test_a_folder_that_a_killed_build_made_goes_when_the_next_one_fails(
    greeting: Path, build: Callable[..., int]
) -> None:
    left = {"_site/.builder-tmp/new/x": "left by a build that was killed"}
    write_tree(greeting, {**left, "about.md": "# About\n"})
    break_layout(greeting)
    assert build() == 1
    assert not (greeting / "_site").exists()


def opened(registry: Path, destination: Path, meanwhile: Callable[[], object]) -> Pipeline:
    """Return a pipeline that calls `meanwhile` when it has read all and begins to make pages."""

    def progress(label: str, done: int, total: int) -> None:
        if label == "writing" and done == 1 <= total:
            meanwhile()

    flags = Flags(str(registry), destination=str(destination))
    return Pipeline(load_config(flags, {}), How(jobs=1, progress=progress))


def test_a_file_that_changes_meanwhile_is_read_again(greeting: Path, tmp_path: Path) -> None:
    """Also one that is gone: what was made of half-read sources is never published."""
    readme = greeting / G / "README.md"
    edits: Iterator[Callable[[], object]] = iter([
        lambda: readme.write_text("---\ntitle: Second\n---\nx\n"),
        lambda: None,
        lambda: shutil.rmtree(greeting / G / "manifests"),
    ])  # fmt: skip
    opened(greeting, tmp_path / "site", lambda: next(edits, bool)()).build()  # noqa: PLW0108 - another each time
    assert next(edits, None) is None
    opened(greeting, tmp_path / "clean", bool).build()
    assert read_tree(tmp_path / "site") == read_tree(tmp_path / "clean")
    assert "Second" in (tmp_path / "site/vanessa/greeting/index.html").read_text()


def test_what_never_stands_still_is_named(greeting: Path, tmp_path: Path) -> None:
    readme = greeting / G / "README.md"

    def meanwhile() -> None:
        readme.write_text(readme.read_text() + "more\n")

    with pytest.raises(ContentError) as caught:
        opened(greeting, tmp_path / "site", meanwhile).build()
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{G}: changes while it is read")
    assert not (tmp_path / "site").exists()


def test_a_foreign_file_in_the_way_stops_the_build_before_it_writes(
    greeting: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    write_tree(greeting, {"docs/a.txt": "x"})
    (greeting / "_config.yml").write_text("title: T\ninclude: [docs]\n")
    assert build() == 0
    write_tree(greeting, {"_site/docs/mine.txt": "somebody's"})
    shutil.rmtree(greeting / "docs")
    (greeting / "docs").write_text("now a file")
    before = state(greeting)
    assert build() == 3
    assert "_site/docs/mine.txt: is where the site has to be written" in capfd.readouterr().err
    assert state(greeting) == before
    (greeting / "_site/docs/mine.txt").unlink()
    assert build() == 0
    assert (greeting / "_site/docs").read_text() == "now a file"
    (greeting / "docs").unlink()
    write_tree(greeting, {"docs/a.txt": "x"})
    assert build() == 0
    assert (greeting / "_site/docs/a.txt").read_text() == "x"
