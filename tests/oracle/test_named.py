"""Edits that were missed once, each by name: a second build sees them as a first one does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.images import Image
from tests.oracle.judge import anew, build, differences, tree
from tests.oracle.world import World, write_listing

ONE = "collections/a/one"
MENU = "{{ site.pages | map(attribute='url') | list }}"
MENU += "{{ site.namespaces | map(attribute='title') | list }}"
PART = "_includes/part.html"
Edit = Callable[[World], object]


def data(word: str) -> Edit:
    return lambda world: world.write("_data/menu.yml", f"- {word}\n")


def write(inner: str, content: str) -> Edit:
    return lambda world: world.write(inner, content)


def configured(**registry: object) -> Edit:
    return lambda world: world.set_config({"title": "T", "registry": registry})


def app(world: World) -> None:
    shutil.copytree(world.app, world.path("collections/web/app"))


def listing(world: World) -> str:
    return write_listing(world, ONE)


def store(world: World) -> None:
    """The layers are at the configured address alone."""
    configured(blobs="https://blobs.example.org/x")(world)
    world.path("_blobs/blobs").mkdir(parents=True)
    for blob in world.files(f"{ONE}/blobs/sha256/*"):
        if world.path(blob).read_bytes()[:2] == b"\x1f\x8b":
            world.path(blob).rename(world.path("kept.bin"))
            world.write("kept.name", blob.rpartition("/")[2])


def stored(world: World) -> None:
    name = world.path("kept.name").read_text()
    world.write(f"_blobs/blobs/sha256/{name}", world.path("kept.bin").read_bytes())


def child_in_store(world: World) -> None:
    """The manifest of an index's image lies in the store alone."""
    child = Image.of("child")
    Image.index(child).tag(world.path(ONE), "2.0")
    name = child.digest.replace(":", "/")
    world.write(f"_blobs/blobs/{name}", child.manifest)
    world.remove(f"{ONE}/blobs/{name}")


def same_stat(inner: str, content: str, *, new_inode: bool) -> Edit:
    def edit(world: World) -> None:
        file = world.path(inner)
        before = file.stat()
        if new_inode:
            file.unlink()
        file.write_text(content)
        assert file.stat().st_size == before.st_size
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    return edit


def later_tag(world: World) -> None:
    Image.of("later").tag(world.path("collections/b/two"), "2.0")
    world.write("collections/b/two/manifests/2.0/README.md", "---\ncreated: 2031-01-01\n---\n")


def both(*edits: Edit) -> Edit:
    return lambda world: [edit(world) for edit in edits]


COLLECTION = "_layouts/collection.html"
WHOLE = "{% for k, v in site.items() if k == 'data' %}{{ v }}{% endfor %}"
CASES: dict[str, tuple[Edit, Edit]] = {
    "a linked file comes that is not published": (
        write(f"{ONE}/README.md", "---\ntitle: O\n---\n[terms](/LICENSE)\n"),
        write("LICENSE", "x"),
    ),
    "an app is switched on": (app, configured(apps=["web/app"])),
    "an app is switched off": (both(app, configured(apps=["web/app"])), configured()),
    "a listing comes": (configured(), listing),
    "a listing goes": (listing, lambda world: world.remove(f"{ONE}/blobs/files")),
    "a collection's layout reads data": (
        both(data("x"), write(COLLECTION, "{{ site.data.menu }}")), data("y"),
    ),
    "a collection's layout reads the time": (write(COLLECTION, "{{ site.time }}"), later_tag),
    "all of site is read": (write(COLLECTION, WHOLE), data("y")),
    "a picture comes": (configured(), write(f"{ONE}/img/in/x.png", "x")),
    "a picture changes": (write(f"{ONE}/img/in/x.png", "x"), write(f"{ONE}/img/in/x.png", "y")),
    "a picture goes": (
        write(f"{ONE}/img/in/x.png", "x"), lambda world: world.remove(f"{ONE}/img"),
    ),
    "a namespace has a title": (configured(), write("collections/a/README.md", "# Title\n")),
    "a menu of pages": (
        write("_layouts/default.html", MENU + "{{ content }}"), write("new.md", "# New\n"),
    ),
    "a menu of namespaces": (
        both(write("_layouts/default.html", MENU), write("collections/a/README.md", "# A\n")),
        write("collections/a/README.md", "---\ntitle: B\n---\nB\n"),
    ),
    "a row reads data": (both(data("x"), write("_layouts/row.html", "{{ site.data }}")), data("y")),
    "a row reads all collections": (
        write("_layouts/row.html", "{{ site.collections | length }}"),
        write("collections/c/README.md", "# C\n"),
    ),
    "a layer comes into the store": (store, stored),
    "a manifest in the store goes": (child_in_store, lambda world: world.remove("_blobs")),
    "an include moves": (
        both(write(PART, "x"), write(COLLECTION, "{% include 'part.html' %}")),
        lambda world: world.move(PART, "_includes/sub/part.html"),
    ),
    "the same size and time": (
        write(f"{ONE}/README.md", "# Ab\n"),
        same_stat(f"{ONE}/README.md", "# Ac\n", new_inode=False),
    ),
    "a static file of the same size and time": (
        write("notes.txt", "ab"), same_stat("notes.txt", "ac", new_inode=True),
    ),
    "a warning of a namespace": (
        write("collections/a/README.md", "[x](nowhere.md)\n"), write("new.md", "# New\n"),
    ),
    "a warning beside a problem": (
        write(f"{ONE}/README.md", "[x](nowhere.md)\n"), write("_data/bad.yml", "a: [\n"),
    ),
}  # fmt: skip


REFUSED: dict[str, Edit] = {
    "README.md": lambda world: linked(world, f"{ONE}/README.md"),
    "a tag's README.md": lambda world: linked(world, f"{ONE}/manifests/1.0/README.md"),
    "a tag": lambda world: linked(world, f"{ONE}/manifests/1.1"),
    "a manifest": lambda world: linked(world, f"{ONE}/manifests/1.1/manifest.json"),
    "a blob": lambda world: linked(world, f"{ONE}/blobs/sha256/{'0' * 64}"),
    "a picture": lambda world: linked(world, f"{ONE}/x.png"),
    "a pipe": lambda world: os.mkfifo(world.path(f"{ONE}/README.md")),
    "a README that is a folder": lambda world: world.path(f"{ONE}/README.md").mkdir(),
    "a tag that is hidden": write(f"{ONE}/manifests/.x/manifest.json", "{}"),
}


def linked(world: World, inner: str) -> None:
    world.path(inner).parent.mkdir(parents=True, exist_ok=True)
    world.path(inner).symlink_to("/etc/hostname")


@pytest.fixture
def world(tmp_path: Path, oracle_app: Path) -> World:
    made = World(tmp_path / "registry", oracle_app)
    made.root.mkdir()
    made.rng = Random(0)
    configured()(made)
    for name, tag in (("a/one", "1.0"), ("b/two", "1.0")):
        made.write(f"collections/{name}/README.md", f"# {name}\n")
        Image.of(name).tag(made.path(f"collections/{name}"), tag)
    return made


@pytest.mark.parametrize(("first", "then"), CASES.values(), ids=CASES)
def test_what_was_missed_once(first: Edit, then: Edit, world: World, tmp_path: Path) -> None:
    first(world)
    before = build(world.root, "plain")
    assert before.code == 0, before.said
    then(world)
    had = tree(world.root)
    got = build(world.root, "plain")
    checkout = anew(world.root, tmp_path / "checkout", "plain", serve=False, cached=True)
    wanted = anew(world.root, tmp_path / "elsewhere", "plain", serve=False)
    assert list(differences(got, wanted, had)) == []
    assert list(differences(checkout, wanted, {})) == []
    assert (got.code, got.seen, got.said) != (before.code, before.seen, before.said)


@pytest.mark.parametrize("spoil", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_comes_and_goes(spoil: Edit, world: World) -> None:
    """A second build says of it what a check says, which loads everything."""
    world.remove(f"{ONE}/README.md")
    good = build(world.root, "plain")
    assert good.code == 0, good.said
    spoil(world)
    for _ in range(2):
        got = build(world.root, "plain")
        shutil.rmtree(world.path(".builder-cache"))
        wanted = build(world.root, "plain")
        assert (got.code, got.said) == (1, wanted.said)
        assert got.seen == good.seen
