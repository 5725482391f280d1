"""Apps in the built site: which are unpacked, where, and what is a problem."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from tests.apps.samples import app_of, in_index, packed, small_app, special
from tests.conftest import read_tree, write_tree
from tests.images import Image

Capture = pytest.CaptureFixture[str]
Build = Callable[..., int]
CSP = "Content-Security-Policy"


@pytest.fixture
def apps(registry: Path) -> Path:
    """A registry whose configuration lists `my-app`; returns the collection's folder."""
    configure(registry, "apps: [my-app]")
    folder = registry / "collections/my-app"
    write_tree(folder, {"README.md": "An app.\n"})
    return folder


def configure(registry: Path, text: str) -> None:
    (registry / "_config.yml").write_text(f"title: Apps\nregistry:\n  {text}\n")


def site(registry: Path) -> dict[str, bytes]:
    return read_tree(registry / "_site")


def versions(tree: dict[str, bytes], name: str = "my-app") -> set[str]:
    found = {path.removeprefix(f"{name}/") for path in tree if path.startswith(f"{name}/")}
    return {path.removesuffix("/js/app.js") for path in found if path.endswith("/js/app.js")}


def refused(build: Build, capsys: Capture) -> str:
    capsys.readouterr()
    assert build() == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_files_are_published_byte_for_byte(apps: Path, registry: Path, build: Build) -> None:
    small_app("<h1>é</h1>").tag(apps, "1.0")
    assert build() == 0
    tree = site(registry)
    assert tree["my-app/1.0/index.html"] == "<h1>é</h1>".encode()
    assert tree["my-app/1.0/js/app.js"] == tree["my-app/latest/js/app.js"] == b"1"
    assert versions(tree) == {"1.0", "latest"}
    for page in ("my-app/index.html", "my-app/tags/1.0/index.html"):
        assert b'href="/my-app/1.0/"' in tree[page]
    assert b"tar -xz" in tree["my-app/tags/1.0/index.html"]


def test_nothing_is_unpacked_that_is_not_listed(apps: Path, registry: Path, build: Build) -> None:
    small_app().tag(apps, "1.0")
    configure(registry, "apps: [other, their/*]")
    assert build() == 0
    assert versions(site(registry)) == set()


def test_an_index_around_it_and_a_type_of_its_own(apps: Path, registry: Path, build: Build) -> None:
    in_index(small_app()).tag(apps, "1.0")
    assert build() == 0
    assert versions(site(registry)) == {"1.0", "latest"}
    kind = "application/vnd.example.app+json"
    small_app("mine", kind=kind).tag(apps, "2.0")
    configure(registry, f"apps: [{{name: my-app, type: {kind}}}]")
    assert build() == 0
    assert versions(site(registry)) == {"2.0", "latest"}


def test_the_newest_stay_and_the_others_say_so(
    apps: Path, registry: Path, build: Build, capsys: Capture
) -> None:
    for version in ("1.0", "1.1", "1.9", "1.10", "2.0-rc1"):
        small_app(version).tag(apps, version)
    Image.of("an image beside").tag(apps, "1.10-image")
    configure(registry, "apps: [{name: my-*, keep: 2}]")
    assert build() == 0
    tree = site(registry)
    assert versions(tree) == {"1.9", "1.10", "latest"}
    assert tree["my-app/latest/index.html"] == b"1.10"
    page = tree["my-app/tags/1.0/index.html"].decode()
    assert "no longer served here" in page
    assert "| tar -xz" in page
    assert "no longer served here" not in tree["my-app/tags/1.10-image/index.html"].decode()
    small_app("special").tag(apps, "latest")
    assert build() == 0
    tree = site(registry)
    assert versions(tree) == {"1.9", "1.10", "latest"}
    assert tree["my-app/latest/index.html"] == b"special"
    assert capsys.readouterr().err.count("warning") == 0


def test_a_yanked_version_is_not_the_latest(apps: Path, registry: Path, build: Build) -> None:
    for version in ("1.0", "2.0"):
        small_app(version).tag(apps, version)
    (apps / "manifests/2.0/README.md").write_text("---\nyanked: it eats cookies\n---\n")
    assert build() == 0
    assert site(registry)["my-app/latest/index.html"] == b"1.0"


@pytest.mark.parametrize("said", ["config", "app"])
def test_deep_links(apps: Path, registry: Path, build: Build, said: str) -> None:
    document = {"rootDir": "app"} | ({"spa": True} if said == "app" else {})
    layer = packed({"app/index.html": "page", "app/js/app.js": "1"})
    app_of(layer, config=document).tag(apps, "1.0")
    if said == "config":
        configure(registry, "apps: [{name: my-app, spa: true}]")
    assert build() == 0
    tree = site(registry)
    assert tree["my-app/1.0/200.html"] == tree["my-app/1.0/404.html"] == b"page"


def test_an_app_that_did_not_change_costs_nothing(
    apps: Path, registry: Path, build: Build, capsys: Capture
) -> None:
    small_app("one").tag(apps, "1.0")
    assert build() == 0
    written = {path: os.lstat(registry / "_site" / path).st_ino for path in site(registry)}
    small_app("two").tag(apps, "2.0")
    capsys.readouterr()
    assert build() == 0
    for name, inode in written.items():
        if name.startswith("my-app/1.0/"):
            assert os.lstat(registry / "_site" / name).st_ino == inode
    assert versions(site(registry)) == {"1.0", "2.0", "latest"}
    for path in (registry / ".builder-cache/apps").iterdir():
        os.utime(path, (1000, 1000))
    assert build() == 0
    ages = {path.stat().st_mtime for path in (registry / ".builder-cache/apps").iterdir()}
    assert ages == {1000}  # nobody asked


def test_an_app_goes_with_its_tag_and_its_listing(apps: Path, registry: Path, build: Build) -> None:
    small_app("one").tag(apps, "1.0")
    small_app("two").tag(apps, "2.0")
    assert build() == 0
    for path in (apps / "manifests/1.0").iterdir():
        path.unlink()
    (apps / "manifests/1.0").rmdir()
    assert build() == 0
    assert versions(site(registry)) == {"2.0", "latest"}
    configure(registry, "apps: []")
    assert build() == 0
    assert versions(site(registry)) == set()


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (packed({"app/index.html": "x", "../evil": "x"}), "leaves its folder"),
        (packed({"app/index.html": "x", "/evil": "x"}), "leaves its folder"),
        (packed([("app/index.html", b"x"), special("app/l", tarfile.SYMTYPE, "/etc")]), "link"),
        (packed({"app/page.html": "x"}), "no app/index.html"),
        (b"nothing at all", "the tar is cut short"),
    ],
)
def test_hostile_apps_are_problems_of_their_tag(
    apps: Path, build: Build, capsys: Capture, layer: bytes, word: str
) -> None:
    registry = apps.parent.parent
    small_app().tag(apps, "1.0")
    assert build() == 0
    before = site(registry)
    app_of(layer).tag(apps, "6.6.6")
    said = refused(build, capsys)
    assert "collections/my-app/manifests/6.6.6" in said
    assert word in said
    assert site(registry) == before
    assert not list(registry.rglob("evil"))
    assert run(["check", "-s", str(registry)]) == 1
    assert word in capsys.readouterr().err


def test_two_owners_of_one_address(
    apps: Path, registry: Path, build: Build, capsys: Capture
) -> None:
    small_app().tag(apps, "1.0")
    Image.of("below").tag(registry / "collections/my-app/1.0", "latest")
    said = refused(build, capsys)
    assert "collections/my-app/1.0" in said
    assert "collections/my-app/manifests/1.0" in said


@pytest.mark.parametrize(
    ("tag", "word"),
    [
        ("tags", "reserved"),
        ("blobs", "reserved"),
        ("page", "reserved"),
        ("1.0.json", "taken for a file"),
        ("a.HTML", "taken for a file"),
    ],
)
def test_addresses_that_no_app_can_have(
    apps: Path, build: Build, capsys: Capture, tag: str, word: str
) -> None:
    small_app().tag(apps, tag)
    said = refused(build, capsys)
    assert f"collections/my-app/manifests/{tag}" in said
    assert word in said


def test_names_that_nobody_answers_to(
    apps: Path, registry: Path, build: Build, capsys: Capture
) -> None:
    Image.of("no app").tag(apps, "1.0")
    configure(registry, "apps:\n    - my-app\n    - my-ap\n    - nobody/*")
    assert build() == 0
    said = capsys.readouterr().err
    assert "holds no web app" in said
    assert "_config.yml:5: warning: registry.apps: there is no collection 'my-ap'" in said
    assert "did you mean 'my-app'" in said
    assert "'nobody/*'" in said


@pytest.mark.parametrize(
    "text",
    ["apps: [3]", "apps: [{keep: 2}]", "apps: [{name: a, kept: 2}]", "apps: [{name: a, keep: 0}]",
     "apps: [{name: a, keep: yes}]", "apps: [{name: a, spa: 1}]", "apps: [{name: a, type: x}]",
     "apps: [{name: a, type: text/html}]", "apps: my-app", "apps: {name: a}"],
)  # fmt: skip
def test_listings_that_make_no_sense(
    registry: Path, build: Build, capsys: Capture, text: str
) -> None:
    configure(registry, text)
    said = refused(build, capsys)
    assert "_config.yml:3" in said
    assert "registry.apps" in said


def test_an_app_that_lies_elsewhere_is_told(
    apps: Path, registry: Path, build: Build, capsys: Capture
) -> None:
    app = small_app()
    app.tag(apps, "1.0")
    configure(registry, "apps: [my-app]\n  blobs: https://blobs.example.org")
    layer = max(app.blobs, key=lambda digest: len(app.blobs[digest]))
    (apps / "blobs" / layer.replace(":", "/")).unlink()
    said = refused(build, capsys)
    assert "elsewhere" in said or "nowhere" in said
