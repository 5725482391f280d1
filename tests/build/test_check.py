"""`check` is a build that stops before it writes: both say the same of everything that is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.cli import run
from tests.cli.test_bad_content import CASES, GOOD, HEAD, G
from tests.conftest import read_tree, write_tree
from tests.images import Image

Files = Mapping[str, str | bytes]
README = f"{G}/README.md"
OTHER = "collections/vanessa/other/README.md"
NOTES = f"{G}/manifests/v1/README.md"
LAYOUT = "---\nlayout: default\n---\n"

# What concerns more than one collection, or shows only when pages are made.
WHOLE: dict[str, Files] = {
    "sound": {README: HEAD},
    "nothing": {"about.md": "# About\n"},
    "a warning": {README: "---\ndescripton: x\n---\nx\n"},
    "a picture that is not there": {README: f"{HEAD}![a](no.png) [b](no.md)\n"},
    "notes over the limits": {README: HEAD, NOTES: "---\ndescription: x\n---\n" + "[" * 13000},
    "an old name that is a list": {README: "---\nredirect_from: /vanessa/greeting/tags/\n---\nx\n"},
    "an old name that is a page": {README: "---\nredirect_from: /vanessa/greeting/\n---\nx\n"},
    "a page over a list": {README: HEAD, "collections.md": "---\npermalink: /search/\n---\nx\n"},
    "a missing include": {"a.md": "# A\n", "_layouts/page.html": LAYOUT + '{% include "no" %}'},
    "a name that is not there": {"a.md": "# A\n", "_layouts/page.html": LAYOUT + "{{ page.x.y }}"},
    "no template": {"a.md": "# A\n", "_layouts/page.html": LAYOUT + "{% if %}"},
    "a file at an address": {README: HEAD, "vanessa/greeting/index.html": "x"},
    "a page at an address": {README: HEAD, "vanessa/greeting.md": "x"},
    "reserved files": {README: HEAD, "404.html": "x", "feed.xml": "x", "collections.json": "{}"},
    "no such layout": {"a.md": "---\nlayout: nosuch\n---\nx\n"},
    "data": {README: HEAD, "_data/x.json": "{"},
    "an app that is none": {README: HEAD, "_config.yml": "registry:\n  apps: [vanessa/greeting]\n"},
    "an app of nobody": {README: HEAD, "_config.yml": "registry:\n  apps: [no/body]\n"},
    "a namespace's text": {
        OTHER: HEAD,
        "collections/vanessa/README.md": "---\nlayout: x\n---\nx\n",
    },
    "a hidden collection": {README: HEAD, "collections/vanessa/.old/README.md": HEAD},
    "a hidden tag": {README: HEAD, f"{G}/manifests/.v1/manifest.json": "{}"},
    "a README that is a folder": {README: HEAD, "collections/a/b/README.md/x": "x"},
    "two at once": {README: HEAD + "[" * 13000, OTHER: "---\nhidden: 7\n---\nx\n"},
}
TABLE: dict[str, Files] = {
    **WHOLE,
    **{case.name: case.files for case in CASES},
    **dict(GOOD),
}


def told(captured: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was said of problems, without the last line's count and notes of a target."""
    lines = captured.readouterr().err.splitlines()
    return [line for line in lines if not line.startswith("note: ")]


@pytest.mark.parametrize("strict", [[], ["--strict"]], ids=["", "strict"])
@pytest.mark.parametrize("name", TABLE)
def test_they_agree(
    name: str, strict: list[str], registry: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_tree(registry, TABLE[name])
    case = next((case for case in CASES if case.name == name), None)
    for number, tag in enumerate(case.tags if case else ()):
        Image.of(f"image {number}").tag(registry / G, tag)
    for path, target in (case.links if case else {}).items():
        (registry / path).parent.mkdir(parents=True, exist_ok=True)
        (registry / path).symlink_to(target)
    flags = ["-s", str(registry), *strict]
    before = read_tree(registry)
    checked = run(["check", *flags]), told(capfd)
    assert read_tree(registry) == before
    for _ in range(2):  # the second time from what the first one left
        assert (run(["build", *flags]), told(capfd)) == checked
    if checked[0]:
        assert not (registry / "_site").exists()


def test_a_blob_that_was_altered_since_the_build(greeting: Path) -> None:
    assert run(["build", "-q", "-s", str(greeting)]) == 0
    blob = next(greeting.glob(f"{G}/blobs/sha256/*"))
    data = blob.read_bytes()
    blob.write_bytes(data[::-1])
    assert run(["check", "-q", "-s", str(greeting)]) == 1
    shutil.rmtree(greeting / ".builder-cache")
    assert run(["check", "-q", "-s", str(greeting)]) == 1
    blob.write_bytes(data)
    assert run(["check", "-q", "-s", str(greeting)]) == 0
    assert not (greeting / ".builder-cache").exists()


def test_strict_counts_what_it_refuses(registry: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_tree(registry, WHOLE["a warning"])
    for command in ("build", "check"):
        assert run([command, "-s", str(registry), "--strict"]) == 1
        assert "builder: 1 problem; nothing was changed" in capfd.readouterr().err


def test_a_destination_that_would_be_its_own_source(
    greeting: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("collections/site", "_blobs", "assets/x"):
        assert run(["build", "-s", str(greeting), "-d", str(greeting / folder)]) == 2
        assert "lies in" in capfd.readouterr().err
    monkeypatch.chdir(greeting.parent)
    assert run(["build", "-q", "-s", str(greeting), "-d", "out"]) == 0
    assert (greeting.parent / "out/index.html").exists()
    assert run(["check", "-q", "-s", str(greeting), "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == []


REDIRECTS = """title: x
registry:
  redirects:
    old/one: vanessa/greeting
    /old/two/: old/one
    old/three: vanessa
    old/lost: no/such
    old/lost-too: old/lost
    old/round: old/about
    old/about: old/round
"""


@pytest.mark.parametrize("command", ["check", "build"])
def test_an_old_name_that_leads_nowhere(
    greeting: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (greeting / "_config.yml").write_text(REDIRECTS)
    assert run([command, "-q", "-s", str(greeting)]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    lines = {line.partition(": ")[0] for line in told}
    assert lines == {f"_config.yml:{number}" for number in (7, 8, 9, 10)}
    assert "'old/lost-too' leads to 'no/such', which is not here" in "".join(told)
    assert run([command, "-q", "--strict", "-s", str(greeting)]) == 1
