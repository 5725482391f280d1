"""What gc finds, and what it must never take."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from builder.errors import ContentError
from builder.registry.model import RegistryOptions
from builder.upkeep.gc import delete, needs_of_all
from tests.conftest import read_tree, write_tree
from tests.images import MANIFEST, Image, as_json, descriptor, sha256

EMPTY = "application/vnd.oci.empty.v1+json"


@pytest.fixture
def options(greeting: Path) -> RegistryOptions:
    return RegistryOptions(greeting)


def collection(options: RegistryOptions, name: str = "vanessa/greeting") -> Path:
    return options.source / "collections" / name


def referrer(folder: Path, subject: dict[str, Any], text: bytes) -> dict[str, Any]:
    """Store an artifact that refers to `subject`; return its descriptor."""
    raw = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "text/x-note",
            "config": descriptor(EMPTY, b"{}"),
            "layers": [descriptor("text/plain", text)],
            "subject": subject,
        }
    )
    Image(raw, {sha256(b"{}"): b"{}", sha256(text): text, sha256(raw): raw}).store(folder)
    return descriptor(MANIFEST, raw)


def found(options: RegistryOptions) -> set[str]:
    return {blob.digest for blob in needs_of_all(options).unreachable}


def test_nothing_to_find(options: RegistryOptions) -> None:
    image = Image.index(Image.of("two"), Image.of("three"))
    image.tag(collection(options), "all")
    image.layout(collection(options, "lay"), "latest")
    Image.of("four").layout(collection(options, "x") / "manifests/latest", "latest")
    assert needs_of_all(options).unreachable == ()


def test_what_an_untagged_image_leaves(options: RegistryOptions) -> None:
    Image.of("one").store(collection(options))
    gone = Image.of("two")
    gone.store(collection(options))
    before = read_tree(options.source)
    blobs = needs_of_all(options).unreachable
    assert {blob.digest for blob in blobs} == set(gone.blobs)
    assert read_tree(options.source) == before
    delete(options, blobs)
    assert needs_of_all(options).unreachable == ()
    assert len(read_tree(options.source)) == len(before) - 2


def test_referrers_stay_with_their_subject(options: RegistryOptions) -> None:
    folder = collection(options)
    subject = descriptor(MANIFEST, Image.of("one").manifest)
    note = referrer(folder, subject, b"a note")
    referrer(folder, note, b"a note on the note")
    assert found(options) == set()
    orphan = referrer(folder, {**subject, "digest": sha256(b"nowhere")}, b"an orphan")
    assert found(options) == {orphan["digest"], sha256(b"an orphan")}


def test_a_referrer_stays_under_the_name_that_it_has(options: RegistryOptions) -> None:
    folder = collection(options)
    note = referrer(folder, descriptor(MANIFEST, Image.of("one").manifest), b"a note")
    file = folder / "blobs" / note["digest"].replace(":", "/")
    named = folder / "blobs/sha512" / hashlib.sha512(file.read_bytes()).hexdigest()
    named.parent.mkdir()
    file.rename(named)
    assert found(options) == set()


def test_the_store_serves_every_collection(options: RegistryOptions) -> None:
    image, gone = Image.of("two"), Image.of("gone")
    image.store(options.source / "_blobs")
    gone.store(options.source / "_blobs")
    folder = collection(options, "other") / "manifests/latest"
    write_tree(folder, {"manifest.json": image.manifest})
    assert found(options) == set(gone.blobs)
    assert {blob.folder for blob in needs_of_all(options).unreachable} == {"_blobs"}


def test_digests_in_front_matter_are_kept(options: RegistryOptions) -> None:
    data = b"an old image"
    layer = f"  - size: 12\n    digest: {sha256(data)}\n    url: https://example.org/x.sif\n"
    text = f"---\nsize: 12\ndigest: {sha256(data)}\nlayers:\n{layer}---\n"
    write_tree(collection(options), {"manifests/old/README.md": text})
    Image(b"", {sha256(data): data}).store(collection(options))
    assert found(options) == set()


def test_other_files_are_nobodys_business(options: RegistryOptions) -> None:
    note = '{"schemaVersion": 2, "subject": 1}'
    write_tree(collection(options), {"blobs/sha256/README": note, "blobs/md5/abc": "x"})
    assert needs_of_all(options).unreachable == ()


@pytest.mark.parametrize(
    "files",
    [
        {"manifests/bad/manifest.json": "not JSON"},
        {"manifests/bad/README.md": "---\nlayers: 1\n---\n"},
        {"oci-layout": "x"},
    ],
)
def test_a_broken_collection_stops_it(options: RegistryOptions, files: dict[str, str]) -> None:
    Image.of("gone").store(collection(options))
    write_tree(collection(options), files)
    with pytest.raises(ContentError):
        needs_of_all(options)


def test_a_damaged_child_stops_it(options: RegistryOptions) -> None:
    child = Image.of("two")
    Image.index(child).tag(collection(options), "all")
    file = collection(options) / "blobs" / child.digest.replace(":", "/")
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(ContentError, match="another digest"):
        needs_of_all(options)


def test_deleting_sweeps_leftovers(options: RegistryOptions) -> None:
    left = {"blobs/sha256/.incoming-1-ab": "x", "manifests/.incoming-2-x/manifest.json": "x"}
    write_tree(collection(options), left)
    delete(options, ())
    assert not list(options.source.rglob(".incoming*"))
