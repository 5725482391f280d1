"""What a host would run or show as a page is not built for it; what it takes as it is, is."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.cli import run
from builder.targets import TARGETS, target_names
from builder.targets.active import begins_a_page
from tests.apps.samples import app_of, packed
from tests.conftest import write_tree
from tests.images import Image, sha256

TYPED = [name for name in target_names() if TARGETS[name].capabilities.media_types]
HEADERLESS = [name for name in target_names() if name not in TYPED]
SCRIPT = b"<script>alert(document.domain)</script>"


def built(registry: Path, target: str) -> int:
    return run(["build", "-q", "-s", str(registry), "-t", target, "-d", str(registry / "_out")])


ACTIVE = ("1.0.html", "x.HTM", "shell.php", "shell.php.png", "1.phtml.0", "a.shtml", "a.cgi",
          "web.config", "sw.js", "x.svg", "x.xml", "a.asp", "a.pl")  # fmt: skip
QUIET = ("1.0", "latest", "v1.2.3-rc.1", "2024.01.02", "html", "php", "jpg", "1.0.s1", "node.js-18",
         f"sha256-{'0' * 64}.sig", "1.0.json", "1.0.txt", "1.0.tar.gz", "xphp", "1.py")  # fmt: skip


@pytest.mark.parametrize("target", HEADERLESS)
def test_a_tag_that_is_a_page_or_a_program_by_name_is_refused(
    target: str, greeting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collection = greeting / "collections/vanessa/greeting"
    for tag in (*ACTIVE, *QUIET):
        Image.of("one").tag(collection, tag)
    assert built(greeting, target) == 1
    said = capsys.readouterr().err
    for tag in ACTIVE:
        assert f"manifests/{tag}: the tag {tag!r} is taken for a ." in said
    assert said.count("is taken for a .") == len(ACTIVE)
    assert not (greeting / "_out").exists()


def app_with(*names: str) -> Image:
    files = {"index.html": b"<!doctype html>", **dict.fromkeys(names, b"<?php echo 6 * 7; ?>")}
    return app_of(packed({f"app/{name}": data for name, data in files.items()}))


@pytest.mark.parametrize(
    "name", ["x.php", "deep/x.php.png", "a.SHTML", "web.config", "x.phar", "x.var"]
)
def test_a_program_in_an_app_or_a_picture_is_refused_where_it_may_run(
    name: str, greeting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (greeting / "_config.yml").write_text("title: T\nregistry:\n  apps: [vanessa/app]\n")
    collection = greeting / "collections/vanessa/app"
    app_with(name, "app.js", "page.html", "data.py", "x.json").tag(collection, "1.0")
    write_tree(collection, {"README.md": "---\ntitle: A\n---\nHi\n", "shot.php.png": b"x"})
    assert built(greeting, "plain") == 1
    said = capsys.readouterr().err
    assert f"{name} may be run as a ." in said
    assert "vanessa/app/shot.php.png: shot.php.png may be taken for a .php file" in said
    assert (said.count("may be run"), said.count("may be taken")) == (1, 1)
    assert built(greeting, "github-pages") == 0


@pytest.mark.parametrize("name", ["x.php.png", "x.var.png", "img/x.phtml.gif", "x.html.avif"])
def test_pictures_of_a_namespace_are_strangers_as_those_of_a_collection(
    name: str, greeting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A type map, which Debian's Apache takes a `.var` for, says type and body of the answer."""
    vanessa = greeting / "collections/vanessa"
    write_tree(vanessa, {"README.md": f"---\ntitle: V\n---\n![shot]({name})\n", name: "x"})
    assert built(greeting, "plain") == 1
    said = capsys.readouterr().err
    assert f"collections/vanessa/{name}: {name.rpartition('/')[2]} may be taken for a ." in said
    assert not (greeting / "_out").exists()
    assert built(greeting, "github-pages") == 0


@pytest.mark.parametrize("data", [SCRIPT, b"\n\t <HTML >", b"<!-- a -->", b"<?xml version='1.0'?>"])
def test_a_blob_that_begins_like_a_page_is_refused_where_types_are_guessed(
    data: bytes, greeting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.holding(data).tag(greeting / "collections/vanessa/web", "1.0")
    for target in ("plain", "gitlab-pages"):
        assert built(greeting, target) == 1
        assert f"{sha256(data)[7:]}: begins like a web page" in capsys.readouterr().err
    assert built(greeting, "github-pages") == 0


@pytest.mark.parametrize("target", TYPED)
def test_a_host_that_gives_types_takes_them_all(target: str, greeting: Path) -> None:
    for tag in ACTIVE:
        Image.of("one").tag(greeting / "collections/vanessa/greeting", tag)
    Image.holding(SCRIPT).tag(greeting / "collections/vanessa/web", "1.0")
    assert built(greeting, target) == 0


@pytest.mark.parametrize(
    ("data", "page"),
    [
        (b"<!DOCTYPE html>", True),
        (b"<a href=x>", True),
        (b"  <P>", True),
        (b"<!doctype html", False),  # no end of the tag
        (b"<abbr>", False),
        (b"text <script>", False),
        (b"\xef\xbb\xbf<html>", False),
        (b"\x1f\x8b", False),
        (b'{"a": "<html>"}', False),
        (b"", False),
    ],
)
def test_what_browsers_take_for_a_page(*, data: bytes, page: bool) -> None:
    assert begins_a_page(data) is page
