"""Docker schema 1 renderings: what they say, and that the signature over them is a real one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.oci.schema1 import (
    EMPTY_LAYER_DIGEST,
    payload_of,
    schema1_fault,
    schema1_payload,
    signed,
)
from builder.oci.validate import parse_manifest
from tests.images import CONFIG, LAYER, Image, as_json, descriptor, layer_of

KNOWN_EMPTY = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"


def made(history: Any, count: int = 2, kind: str = LAYER) -> tuple[Manifest, bytes]:
    layers = [layer_of(f"layer {number}") for number in range(count)]
    config: dict[str, Any] = {
        "architecture": "arm64", "os": "linux", "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
    }  # fmt: skip
    if history is not None:
        config["history"] = history
    raw = as_json(config)
    document = {
        "schemaVersion": 2,
        "mediaType": Image.of("x").media_type,
        "config": descriptor(CONFIG, raw),
        "layers": [descriptor(kind, layer) for layer, _ in layers],
    }
    return parse_manifest(as_json(document)), raw


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_steps_and_layers_stand_newest_first() -> None:
    manifest, config = made(
        [
            {"created": "2024-01-01T00:00:00Z", "created_by": "ADD one", "author": "Vanessa"},
            {"created_by": "ENV A=b", "empty_layer": True},
            {"created_by": "ADD two", "comment": "second"},
        ]
    )
    document = json.loads(schema1_payload("a/b", "1.s1", manifest, config))
    assert (document["schemaVersion"], document["name"], document["tag"]) == (1, "a/b", "1.s1")
    assert document["architecture"] == "arm64"
    one, two = (str(layer.digest) for layer in manifest.layers)
    assert [item["blobSum"] for item in document["fsLayers"]] == [two, KNOWN_EMPTY, one]
    top, env, base = (json.loads(item["v1Compatibility"]) for item in document["history"])
    assert top["config"] == {"Cmd": ["/hello"]}
    assert top["container_config"] == {"Cmd": ["ADD two"]}
    assert not {"history", "rootfs", "throwaway"} & top.keys()
    assert env["throwaway"] is True
    assert base["author"] == "Vanessa"
    assert (top["parent"], env["parent"]) == (env["id"], base["id"])
    assert "parent" not in base
    assert EMPTY_LAYER_DIGEST == KNOWN_EMPTY


@pytest.mark.parametrize("history", [None, [], [{"created_by": "only one"}]])
def test_without_a_fitting_history_each_layer_is_a_step(history: Any) -> None:
    manifest, config = made(history, count=3)
    document = json.loads(schema1_payload("a", "1", manifest, config))
    assert len(document["history"]) == len(document["fsLayers"]) == 3
    ids = [json.loads(item["v1Compatibility"])["id"] for item in document["history"]]
    assert len(set(ids)) == 3


def test_the_signature_is_one_and_always_the_same() -> None:
    payload = schema1_payload("a/b", "1.s1", *made(None))
    body = signed(payload)
    assert body == signed(payload)
    assert payload_of(body) == payload
    document = json.loads(body)
    (block,) = document["signatures"]
    key = block["header"]["jwk"]
    number = int.from_bytes(unpadded(key["n"]), "big")
    public = rsa.RSAPublicNumbers(int.from_bytes(unpadded(key["e"]), "big"), number).public_key()
    covered = f"{block['protected']}.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}"
    public.verify(
        unpadded(block["signature"]), covered.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    assert {key: value for key, value in document.items() if key != "signatures"} == json.loads(
        payload
    )


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b'{"signatures": []}', b'{"schemaVersion": 1, "signatures": [{}]}',
        b'{"schemaVersion": 1, "signatures": [{"protected": "e30"}]}',
        b'{"schemaVersion": 1, "signatures": [{"protected": "!"}]}',
        b'{"schemaVersion": 1, "signatures": 3}',
    ],
)  # fmt: skip
def test_what_is_not_signed_has_no_payload(body: bytes) -> None:
    assert payload_of(body) is None


def test_what_cannot_be_rendered() -> None:
    zstd, _ = made(None, kind="application/vnd.oci.image.layer.v1.tar+zstd")
    assert "layer 1" in schema1_fault(zstd)
    none, _ = made(None, count=0)
    assert schema1_fault(none) == "it has no layers"
    gzip, config = made(None)
    assert schema1_fault(gzip) == ""
    payload = schema1_payload("a", "1", gzip, config)
    assert Digest.of(payload) != Digest.of(signed(payload))
