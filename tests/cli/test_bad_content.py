"""Content that must be refused: the right exit, the place, the reason, nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.cli import run
from tests.conftest import write_tree
from tests.images import Image

HEAD = "---\nname: greeting\ndescription: A friendly greeting\n---\n# Greeting\n"
G = "collections/vanessa/greeting"
README = f"{G}/README.md"


@dataclass(frozen=True)
class Case:
    name: str
    files: Mapping[str, str | bytes]
    place: str
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)


def named(folder: str) -> dict[str, str | bytes]:
    return {f"collections/{folder}/README.md": "---\ntitle: x\n---\nx\n"}


def readme(text: str | bytes) -> dict[str, str | bytes]:
    return {README: text}


CASES = [
    Case("upper-case namespace", named("Vanessa/greeting"), "collections/Vanessa/greeting"),
    Case("leading dash", named("vanessa/-greeting"), "collections/vanessa/-greeting"),
    Case("mixed separators", named("vanessa/gree__-ting"), "collections/vanessa/gree__-ting"),
    Case("two dots", named("vanessa/gree..ting"), "collections/vanessa/gree..ting"),
    Case("newline", named("vanessa/gree\nting"), "collections/vanessa/gree\\nting", ("name",)),
    Case("backslash", named("vanessa/gree\\ting"), "collections/vanessa/gree\\ting"),
    Case("not ASCII", named("vanessa/café"), "collections/vanessa/caf"),
    Case("a look-alike", named("vanessa/\u0433reeting"), "collections/vanessa/\u0433"),
    Case("device name", named("vanessa/nul.img"), "collections/vanessa/nul.img"),
    Case("too long", named("vanessa/" + "a" * 250), "collections/vanessa/aaa", ("255",)),
    Case("a hidden collection", named("vanessa/.greeting"), "collections/vanessa/.greeting",
         ("holds content",)),
    Case("in a hidden namespace", named(".vanessa/greeting"), "collections/.vanessa",
         ("holds content",)),
    Case("called manifests", named("vanessa/manifests"), "collections/vanessa/manifests",
         ("reserved",)),
    Case("called tags", named("vanessa/tags"), "collections/vanessa/tags"),
    Case("called uploads", named("vanessa/uploads"), "collections/vanessa/uploads"),
    Case("below assets", named("assets/greeting"), "collections/assets/greeting", ("reserved",)),
    Case("tag with a dash", readme(HEAD), f"{G}/manifests/-x", tags=("-x",)),
    Case("tag of a referrers list", readme(HEAD), f"{G}/manifests/sha256-000", ("referrers",),
         tags=("sha256-" + "0" * 64,)),
    Case("tags but for case", readme(HEAD), f"{G}/manifests/Latest", ("case",),
         tags=("latest", "Latest")),
    Case("tag in a tag", readme(HEAD), f"{G}/manifests/la/test", tags=("la/test",)),
    Case("tag index.html", readme(HEAD), f"{G}/manifests/index.html", tags=("index.html",)),
    Case("never closed", readme("---\nname: greeting\n# Greeting\n"), f"{README}:1", ("---",)),
    Case("tab", readme("---\nname:\n\tgreeting\n---\n"), f"{README}:3", ("tab",)),
    Case("a list", readme("---\n- a\n- b\n---\n"), f"{README}:2", ("mapping",)),
    Case("empty front matter", readme("---\n---\n# hi\n"), README, ("description",)),
    Case("empty", readme(""), README, ("empty",)),
    Case("binary", readme("---\nname: !!binary aGk=\n---\n"), f"{README}:2", ("name",)),
    Case("anchors", readme("---\na: &a {k: 0}\nb: {<<: [*a, *a]}\n---\n"), f"{README}:2",
         ("anchor",)),
    Case("nesting", readme("---\na: " + "[" * 20000 + "\n---\n"), f"{README}:2"),
    Case("no such day", readme("---\ncreated: 2024-99-99\n---\n"), f"{README}:2", ("date",)),
    Case("mapping for text", readme("---\nname: greeting\ndescription: {a: 1}\n---\n"),
         f"{README}:3", ("description",)),
    Case("UTF-16", readme("---\nname: x\n---\n".encode("utf-16")), README, ("UTF-8",)),
    Case("NUL", readme('---\nname: "gr\0eet"\n---\n'), f"{README}:2"),
    Case("a page without its layout", {"about.md": "---\nlayout: fancy\n---\nx\n"}, "about.md:",
         ("not a page layout",)),
    Case("a link to itself", {}, "loop: is a symbolic link", links={"loop": "loop"}),
    Case("foreign layout", readme("---\nname: greeting\nlayout: ../../etc/passwd\n---\n"),
         f"{README}:3", ("layout",)),
    Case("large", readme("---\n" + "".join(f"a{i}: 1\n" for i in range(20000)) + "---\n"), README,
         ("limit",)),
    Case("permalink", readme("---\npermalink: /elsewhere/\n---\nx\n"), f"{README}:2"),
    Case("foreign redirect", readme("---\nredirect_from: /other/name/\n---\nx\n"), f"{README}:2"),
    Case("password in a URL", readme("---\nurl: https://u:secret@host/\n---\nx\n"), f"{README}:2"),
    Case("link to a file", {}, README, ("link",), links={README: "/etc/passwd"}),
    Case("link loop", readme(HEAD), "collections/vanessa/a", ("link",),
         links={"collections/vanessa/a": "b", "collections/vanessa/b": "a"}),
    Case("link to a neighbour", {"collections-private/s.md": "TOPSECRET"}, README, ("link",),
         links={README: "../../../collections-private/s.md"}),
    Case("brackets", readme(HEAD + "[" * 13000), README, ("limit",)),
    Case("links", readme(HEAD + "[a](" * 20000), README, ("limit",)),
    Case("quotes", readme(HEAD + ">" * 50000), README, ("limit",)),
    Case("no content in a tag", readme(HEAD) | {f"{G}/manifests/v1/README.md": "notes\n"},
         f"{G}/manifests/v1", ("builder add",)),
    Case("two recipes",
         readme(HEAD) | {f"{G}/manifests/v1/Dockerfile": "", f"{G}/manifests/v1/Singularity": ""},
         f"{G}/manifests/v1", ("recipe",)),
    Case("config key", readme(HEAD) | {"_config.yml": "titel: x\n"}, "_config.yml:1", ("title",)),
    Case("registry key", readme(HEAD) | {"_config.yml": "registry:\n  hots: x\n"},
         "_config.yml:2", ("host",)),
    Case("password in the address",
         readme(HEAD) | {"_config.yml": 'url: "https://u:hunter2@host/"\n'}, "_config.yml:1"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_refused(
    case: Case,
    registry: Path,
    build: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_tree(registry, case.files)
    for number, tag in enumerate(case.tags):
        Image.of(f"image {number}").tag(registry / G, tag)
    for path, target in case.links.items():
        (registry / path).parent.mkdir(parents=True, exist_ok=True)
        (registry / path).symlink_to(target)
    assert build() == 1
    told = capfd.readouterr().err
    assert case.place in told
    assert all(word in told for word in case.words), told
    assert "Traceback" not in told
    assert "hunter2" not in told
    assert all(char.isprintable() or char == "\n" for char in told)
    assert not (registry / "_site").exists()


def test_a_pipe_is_refused_without_waiting(registry: Path, build: Callable[..., int]) -> None:
    (registry / G).mkdir(parents=True)
    os.mkfifo(registry / README)
    assert build() == 1


def test_all_problems_are_told_at_once(
    registry: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    write_tree(registry, named("vanessa/-a") | named("vanessa/B") | readme("---\nhidden: 7\n---\n"))
    assert build() == 1
    told = capfd.readouterr().err
    assert "vanessa/-a" in told
    assert "vanessa/B" in told
    assert f"{README}:2" in told
    assert "3 problems" in told


GOOD = [
    ("index as a name", named("vanessa/index") | named("vanessa")),
    ("byte order mark", readme(b"\xef\xbb\xbf---\nname: greeting\n---\nx\n")),
    ("litter", readme(HEAD) | {f"{README}~": "x", "collections/vanessa/.DS_Store": "x"}),
    ("deep name", named("a/b/c")),
    ("a stranger's page", readme(HEAD) | {f"{G}/evil.html": "<script>alert(1)</script>"}),
]


@pytest.mark.parametrize(("name", "files"), GOOD, ids=[name for name, _ in GOOD])
def test_is_accepted(
    name: str, files: Mapping[str, str | bytes], registry: Path, build: Callable[..., int]
) -> None:
    write_tree(registry, files)
    assert build() == 0, name
    published = {path.name for path in (registry / "_site").rglob("*")}
    assert not published & {".DS_Store", "README.md~", "evil.html"}


@pytest.mark.parametrize("tag", ["a" * 128, "list"])
def test_odd_tags_are_accepted(tag: str, registry: Path, build: Callable[..., int]) -> None:
    write_tree(registry, readme(HEAD))
    Image.of("x").tag(registry / G, tag)
    assert build() == 0
    assert (registry / f"_site/v2/vanessa/greeting/manifests/{tag}").is_file()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("---\ndescripton: x\n---\nx\n", "description"),
        ("---\nname: other\n---\nx\n", "greeting"),
        (HEAD + "[x](../../../../etc/passwd)\n", "leaves"),
    ],
)
def test_is_a_warning(
    text: str,
    word: str,
    registry: Path,
    build: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_tree(registry, readme(text))
    assert build() == 0
    told = capfd.readouterr().err
    assert README in told
    assert word in told
    assert build("--strict") == 1


SECRET = ("precious/keep.txt", "keep")


def test_a_foreign_folder_is_not_touched(
    registry: Path, build: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    write_tree(registry, readme(HEAD) | dict([SECRET]))
    assert build("-d", str(registry / "precious")) == 1
    assert "precious" in capfd.readouterr().err
    assert [path.name for path in (registry / "precious").iterdir()] == ["keep.txt"]


def test_a_link_in_the_destination_is_not_followed(
    greeting: Path, build: Callable[..., int], tmp_path: Path
) -> None:
    assert build() == 0
    outside = tmp_path / "outside"
    outside.mkdir()
    site = greeting / "_site"
    (site / "vanessa").rename(tmp_path / "aside")
    (site / "vanessa").symlink_to(outside)
    (greeting / README).write_text("---\ntitle: Changed\n---\nnew text\n")
    assert build() == 3
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["README.md", "manifests/latest", "manifests/latest/README.md",
             "manifests/latest/manifest.json", "manifests/2.0/Dockerfile"],
)  # fmt: skip
def test_a_link_is_one_problem(
    path: str,
    greeting: Path,
    build: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_tree(greeting / G, {"manifests/2.0/Dockerfile": "FROM scratch\n"})
    kept = greeting / G / path
    if kept.exists():
        kept.rename(tmp_path / "kept")
    kept.symlink_to(tmp_path / "kept")
    assert build() == 1
    said = capfd.readouterr().err
    assert f"{G}/{path}: is a symbolic link" in said
    assert "builder: 1 problem;" in said


@pytest.mark.parametrize(
    "command",
    ["publish LOOP", "publish LOOP/x", "bundle LOOP x/y:1", "keygen LOOP/x", "verify LOOP",
     "list -c LOOP", "list -s LOOP", "list -c circle.yml", "add file:LOOP x/y:1",
     "build -d LOOP", "build -d LOOP/x", "new LOOP"],
)  # fmt: skip
def test_links_in_a_circle(
    command: str, greeting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (greeting / "circle.yml").write_text(f"source: {tmp_path}/loop\n")
    monkeypatch.chdir(greeting)
    assert run(command.replace("LOOP", str(tmp_path / "loop")).split()) in (1, 2, 3)


def test_a_folder_that_was_named_is_shown_without_what_a_terminal_would_do(
    greeting: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["build", "-s", str(greeting), "-d", f"{tmp_path}/\x1b]0;x\x07"]) == 0
    said = capfd.readouterr()
    assert "\x1b" not in said.out + said.err
