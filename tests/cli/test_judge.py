"""What a build would refuse no command brings in: one judge, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from builder.cli import run
from builder.errors import Problem
from builder.registry.model import RegistryOptions
from builder.storage.cache import Cache
from tests.conftest import read_tree, write_tree
from tests.hosts import BUILDER
from tests.images import Image, as_json

ADD = ("add", "layout:1.0")
SUBJECT = "vanessa/greeting:latest"
PAGES = "registry:\n  target: github-pages\n"
MOVED = "---\ntitle: x\nredirect_from: /moved/from/old/\n---\n"


class Case(NamedTuple):
    """A command, the files it meets, and words of what is said."""

    command: tuple[str, ...]
    files: Mapping[str, str | bytes]
    word: str


TAKEN = {
    "a document's old address": {"about.md": "---\nredirect_from: /x/y/\n---\n"},
    "a document's address": {"about.md": "---\npermalink: /x/y/index.json\n---\n"},
    "a list's old address": {"about.md": "---\nredirect_from: /x/y/tags/\n---\n"},
    "a namespace's old address": {"about.md": "---\nredirect_from: /x/\n---\n"},
    "a namespace's document": {"x.md": "# X\n"},
    **{
        f"the file {path}": {path: "x"}
        for path in ("x/y/index.json", "x/y/feed.xml", "x/y/badge.svg", "x/y/blobs/z", "x/feed.xml",
                     "x/page/2/index.html")
    },
}  # fmt: skip
CASES = {
    **{
        f"{what}, {command[0]}": Case((*command, "x/y" + tag), files, next(iter(files)))
        for what, files in TAKEN.items()
        for command, tag in ((ADD, ":1"), (("mv", "vanessa/greeting"), ""))
    },
    "a picture where a file is": Case(
        ("mv", "vanessa/greeting", "x/y"),
        {"x/y/a.png": "x", "collections/vanessa/greeting/a.png": "x"},
        "x/y/a.png",
    ),
    "the address of a document": Case((*ADD, "about:1"), {"about.md": "# About\n"}, "about.md"),
    "the address of a file": Case((*ADD, "a/b:1"), {"a/b/index.html": "<p>x"}, "a/b/index.html"),
    "the address of a list": Case((*ADD, "sitemap.xml:1"), {}, "sitemap.xml"),
    "a folder where a list is": Case((*ADD, "robots.txt/x:1"), {}, "robots.txt"),
    "what publishing writes": Case((*ADD, "release.json:1"), {}, "the release"),
    "an old name": Case(
        (*ADD, "old/name:1"),
        {"_config.yml": "registry:\n  redirects:\n    old/name: vanessa/greeting\n"},
        "old/name/index.html",
    ),
    "a tag that the host takes for a page": Case(
        (*ADD, "x/y:1.0.html"), {"_config.yml": PAGES}, ".html"
    ),
    "the same for a second tag": Case(
        ("tag", SUBJECT, "1.0.html"),
        {"_config.yml": PAGES},
        ".html",
    ),
    "the companion of another tag": Case(
        (*ADD, "vanessa/greeting:latest-s1"),
        {"_config.yml": "registry:\n  schema1:\n    suffix: -s1\n"},
        "schema 1 companion",
    ),
    "an app where a collection is": Case(
        ("bundle", "site", "vanessa/apps:inner"),
        {
            "_config.yml": "registry:\n  apps: [vanessa/apps]\n",
            "collections/vanessa/apps/README.md": "---\ntitle: Apps\n---\n",
            "collections/vanessa/apps/inner/README.md": "---\ntitle: Inner\n---\n",
            "site/index.html": "<p>x",
        },
        "vanessa/apps/inner",
    ),
    "a collection whose text is at fault": Case(
        (*ADD, "bad/text:1"),
        {"collections/bad/text/README.md": "---\ntitle: [1\n---\n"},
        "bad/text/README.md",
    ),
    "a redirect that leaves the new name": Case(
        ("mv", "moved/from", "moved/to"),
        {"collections/moved/from/README.md": MOVED},
        "/moved/from/old/",
    ),
    "a new name that is a document's": Case(
        ("mv", "vanessa/greeting", "about"), {"about.md": "# About\n"}, "about.md"
    ),
    "a second tag in a collection at fault": Case(
        ("tag", SUBJECT, "2"),
        {"collections/vanessa/greeting/README.md": "---\ntitle: [1\n---\n"},
        "greeting/README.md",
    ),
}


@pytest.fixture(autouse=True)
def _inside(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(greeting)
    Image.of("two").layout(Path("../layout"), "1.0")
    monkeypatch.setenv("GITHUB_REPOSITORY", "")


def silent(*_: object) -> Iterable[Problem]:
    """Judge nothing."""
    return ()


def seen() -> dict[str, bytes]:
    """Return all files and folders of the registry, without its cache."""
    found = {str(path): b"" for path in Path().rglob("*") if path.is_dir()} | read_tree(Path())
    return {path: data for path, data in found.items() if not path.startswith(".builder-cache")}


def arguments(case: Case) -> list[str]:
    return [item.replace("layout:", "../layout:") for item in case.command]


@pytest.mark.parametrize("name", CASES)
def test_refused_and_nothing_left(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    write_tree(Path(), case.files)
    before = seen()
    assert run(arguments(case)) == 1
    said = capsys.readouterr().err
    assert case.word in said
    assert "nothing was changed" in said
    assert seen() == before
    if case.command[0] == "add":
        assert run([*arguments(case), "--dry-run"]) == 1
        assert case.word in capsys.readouterr().err
        assert seen() == before


def test_a_dry_run_knows_a_layer_by_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    """Large layers are not read; what the host takes is known all the same."""
    Path("_config.yml").write_text("registry:\n  target: cloudflare-pages\n")
    Image.holding(bytes(26 << 20)).layout(Path("../large"), "1.0")
    before = seen()
    said = []
    for flags in ([], ["--dry-run"]):
        assert run(["add", "-q", *flags, "../large:1.0", "x/y:1"]) == 1
        said.append(capsys.readouterr().err)
        assert seen() == before
    assert said[0] == said[1]
    assert "incoming" not in said[0]  # it names what the layer's path would be
    assert run(["add", "--dry-run", "../layout:1.0", "x/y:1"]) == 0
    assert seen() == before


@pytest.mark.parametrize("name", CASES)
def test_a_build_says_the_same(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    write_tree(Path(), case.files)
    assert run(arguments(case)) == 1
    refused = [line for line in capsys.readouterr().err.splitlines() if case.word in line]
    with monkeypatch.context() as patch:
        for command in ("add", "tag", "mv", "bundle"):
            patch.setattr(f"builder.cli.{command}.judge_of", lambda _: silent)
        assert run(arguments(case)) == 0
    capsys.readouterr()
    assert run(["build", "-q"]) == 1
    built = capsys.readouterr().err.splitlines()
    assert set(refused) & set(built), (refused, built)


def test_what_was_wrong_with_the_site_before_keeps_nothing_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_tree(Path(), {"robots.txt": "x", "feed.xml": "x"})
    assert run(["build", "-q"]) == 1
    assert run(["add", "-q", "../layout:1.0", "x/y:1"]) == 0
    capsys.readouterr()
    assert run(["add", "-q", "../layout:1.0", "sitemap.xml:1"]) == 1
    assert "robots.txt" not in capsys.readouterr().err


def test_no_name_is_that_of_a_file_that_every_page_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Else such a collection comes in, below another or above it, and nothing is built any more."""
    Path("_config.yml").write_text("title: x\nurl: https://example.org\n")
    assert run(["build", "-q"]) == 0
    folders = [Path("_site/vanessa/greeting"), Path("_site/vanessa")]
    made = {path.name for folder in folders for path in folder.iterdir()} - {"greeting"}
    assert {"feed.xml", "badge.svg", "index.json"} < made
    for name in (*made, "oci-layout", "readme.md", "readme.markdown"):
        for above in ("", "vanessa/", "vanessa/greeting/"):
            capsys.readouterr()
            assert run(["add", "-q", "../layout:1.0", f"{above}{name}:1"]) == 2, above + name
            assert "is a reserved name" in capsys.readouterr().err


def test_every_command_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the commands that bring something in none succeeds where the judge says no."""

    def no(options: RegistryOptions, name: str, cache: Cache) -> Iterable[Problem]:
        del cache
        assert options.staged is None or options.staged.name == name
        return [Problem("judge", message="says no")] if options.staged else []

    write_tree(Path(), {"site/index.html": "x", "x.spdx.json": "{}"})
    tree = read_tree(Path("collections"))
    commands = [
        ["add", "../layout:1.0", "x/y:1"],
        ["tag", SUBJECT, "2"],
        ["mv", "vanessa/greeting", "vanessa/other"],
        ["attach", SUBJECT, "x.spdx.json"],
        ["bundle", "site", "x/site:1"],
    ]
    for command in commands:
        monkeypatch.setattr(f"builder.cli.{command[0]}.judge_of", lambda _: no)
        assert run(command) == 1, command
        assert read_tree(Path("collections")) == tree, command
        assert sorted(os.listdir("collections")) == ["vanessa"]


def test_one_bad_tag_of_many(capsys: pytest.CaptureFixture[str]) -> None:
    layout = Path("../many")
    image = Image.of("one")
    image.layout(layout, "1", "bad", "2")
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][1] |= {"digest": f"sha256:{'0' * 64}"}
    (layout / "index.json").write_bytes(as_json(index))
    assert run(["add", "--all-tags", "--json", "../many", "x/y"]) == 1
    out, said = capsys.readouterr()
    found: list[dict[str, Any]] = json.loads(out)
    assert {item["tag"]: "problems" in item for item in found} == {
        "1": False, "2": False, "bad": True,
    }  # fmt: skip
    assert "2 tags came in, x/y:bad did not" in said
    assert sorted(os.listdir("collections/x/y/manifests")) == ["1", "2"]
    assert run(["build", "-q"]) == 0


def test_a_tag_that_moves_says_from_where(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = Image.of("one").digest, Image.of("two").digest
    assert run(["tag", SUBJECT, "old"]) == 0
    assert "moved" not in capsys.readouterr().out
    assert run(["add", "../layout:1.0", "vanessa/greeting:old"]) == 0
    assert f"old {two}, moved from {one}" in capsys.readouterr().out
    assert run(["tag", SUBJECT, "old", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["movedFrom"] == two
    assert run(["tag", SUBJECT, "old", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["movedFrom"] is None


def test_a_layer_that_cannot_be_listed_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    Image.holding(b"no tar at all").layout(Path("../odd"), "1")
    assert run(["add", "--files", "../odd", "x/y:1"]) == 0
    assert "nothing was changed" not in capsys.readouterr().err
    assert run(["build", "-q"]) == 0


@pytest.mark.parametrize(
    "command",
    [
        ["build"], ["check"], ["list"], ["gc"], ["du"], ["recipes"], ["offload"],
        ["add", "../layout:1.0", "x/y:1"], ["tag", "x/y:1", "2"], ["untag", "x/y:1"],
        ["rm", "x/y"], ["mv", "a", "b"], ["inspect", "x/y"], ["attach", "x/y:1", "x.sarif"],
        ["export", "x/y:1", "oci:out"], ["push", "x/y:1", "docker://localhost:1/x/y"],
        ["bundle", ".", "x/y:1"],
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_outside_a_registry(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert run(command) == 2
    said = capsys.readouterr().err
    assert "not a registry: no _config.yml or collections/ here" in said
    assert "builder new" in said
    assert os.listdir() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing(number: int, code: int) -> None:
    write_tree(Path(), {"collections/slow/x/manifests/1/build.sh": "sleep 60\n"})
    before = read_tree(Path("collections"))
    process = subprocess.Popen(
        [*BUILDER, "recipes", "build", "slow/x:1"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert "building" in process.stderr.readline()
        process.send_signal(number)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == code
    assert read_tree(Path("collections")) == before
