"""Images rendered as Docker schema 1 manifests, the format before media types.

A client that is told nothing by `Content-Type` takes a manifest for one of
these. Source: distribution's `manifest-v2-1.md`; docker's image specification
v1 for what history entries hold.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from builder.oci import mediatype
from builder.oci.digest import Digest
from builder.oci.jws import base64url, signature_block
from builder.oci.manifest import Manifest
from builder.oci.strictjson import StrictJSONError, loads

# A gzip of an empty tar, byte for byte the one that all clients know: the
# layer of a step of an image's history that made none.
EMPTY_LAYER = bytes.fromhex(
    "1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000"
)  # fmt: skip
EMPTY_LAYER_DIGEST = Digest.of(EMPTY_LAYER)
_TAIL = b"\n}"


def schema1_fault(manifest: Manifest) -> str:
    """Return why an image cannot be rendered, or the empty string."""
    for number, layer in enumerate(manifest.layers, 1):
        if mediatype.compression(layer.media_type) != "gzip":
            return f"its layer {number} is {layer.media_type}, and the format knows gzip alone"
    return "" if manifest.layers else "it has no layers"


def schema1_payload(name: str, tag: str, manifest: Manifest, config: bytes) -> bytes:
    """Return what a schema 1 manifest says of an image, unsigned.

    `config` are the bytes of the image's config, which `oci.validate` has
    accepted; `manifest` one without a `schema1_fault`. The SHA-256 of the
    result is the digest that clients know the manifest by.
    """
    document = loads(config, what="the image config")
    steps = _steps(document, manifest)
    entries: list[dict[str, Any]] = []
    parent = ""
    for number, (step, layer) in enumerate(steps, 1):
        is_top = number == len(steps)
        entry = {**_step(step), **(_top(document) if is_top else {})}
        seed = f"{layer} {parent} {config.decode() if is_top else ''}"
        entry["id"] = hashlib.sha256(seed.encode()).hexdigest()
        if parent:
            entry["parent"] = parent
        if step.get("empty_layer") is True:
            entry["throwaway"] = True
        parent = entry["id"]
        entries.append(entry)
    value = {
        "schemaVersion": 1,
        "name": name,
        "tag": tag,
        "architecture": document.get("architecture", ""),
        "fsLayers": [{"blobSum": layer} for _, layer in reversed(steps)],
        "history": [{"v1Compatibility": _compact(entry)} for entry in reversed(entries)],
    }
    return json.dumps(value, indent=3, ensure_ascii=False).encode()


def signed(payload: bytes) -> bytes:
    """Return a payload with the signature without which Docker refuses it."""
    head = payload.removesuffix(_TAIL)
    protected = {"formatLength": len(head), "formatTail": base64url(_TAIL)}
    block = json.dumps([signature_block(payload, protected)], indent=3).encode()
    return head + b',\n   "signatures": ' + block + _TAIL


def payload_of(body: bytes) -> bytes | None:
    """Return what a signed schema 1 manifest's digest is the digest of; None for anything else.

    The inverse of `signed`, also of what other programs signed.
    """
    if b'"signatures"' not in body:
        return None
    try:
        document = loads(body)
        block = loads(_decoded(document["signatures"][0]["protected"]))
        length, tail = block["formatLength"], _decoded(block["formatTail"])
    except (StrictJSONError, KeyError, IndexError, TypeError, ValueError):
        return None
    is_plain = isinstance(length, int) and 0 <= length <= len(body)
    return body[:length] + tail if is_plain and document.get("schemaVersion") == 1 else None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _steps(document: dict[str, Any], manifest: Manifest) -> Sequence[tuple[dict[str, Any], str]]:
    """Return each step of the history with its layer, the lowest first.

    A history that does not fit the layers, or none, is one step a layer.
    """
    history = document.get("history")
    steps = [item for item in history if isinstance(item, dict)] if history else []
    layers = [str(layer.digest) for layer in manifest.layers]
    if sum(step.get("empty_layer") is not True for step in steps) != len(layers):
        return [({}, layer) for layer in layers]
    left = iter(layers)
    return [
        (step, EMPTY_LAYER_DIGEST if step.get("empty_layer") is True else next(left))
        for step in steps
    ]


def _step(step: dict[str, Any]) -> dict[str, Any]:
    entry = {key: step[key] for key in ("created", "author", "comment") if step.get(key)}
    return {**entry, "container_config": {"Cmd": [step.get("created_by") or ""]}}


def _top(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in ("history", "rootfs")}


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
