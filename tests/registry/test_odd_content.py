"""Content as the world makes it: layouts of any tool, platforms of any kind, indexes in indexes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.images import INDEX, MANIFEST, Image, as_json, descriptor, sha256

Capture = pytest.CaptureFixture[str]
Build = Callable[..., int]
NAME = "org.opencontainers.image.ref.name"
G = "collections/vanessa/greeting"


def entry(image: Image, name: str = "", **more: Any) -> dict[str, Any]:
    said = {"annotations": {NAME: name}} if name else {}
    return descriptor(image.media_type, image.manifest, **said, **more)


def layout(folder: Path, entries: Any, *images: Image) -> None:
    """Write an image layout whose `index.json` holds `entries`, as they are."""
    for image in images:
        Image(b"", image.blobs | {image.digest: image.manifest}).store(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    document = {"schemaVersion": 2, "manifests": entries}
    (folder / "index.json").write_bytes(as_json(document))


def index_of(*entries: dict[str, Any]) -> Image:
    raw = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)})
    return Image(raw, {}, INDEX)


def referrer(image: Image) -> Image:
    subject = descriptor(MANIFEST, image.manifest)
    return Image.of("sbom", subject=subject, artifactType="application/spdx+json")


def page(registry: Path, path: str) -> Any:
    return json.loads((registry / "_site/vanessa/greeting" / path / "index.json").read_bytes())


ONE, TWO = Image.of("one"), Image.of("two")
XML = {"mediaType": "application/xml", "digest": sha256(b"<x/>"), "size": 4}
LAYOUTS: list[tuple[str, Any, list[str], str]] = [
    ("full names", [entry(ONE, "docker.io/library/x:1"), entry(TWO, "h:5000/x:2")],
     ["1", "2"], ""),
    ("a full name without a tag", [entry(ONE, "docker.io/library/x")], ["latest"], ""),
    ("containerd's name", [entry(ONE, "", annotations={"io.containerd.image.name": "a/b:1.0"})],
     ["1.0"], ""),
    ("one image twice", [entry(ONE, "1.0"), entry(ONE, "1.0")], ["1.0"], ""),
    ("two images of one tag", [entry(ONE, "a/x:1"), entry(TWO, "b/x:1")], [], "it names"),
    ("no name", [entry(ONE)], [], "by digest"),
    ("a name that is no tag", [entry(ONE, "1.2+build.5")], [], "not a valid tag"),
    ("a tag and a digest", [entry(ONE, f"h:5000/x:1.2@{ONE.digest}")], ["1.2"], ""),
    ("by digest", [entry(ONE, f"x@{ONE.digest}")], [], "by digest"),
    ("an md5 entry", [entry(ONE, "1.0"), {**entry(TWO, "2.0"), "digest": f"md5:{'0' * 32}"}],
     ["1.0"], "(2.0) is left out: only sha256"),
    ("a blake3 entry without a name", [{**entry(TWO), "digest": f"blake3:{'0' * 64}"}],
     [], f"blake3:{'0' * 64} is left out"),
    ("another type", [entry(ONE, "1.0"), XML], ["1.0"], "is application/xml"),
    ("null", None, [], "no image under a tag"),
    ("nothing", [], [], "no image under a tag"),
    ("image and referrer", [entry(ONE, "1.0"), entry(referrer(ONE))], ["1.0"], ""),
    ("wrong size", [{**entry(ONE, "1.0"), "size": 7}], ["1.0"], "index.json says 7 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "tags", "why"), [case[1:] for case in LAYOUTS], ids=[case[0] for case in LAYOUTS]
)
def test_a_layout_as_a_collection(
    registry: Path, build: Build, capsys: Capture, *, entries: Any, tags: list[str], why: str
) -> None:
    layout(registry / G, entries, ONE, TWO, referrer(ONE))
    assert build() == 0
    told = capsys.readouterr().err
    assert page(registry, "tags") == {"name": "vanessa/greeting", "tags": tags}
    pages = sorted((registry / "_site/vanessa/greeting").rglob("index.html"))
    shown = "".join(file.read_text() for file in pages)
    assert why in told
    assert why in shown
    assert ("warning" in told) is bool(why)


@pytest.mark.parametrize(
    ("entries", "is_there"),
    [
        ([entry(ONE), entry(referrer(ONE))], True),
        ([entry(ONE, "other"), entry(TWO, "1.0")], True),
        ([entry(index_of(entry(ONE))), entry(ONE)], True),
        ([entry(ONE), XML], True),
        ([entry(ONE), entry(TWO)], False),
        ([], False),
        (None, False),
    ],
)
def test_a_layout_as_a_tag(
    registry: Path, build: Build, capsys: Capture, entries: Any, *, is_there: bool
) -> None:
    layout(registry / G / "manifests/1.0", entries, ONE, TWO, referrer(ONE), index_of(entry(ONE)))
    assert build() == 0
    assert page(registry, "tags")["tags"] == (["1.0"] if is_there else [])
    assert ("is left out: its image layout holds" in capsys.readouterr().err) is not is_there
    shown = (registry / "_site/vanessa/greeting/tags/1.0/index.html").read_text()
    assert ("Left out" in shown and "its image layout holds" in shown) is not is_there


MD5 = {"mediaType": INDEX, "digest": f"md5:{'0' * 32}", "size": 3}
OLD = index_of({**entry(ONE), "digest": MD5["digest"]})
DEEP = index_of(entry(OLD))


@pytest.mark.parametrize("old", [OLD, DEEP], ids=["index", "deep"])
@pytest.mark.parametrize("form", ["layout", "tag as a layout", "tag"])
def test_what_nobody_can_verify_is_left_out_with_a_reason(
    registry: Path, build: Build, capsys: Capture, old: Image, form: str
) -> None:
    """A digest of another algorithm may be right: its tag waits, and stops no other."""
    here = registry / G
    if form == "layout":
        layout(here, [entry(old, "old"), entry(ONE, "1.0")], old, OLD, ONE)
    else:
        ONE.tag(here, "1.0")
        layout(here / "manifests/old", [entry(old)], old, OLD)
        if form == "tag":
            (here / "manifests/old/manifest.json").write_bytes(old.manifest)
            Image(b"", {OLD.digest: OLD.manifest}).store(here)
    assert build() == 0
    told = capsys.readouterr().err
    assert "left out" in told
    assert "is not a sha256 or sha512 digest" in told
    assert page(registry, "tags")["tags"] == ["1.0"]
    shown = "".join(file.read_text() for file in sorted((registry / "_site").rglob("index.html")))
    assert "left out" in shown.lower()
    assert "is not a sha256 or sha512 digest" in shown


def test_an_entry_of_another_algorithm_stops_no_other(
    registry: Path, tmp_path: Path, capsys: Capture
) -> None:
    old = {**MD5, "mediaType": "application/vnd.oci.artifact.manifest.v1+json"}
    old |= {"digest": XML["digest"], "annotations": {NAME: "3.0"}}
    layout(tmp_path / "in", [entry(ONE, "1.0"), {**MD5, **entry(TWO, "2.0"), **MD5}, old], ONE)
    flags = ["-q", "-s", str(registry)]
    assert run(["add", *flags, f"{tmp_path}/in:1.0", "x/one:1.0"]) == 0
    assert run(["add", *flags, f"{tmp_path}/in:2.0", "x/one:2.0"]) == 1
    assert "cannot be verified here" in capsys.readouterr().err
    assert run(["add", *flags, f"{tmp_path}/in:3.0", "x/one:3.0"]) == 1
    assert "no image and no index" in capsys.readouterr().err
    assert run(["add", *flags, "--all-tags", f"{tmp_path}/in", "x/all"]) == 1
    assert "1 tag came in, x/all:2.0 did not" in capsys.readouterr().err


def test_sha512_entries_are_served_under_sha512(registry: Path, build: Build) -> None:
    digest = f"sha512:{hashlib.sha512(ONE.manifest).hexdigest()}"
    layout(registry / G, [{**entry(ONE, "1.0"), "digest": digest}], ONE)
    Image(b"", {digest: ONE.manifest}).store(registry / G)
    assert build() == 0
    folder = registry / "_site/v2/vanessa/greeting/manifests"
    assert (folder / digest).read_bytes() == (folder / "1.0").read_bytes() == ONE.manifest
    assert page(registry, "tags/1.0")["digest"] == digest


def test_a_child_by_sha512_keeps_its_digest(registry: Path, tmp_path: Path, build: Build) -> None:
    digest = f"sha512:{hashlib.sha512(ONE.manifest).hexdigest()}"
    top = index_of({**on(ONE, "linux", "amd64"), "digest": digest})
    layout(tmp_path / "in", [entry(top, "1.0")], top)
    Image(b"", {**ONE.blobs, digest: ONE.manifest}).store(tmp_path / "in")
    name = "vanessa/greeting:1.0"
    assert run(["add", "-q", "-s", str(registry), f"{tmp_path}/in", name]) == 0
    assert build() == 0
    served = registry / "_site/v2/vanessa/greeting/manifests" / digest
    assert served.read_bytes() == ONE.manifest
    assert run(["export", "-q", "-s", str(registry), name, f"oci:{tmp_path}/out"]) == 0
    assert (tmp_path / "out/blobs" / digest.replace(":", "/")).read_bytes() == ONE.manifest


def on(image: Image, system: str, architecture: str, **more: str) -> dict[str, Any]:
    return entry(image, platform={"os": system, "architecture": architecture, **more})


BUILDS = {"10.0.17763.6532": Image.of("old"), "10.0.26100.2605": Image.of("new")}
ARM, PLAIN = Image.of("arm", architecture="arm64"), Image.of("any build")
MIXED = index_of(
    on(ONE, "linux", "amd64"),
    on(ARM, "linux", "arm64", variant="v8"),
    *(on(image, "windows", "amd64", **{"os.version": of}) for of, image in BUILDS.items()),
)
SYSTEMS = index_of(
    *(on(image, "windows", "amd64", **{"os.version": of}) for of, image in BUILDS.items()),
    on(PLAIN, "windows", "amd64"),
)
NESTED = index_of(
    {**entry(index_of(entry(ONE))), "platform": {"os": "linux", "architecture": "amd64"}},
    entry(index_of(on(ARM, "linux", "arm64"))),
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A layout of an index of several systems, and one of indexes in an index."""
    folder = tmp_path / "layout"
    images = [ONE, ARM, PLAIN, *BUILDS.values(), MIXED, NESTED, SYSTEMS]
    inner = [index_of(entry(ONE)), index_of(on(ARM, "linux", "arm64"))]
    tops = [entry(MIXED, "mixed"), entry(NESTED, "nested"), entry(SYSTEMS, "plain")]
    layout(folder, tops, *images, *inner)
    return folder


CHOICES = [
    ("mixed", "linux/x86_64", ONE),
    ("mixed", "linux/amd64/v1", ONE),
    ("mixed", "linux/arm64", ARM),
    ("mixed", "linux/aarch64", ARM),
    ("mixed", "windows(10.0.17763)/amd64", BUILDS["10.0.17763.6532"]),
    ("plain", "windows/amd64", PLAIN),
    ("nested", "linux/amd64", ONE),
    ("nested", "linux/arm64/v8", ARM),
]


@pytest.mark.parametrize(("tag", "platform", "image"), CHOICES)
def test_one_platform_of_an_index(
    registry: Path, source: Path, tmp_path: Path, *, tag: str, platform: str, image: Image
) -> None:
    """Chosen alike when it comes in, when it goes out, and when its files are looked at."""
    flags = ["-q", "-s", str(registry)]
    name = "vanessa/greeting"
    wanted = ["--platform", platform]
    assert run(["add", *flags, "--files", f"{source}:{tag}", f"{name}:all"]) == 0
    assert run(["add", *flags, *wanted, f"{source}:{tag}", f"{name}:one"]) == 0
    stored = registry / G / "manifests/one/manifest.json"
    assert stored.read_bytes() == image.manifest
    out = tmp_path / "out"
    assert run(["export", *flags, *wanted, f"{name}:all", f"oci:{out}"]) == 0
    assert (out / "blobs" / image.digest.replace(":", "/")).read_bytes() == image.manifest
    assert run(["inspect", *flags, *wanted, "--files", f"{name}:all"]) == 0


def test_a_choice_that_leaves_several_says_so(
    registry: Path, source: Path, capsys: Capture
) -> None:
    flags = ["-q", "-s", str(registry), "--platform", "windows/amd64"]
    assert run(["add", *flags, f"{source}:mixed", "vanessa/greeting:one"]) == 1
    error = capsys.readouterr().err
    assert "2 images for windows/amd64" in error
    said = [f"windows({version})/amd64" for version in BUILDS]
    assert all(repr(name) in error for name in said), "and each of these is one:"
    for name in said:
        assert run(["add", *flags[:-1], name, f"{source}:mixed", "vanessa/greeting:one"]) == 0
    assert run(["add", *flags[:-1], "linux/riscv64", f"{source}:mixed", "x:one"]) == 1
    assert "it has: linux/amd64, linux/arm64/v8, windows(" in capsys.readouterr().err


def test_pages_tell_platforms_apart(registry: Path, source: Path, build: Build) -> None:
    for tag in ("mixed", "nested"):
        name = f"vanessa/greeting:{tag}"
        assert run(["add", "-q", "-s", str(registry), f"{source}:{tag}", name]) == 0
    assert build("--strict") == 0
    mixed = page(registry, "tags/mixed")
    assert [line["platform"] for line in mixed["platforms"]] == [
        "linux/amd64", "linux/arm64/v8", *(f"windows({version})/amd64" for version in BUILDS),
    ]  # fmt: skip
    nested = page(registry, "tags/nested")
    assert [line["platform"] for line in nested["platforms"]] == ["linux/amd64", "linux/arm64"]
    assert all(len(image["layers"]) == 1 for image in nested["images"])
    catalogue = json.loads((registry / "_site/collections.json").read_bytes())
    assert "windows/amd64" in json.dumps(catalogue)


def test_an_index_of_which_one_image_is_here(
    registry: Path, tmp_path: Path, capsys: Capture
) -> None:
    layout(tmp_path / "sparse", [entry(MIXED, "1.0")], ONE, MIXED)
    name, flags = "vanessa/greeting:1.0", ["-q", "-s", str(registry)]
    assert run(["add", *flags, f"{tmp_path}/sparse", name]) == 1
    assert "take one with --platform" in capsys.readouterr().err
    assert run(["add", *flags, "--platform", "linux/amd64", f"{tmp_path}/sparse", name]) == 0


def test_line_ends_that_git_changed(greeting: Path, build: Build, capsys: Capture) -> None:
    file = greeting / G / "manifests/latest/manifest.json"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert build() == 0
    assert "Windows line ends" in capsys.readouterr().err
    shown = (greeting / "_site/vanessa/greeting/tags/latest/index.html").read_text()
    assert "Windows line ends" in shown


def test_all_that_is_wrong_with_a_layout_is_said_at_once(registry: Path, capsys: Capture) -> None:
    keys = Image(b'{"schemaVersion":2,"layers":[],"Layers":[]}', {})
    typed = Image.of("odd", artifactType="text/html")
    gone = Image.of("gone")
    layout(registry / G, [entry(item, f"{n}") for n, item in enumerate((keys, typed, ONE))], keys,
           typed, ONE)  # fmt: skip
    document = json.loads((registry / G / "index.json").read_bytes())
    document["manifests"].append(entry(gone, "3"))
    (registry / G / "index.json").write_bytes(as_json(document))
    assert run(["check", "-s", str(registry)]) == 1
    said = capsys.readouterr().err
    for image in (keys, typed, gone):
        assert image.digest in said
    assert ONE.digest not in said


@pytest.mark.parametrize("asked", ["linux/amd64", "linux/x86_64", "linux/amd64/v1"])
def test_the_platform_of_an_image_that_is_no_index(
    registry: Path, tmp_path: Path, asked: str, capsys: Capture
) -> None:
    source = f"oci:{tmp_path / 'in'}"
    layout(tmp_path / "in", [entry(ONE, "1.0")], ONE)
    flags = ["-s", str(registry), "--platform"]
    assert run(["add", *flags, "linux/arm64", source, "vanessa/greeting:1.0"]) == 1
    assert "it is for linux/amd64" in capsys.readouterr().err
    assert run(["add", *flags, asked, source, "vanessa/greeting:1.0"]) == 0


def test_a_platform_of_a_saved_image(registry: Path, tmp_path: Path, capsys: Capture) -> None:
    layout(tmp_path / "in", [entry(ONE, "1.0")], ONE)
    run(["add", "-s", str(registry), f"oci:{tmp_path / 'in'}", "vanessa/greeting:1.0"])
    saved = f"docker-archive:{tmp_path / 'saved.tar'}"
    assert run(["export", "-s", str(registry), "vanessa/greeting:1.0", saved]) == 0
    flags = ["-s", str(registry), "--platform", "linux/arm64"]
    assert run(["add", *flags, saved, "vanessa/greeting:2.0"]) == 1
    assert "it is for linux/amd64" in capsys.readouterr().err


def test_a_layout_without_a_manifest_that_it_names(
    registry: Path, build: Build, capsys: Capture
) -> None:
    layout(registry / G, [entry(ONE, "1.0"), entry(TWO, "2.0")], ONE)
    assert build() == 1
    assert f"needs {TWO.digest} (451 bytes), which is not here" in capsys.readouterr().err
    assert build("--allow-missing") == 0
    assert page(registry, "tags")["tags"] == ["1.0"]
    shown = (registry / "_site/vanessa/greeting/index.html").read_text()
    assert f"2.0 is left out: {TWO.digest} is not here" in shown
