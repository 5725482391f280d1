"""A collection of documents that are nearly right loads, or says what is wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.pages import attached, plan
from builder.pages.imageview import image_view
from builder.registry.load import load_collection
from builder.registry.model import Collection, RegistryOptions
from builder.storage.cache import Cache
from tests.images import INDEX, MANIFEST, Image, as_json, descriptor, sha256
from tests.oci.documents import nearly
from tests.oci.test_fuzz import CONFIG, ENTRY, LIST, RIGHT

IMAGE = Image.of("one")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection that every example starts from anew."""
    return tmp_path_factory.mktemp("fuzz") / "collections/team/tool"


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    Image(b"", IMAGE.blobs | {IMAGE.digest: IMAGE.manifest}).store(folder)
    return folder


def put(folder: Path, raw: bytes) -> str:
    Image(b"", {sha256(raw): raw}).store(folder)
    return sha256(raw)


def load(folder: Path) -> None:
    """Load the collection, and make all that its pages show."""
    options = RegistryOptions(folder.parent.parent.parent)
    loaded = load_collection(options, "team/tool", Cache(None))
    for problem in loaded.problems:
        assert str(problem).encode()
    if loaded.collection is None:
        assert any(not problem.warning for problem in loaded.problems)
    else:
        show(loaded.collection)


def show(collection: Collection) -> None:
    known = plan.facts(collection)
    named = attached.named_after_digests(collection.tags)
    assert plan.row(collection, {}).name == collection.name
    for tag in collection.tags:
        if tag.manifest is None:
            continue
        attached.groups(collection, tag.manifest, named)
        for item in collection.images(tag.manifest):
            if item.manifest is not None:
                image_view(collection, item.manifest, known, str(item.platform or ""))


@given(raw=st.one_of(nearly(RIGHT), nearly(LIST)))
def test_manifests(folder: Path, raw: bytes) -> None:
    tag = fresh(folder) / "manifests/1.0"
    tag.mkdir(parents=True)
    (tag / "manifest.json").write_bytes(raw)
    load(folder)


@given(raw=nearly(CONFIG))
def test_configs(folder: Path, raw: bytes) -> None:
    put(fresh(folder), raw)
    document = {**RIGHT, "config": descriptor(RIGHT["config"]["mediaType"], raw)}
    Image(as_json(document)).tag(folder, "1.0")
    load(folder)


@given(raw=nearly({"schemaVersion": 2, "manifests": [ENTRY, {**ENTRY, "annotations": {}}]}))
def test_layouts(folder: Path, raw: bytes) -> None:
    for inner in (fresh(folder), folder / "manifests/1.0"):
        inner.mkdir(parents=True, exist_ok=True)
        (inner / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (inner / "index.json").write_bytes(raw)
    load(folder)


@given(data=st.data())
def test_indexes_in_indexes(folder: Path, data: st.DataObject) -> None:
    """Any graph of a few manifests, whatever refers to whatever, each depth a few times."""
    fresh(folder)
    known: list[dict[str, Any]] = [descriptor(MANIFEST, IMAGE.manifest), dict(ENTRY)]
    raw = IMAGE.manifest
    for number in range(data.draw(st.integers(1, 12))):
        chosen = data.draw(st.lists(st.sampled_from(known), max_size=6))
        document: dict[str, Any] = {
            "schemaVersion": 2, "mediaType": INDEX, "manifests": chosen,
            "annotations": {"n": str(number)},
        }  # fmt: skip
        if data.draw(st.booleans()):
            document["subject"] = data.draw(st.sampled_from(known))
        raw = as_json(document)
        put(folder, raw)
        known.append(descriptor(INDEX, raw))
    Image(raw, media_type=INDEX).tag(folder, "1.0")
    load(folder)
