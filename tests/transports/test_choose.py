"""Which of several images is meant, by name, number and digest; and archives described twice."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from builder.errors import ContentError
from builder.oci.content import read_verified
from builder.oci.graph import select_platform, walk
from builder.oci.platform import Platform
from builder.transports.choose import Candidate, choose, full_name
from builder.transports.copy import copy_image, plan_copy
from builder.transports.layout_sink import LayoutSink
from builder.transports.sources import SourceOptions, open_source
from tests.images import Image, as_json, descriptor, sha256
from tests.transports.samples import DockerArchive, tar_of

ONE, TWO, THREE = (f"sha256:{letter * 64}" for letter in "abc")
IMAGES = [
    Candidate(1, (ONE,), ("docker.io/library/alpine:3", "3")),
    Candidate(2, (TWO,), ("ghcr.io/fork/alpine:3", "3")),
    Candidate(3, (THREE,), ("1.0",)),
    Candidate(3, (THREE,), ("stable",)),
    Candidate(4, ("sha256:" + "d" * 64,), ()),
]


@pytest.mark.parametrize(
    ("wanted", "image"),
    [
        ("docker.io/library/alpine:3", 1),
        ("alpine:3", 1),  # as Docker writes it; also how another one ends
        ("library/alpine:3", 1),
        ("ghcr.io/fork/alpine:3", 2),
        ("fork/alpine:3", 2),
        ("1.0", 3),
        ("stable", 3),
        (THREE, 3),
        ("@0", 1),
        ("@4", 4),
        ("sha256:" + "d" * 64, 4),
    ],
)
def test_an_image_is_found_by(wanted: str, image: int) -> None:
    assert choose(IMAGES, wanted, "here") == image


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            "",
            (
                "holds 5 images; say which",
                "@0 docker.io/library/alpine:3",
                "@4 sha256:ddd",
                "as in here:@4",
                "@3 stable",
            ),
        ),
        ("3", ("holds 2 images called '3'", "@1 ghcr.io/fork/alpine:3")),
        ("4", ("holds no images called '4'",)),
        ("@5", ("no image @5: it holds 5",)),
        ("pine:3", ("holds no images",)),
    ],
)
def test_what_names_none_or_several(wanted: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ContentError) as caught:
        choose(IMAGES, wanted, "here")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("wanted", ["", "3", "4", "pine:3"])
def test_every_number_of_a_hint_is_the_image_beside_it(wanted: str) -> None:
    others = [
        Candidate(8, (f"sha256:{'8' * 64}",), (), aside=True),
        Candidate(9, (f"sha256:{'9' * 64}",), ("other",)),
    ]
    candidates = [*others, *IMAGES[::-1]]
    with pytest.raises(ContentError) as caught:
        choose(candidates, wanted, "here")
    hint = caught.value.problems[0].hint
    shown = re.findall(r"(@[0-9]+) ([^,;]+)", hint)
    assert len(shown) == (2 if wanted == "3" else 6)
    for number, name in shown:
        assert choose(candidates, number, "here") == choose(candidates, name, "here")


def test_the_same_image_under_two_names_is_one() -> None:
    assert choose(IMAGES[2:4], "", "here") == 3


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3", "docker.io/library/alpine:3"),
        ("fork/alpine:3", "docker.io/fork/alpine:3"),
        ("localhost/a/b", "localhost/a/b:latest"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("registry.example.org/a:1", "registry.example.org/a:1"),
    ],
)
def test_full_names(name: str, full: str) -> None:
    assert full_name(name) == full


def store(image: Image, layout: Path) -> None:
    Image(image.manifest, image.blobs | {image.digest: image.manifest}).store(layout)


def save(folder: Path, images: dict[str, Image], saved: list[dict[str, Any]] | None = None) -> str:
    """Write what `docker save` of Docker 25 does; return its path."""
    layout, entries, older = folder / "saved", [], []
    for name, image in images.items():
        store(image, layout)
        entry = descriptor(image.media_type, image.manifest)
        tag = name.rpartition(":")[2]
        names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
        entries.append({**entry, "annotations": names})
        manifest = json.loads(image.manifest)
        if "config" in manifest:
            older.append(as_saved(manifest, name))
    index = {"schemaVersion": 2, "manifests": entries}
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_bytes(as_json(index))
    (layout / "manifest.json").write_bytes(as_json(older if saved is None else saved))
    path = folder / "saved.tar"
    path.write_bytes(tar_of(layout))
    return str(path)


def as_saved(manifest: dict[str, Any], *tags: str) -> dict[str, Any]:
    blobs = [f"blobs/{item['digest'].replace(':', '/')}" for item in manifest["layers"]]
    config = f"blobs/{manifest['config']['digest'].replace(':', '/')}"
    return {"Config": config, "RepoTags": list(tags) or None, "Layers": blobs}


def digest_of(text: str, folder: Path) -> str:
    """Return what a source holds under its name, all of it read."""
    with open_source([text], SourceOptions(folder / "spool")) as source:
        top = source.resolve()
        for node in walk(top, source, source.label):
            read_verified(source, node.descriptor, source.label)
    return str(top.digest)


APP, DB = "docker.io/library/app:latest", "docker.io/library/db:latest"


def test_two_saved_images_with_one_tag(tmp_path: Path) -> None:
    one, two = Image.of("one"), Image.of("two")
    path = save(tmp_path, {APP: one, DB: two})
    assert digest_of(f"{path}:app:latest", tmp_path) == one.digest
    assert digest_of(f"{path}:{DB}", tmp_path) == two.digest
    assert digest_of(f"{path}:@1", tmp_path) == two.digest
    assert digest_of(f"{path}@1", tmp_path) == digest_of(f"oci:{tmp_path}/saved@1", tmp_path)
    assert digest_of(f"{path}:{one.digest}", tmp_path) == one.digest
    assert digest_of(f"{path}@{one.digest}", tmp_path) == one.digest
    assert digest_of(f"oci:{tmp_path}/saved@{two.digest}", tmp_path) == two.digest
    assert digest_of(f"oci:{tmp_path}/saved:db", tmp_path) == two.digest
    with pytest.raises(ContentError, match="2 images called 'latest'"):
        digest_of(f"{path}:latest", tmp_path)


def test_one_saved_image_under_two_names(tmp_path: Path) -> None:
    image = Image.of("one")
    path = save(tmp_path, {APP: image, "registry.example.org:5000/app:latest": image})
    assert digest_of(path, tmp_path) == digest_of(f"{path}:latest", tmp_path) == image.digest


def without_entries(layout: Path) -> None:
    (layout / "index.json").write_text('{"schemaVersion": 2, "manifests": null}')


def without_layers(layout: Path) -> None:
    """Lose the layers of the manifest, as one version of Docker did."""
    index = json.loads((layout / "index.json").read_bytes())
    entry = index["manifests"][0]
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    raw = as_json({**manifest, "layers": []})
    named = descriptor(entry["mediaType"], raw)
    (layout / "blobs" / named["digest"].replace(":", "/")).write_bytes(raw)
    index["manifests"][0] = {**entry, **named}
    (layout / "index.json").write_bytes(as_json(index))


@pytest.mark.parametrize("damage", [without_entries, without_layers])
def test_what_the_layout_has_lost_the_older_description_has(tmp_path: Path, damage: Any) -> None:
    save(tmp_path, {APP: Image.of("one")})
    damage(tmp_path / "saved")
    path = tmp_path / "saved.tar"
    path.write_bytes(tar_of(tmp_path / "saved"))
    assert digest_of(str(path), tmp_path) == digest_of(f"docker-archive:{path}", tmp_path)
    assert digest_of(f"{path}:app:latest", tmp_path) == digest_of(str(path), tmp_path)


def test_an_image_that_only_the_older_description_has_is_one_more(tmp_path: Path) -> None:
    one, two = Image.of("one"), Image.of("two")
    store(two, tmp_path / "saved")
    saved = [as_saved(json.loads(image.manifest)) for image in (one, two)]
    path = save(tmp_path, {APP: one}, saved)
    with pytest.raises(ContentError, match="holds 2 images; say which"):
        digest_of(path, tmp_path)
    assert digest_of(f"{path}:@0", tmp_path) == one.digest
    assert digest_of(f"{path}:@1", tmp_path) != one.digest


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_part_of_an_index_says_which_platforms_are_here(
    tmp_path: Path, part: str, *, nested: bool
) -> None:
    one, two = Image.of("one"), Image.of("two")
    manifest = json.loads(two.manifest)
    lost = {
        "manifest": two.digest,
        "config": manifest["config"]["digest"],
        "layer": manifest["layers"][0]["digest"],
    }[part]
    index = Image.index(one, two)
    path = save(tmp_path, {APP: Image.index(index) if nested else index})
    (tmp_path / "saved/blobs" / lost.replace(":", "/")).unlink()
    Path(path).write_bytes(tar_of(tmp_path / "saved"))
    with open_source([path], SourceOptions(tmp_path / "spool")) as source:
        with (
            LayoutSink(tmp_path / "out", "out") as sink,
            pytest.raises(ContentError) as caught,
        ):
            copy_image(source, sink, plan_copy(source, sink, source.resolve()))
        (problem,) = caught.value.problems
        assert lost in problem.message
        platforms = problem.hint.partition("--platform: ")[2].split(", ")
        assert platforms == ["linux/amd64"]
        top = select_platform(source.resolve(), source, "x", Platform("linux", "amd64"))
        with LayoutSink(tmp_path / "one", "one") as sink:
            assert copy_image(source, sink, plan_copy(source, sink, top), "x")


def layout(folder: Path, entries: list[dict[str, Any]], *images: Image) -> str:
    for image in images:
        store(image, folder)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_bytes(as_json({"schemaVersion": 2, "manifests": entries}))
    return f"oci:{folder}"


def test_what_refers_to_an_image_or_is_in_it_is_not_meant(tmp_path: Path) -> None:
    one, two = Image.of("one"), Image.of("two")
    index = Image.index(one, two)
    subject = descriptor(index.media_type, index.manifest)
    sbom = Image.of("sbom", subject=subject, artifactType="application/vnd.test")
    entries = [descriptor(item.media_type, item.manifest) for item in (index, one, two, sbom)]
    entries.append({"mediaType": "application/xml", "digest": sha256(b"<x>"), "size": 3})
    assert digest_of(layout(tmp_path / "a", entries, index, sbom), tmp_path) == index.digest


@pytest.mark.parametrize("same", [True, False])
def test_a_member_that_is_there_twice(tmp_path: Path, *, same: bool) -> None:
    archive = DockerArchive()
    info, data = archive.members[0]
    archive.members.append((info, data if same else bytes(len(data))))
    path = tmp_path / "x.tar"
    path.write_bytes(archive.raw())
    if same:
        assert digest_of(str(path), tmp_path)
        return
    with pytest.raises(ContentError, match="twice, with other bytes"):
        digest_of(str(path), tmp_path)


def test_colons_in_the_name_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my:image.tar").write_bytes(DockerArchive().raw())
    monkeypatch.chdir(tmp_path)
    assert digest_of("my:image.tar:x:latest", tmp_path) == digest_of("my:image.tar", tmp_path)


def test_an_entry_that_is_no_image_has_no_name_to_choose(tmp_path: Path) -> None:
    image = Image.of("x")
    image.layout(tmp_path / "mixed", "1.0")
    index = json.loads((tmp_path / "mixed/index.json").read_text())
    docs = descriptor("application/vnd.example.docs", b"words")
    docs |= {"annotations": {"org.opencontainers.image.ref.name": "docs"}}
    index["manifests"].append(docs)
    (tmp_path / "mixed/index.json").write_text(json.dumps(index))
    with open_source([f"oci:{tmp_path}/mixed"], SourceOptions(tmp_path)) as medium:
        assert medium.names() == ("1.0",)
        assert medium.resolve().digest == image.digest


def test_what_has_no_name_is_known_by_its_number(tmp_path: Path) -> None:
    images = [Image.of(word) for word in ("named", "bare", "child", "other")]
    named, bare, child, _ = images
    index = Image.index(child)
    entries = [descriptor(item.media_type, item.manifest) for item in (child, named, index, bare)]
    entries.append(entries[1] | {"annotations": {"org.opencontainers.image.ref.name": "1.0"}})
    path = layout(tmp_path / "mixed", entries, *images, index)
    with open_source([path], SourceOptions(tmp_path)) as medium:
        assert medium.names() == ("1.0", "@2", "@3")
        assert medium.resolve("@3").digest == bare.digest
