"""Whatever a document says, it is read or refused: no traceback, and no second is spent on it."""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO

from hypothesis import example, given
from hypothesis import strategies as st

from builder.errors import ContentError
from builder.oci.descriptor import Descriptor
from builder.oci.image import parse_config
from builder.oci.layout import parse_index
from builder.oci.manifest import Manifest
from builder.oci.platform import Platform
from builder.oci.strictjson import StrictJSONError, loads
from builder.oci.validate import ManifestError, parse_manifest
from tests.images import INDEX, Image, descriptor
from tests.oci.documents import VALUES, as_bytes, nearly

IMAGE = Image.of("one")
SOUND = parse_manifest(IMAGE.manifest)
RIGHT: dict[str, Any] = json.loads(IMAGE.manifest)
CONFIG: dict[str, Any] = json.loads(IMAGE.blobs[RIGHT["config"]["digest"]])
ENTRY = descriptor(
    SOUND.media_type, IMAGE.manifest,
    platform={"os": "windows", "architecture": "amd64", "os.version": "10.0",
              "os.features": ["win32k"], "variant": "v1"},
    annotations={"org.opencontainers.image.ref.name": "1.0"},
)  # fmt: skip
LIST = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [ENTRY, ENTRY]}


class Nothing:
    """A layout without blobs."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        raise FileNotFoundError(descriptor.digest)


def check(manifest: Manifest) -> None:
    """All that is asked of a manifest can be told, and it is still its bytes."""
    assert manifest.digest.matches(manifest.raw)
    for child in manifest.children():
        assert child.size >= 0
        if child.platform is not None:
            assert child.platform.fits(child.platform)
            assert Platform.from_json(child.platform.to_json()) == child.platform
    json.dumps(manifest.descriptor.to_json()).encode()
    assert all(text.encode() for text in manifest.warnings)


@given(st.one_of(nearly(RIGHT), nearly(LIST), VALUES.map(as_bytes), st.binary(max_size=60)))
@example(b'{"schemaVersion": 2, "config": 5}')
@example(b'{"schemaVersion": 2, "manifests": {"a": []}}')
@example(b"[" * 50_000)
def test_manifests(raw: bytes) -> None:
    try:
        manifest = parse_manifest(raw, allow_foreign=True)
    except ManifestError as error:
        str(error.located("x")).encode()
    else:
        check(manifest)


@given(st.one_of(nearly(CONFIG), VALUES.map(as_bytes)))
@example(b'{"history": 5}')
@example(b'{"os.features": {}, "rootfs": [], "config": 5, "created": 5}')
def test_configs(raw: bytes) -> None:
    try:
        config = parse_config(raw, SOUND)
    except ManifestError as error:
        str(error.located("x")).encode()
        return
    assert config.built == "" or re.fullmatch(
        r"(19[89]|2)\d+-\d\d-\d\dT\d\d:\d\d:\d\dZ", config.built
    )
    assert all(text.encode() for text in (*config.warnings, *config.secrets, *config.env))
    assert str(config.platform).encode() is not None


@given(nearly({"schemaVersion": 2, "manifests": [ENTRY]}))
def test_layouts(raw: bytes) -> None:
    try:
        entries = parse_index(raw, "index.json", Nothing()).entries
    except ContentError as error:
        str(error).encode()
    else:
        assert all(item.size >= 0 and item.media_type for item in entries)


@given(VALUES)
def test_json(value: Any) -> None:
    raw = as_bytes(value)
    try:
        found = loads(raw)
    except StrictJSONError:
        return
    assert json.dumps(found) == json.dumps(value)


@given(st.text(alphabet="abc0189/()+_.- ", max_size=24))
def test_platforms(text: str) -> None:
    found = Platform.parse(text)
    if found is not None:
        assert Platform.parse(str(found)) == found
        assert found.normal.normal == found.normal
