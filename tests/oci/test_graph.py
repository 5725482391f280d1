from __future__ import annotations

import io
import json
from typing import BinaryIO

import pytest

from builder.errors import ContentError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import walk
from tests.images import INDEX, Image, as_json, descriptor, sha256


class ContentIndex:
    """A reader of an image's own bytes that counts what is opened."""

    def __init__(self, image: Image) -> None:
        self.blobs = image.blobs | {image.digest: image.manifest}
        self.top = Descriptor.from_json(descriptor(image.media_type, image.manifest))
        self.opened: list[Digest] = []

    def open(self, descriptor: Descriptor) -> BinaryIO:
        self.opened.append(descriptor.digest)
        if descriptor.digest not in self.blobs:
            raise FileNotFoundError
        return io.BytesIO(self.blobs[descriptor.digest])


def test_children_come_before_their_parents_and_each_once() -> None:
    index_ = ContentIndex(Image.index(Image.of("one"), Image.of("one"), Image.of("two")))
    nodes = list(walk(index_.top, index_, "x"))
    digests = [node.descriptor.digest for node in nodes]
    assert len(digests) == len(set(digests)) == 4
    for node in nodes:
        if node.manifest is not None:
            place = digests.index(node.descriptor.digest)
            assert all(digests.index(item.digest) <= place for item in node.manifest.children())
    assert digests[-1] == index_.top.digest


def test_layers_are_told_from_configs_and_never_read() -> None:
    index_ = ContentIndex(Image.of("one"))
    layers = [node for node in walk(index_.top, index_, "x") if node.is_layer]
    assert [node.place.partition(" ")[2] for node in layers] == ["/layers/0"]
    assert not {node.descriptor.digest for node in layers} & set(index_.opened)


def test_a_wide_index_of_one_image_is_read_once() -> None:
    image = Image.of("one")
    entries = [descriptor(image.media_type, image.manifest)] * 9_000
    raw = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    blobs = image.blobs | {image.digest: image.manifest}
    index_ = ContentIndex(Image(raw, blobs, INDEX))
    assert len(list(walk(index_.top, index_, "x"))) == 4
    assert len(index_.opened) == 3


def test_every_fault_of_a_document_is_told() -> None:
    document = json.loads(Image.of("one").manifest)
    document["layers"][0]["size"] = -1
    document["config"]["digest"] = "md5:x"
    document["annotations"] = {"a/b~c": 1}
    index_ = ContentIndex(Image(as_json(document)))
    with pytest.raises(ContentError) as caught:
        list(walk(index_.top, index_, "x"))
    told = str(caught.value)
    for pointer in ("/layers/0/size", "/config/digest", "/annotations/a~1b~0c"):
        assert f"{sha256(as_json(document))} {pointer}: " in told


def test_a_blob_as_the_top() -> None:
    index_ = ContentIndex(Image.of("one"))
    blob = Descriptor("text/plain", Digest.of(b"x"), 1)
    assert [node.manifest for node in walk(blob, index_, "x")] == [None]
