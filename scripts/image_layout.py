"""Write an image of random layers, which nothing can compress, as an image layout."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from generate import CONFIG, MANIFEST

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_INDEX = "application/vnd.oci.image.index.v1+json"
_NAME = "org.opencontainers.image.ref.name"


def write_layout(folder: Path, layers: int, size: int) -> None:
    """Write an image of `layers` layers, `size` bytes each, with the tag `latest`."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        encoded = hashlib.sha256(data).hexdigest()
        (blobs / encoded).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(data)}

    made = [_write_layer(blobs, size) for _ in range(layers)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in made]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": put(json.dumps(config).encode(), CONFIG),
        "layers": made,
    }
    entry = put(json.dumps(manifest).encode(), MANIFEST) | {"annotations": {_NAME: "latest"}}
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _write_layer(blobs: Path, size: int) -> dict[str, object]:
    # In pieces: a child's peak memory is never less than that of who started it.
    total, fresh = hashlib.sha256(), blobs / "fresh"
    with fresh.open("wb") as file:
        for start in range(0, size, 1 << 20):
            piece = os.urandom(min(1 << 20, size - start))
            total.update(piece)
            file.write(piece)
    encoded = total.hexdigest()
    fresh.rename(blobs / encoded)
    return {"mediaType": _LAYER, "digest": f"sha256:{encoded}", "size": size}
