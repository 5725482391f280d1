"""Small images made in memory, and the ways to put them on a disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def as_json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **more}


def layer_of(text: str, name: str = "hello.txt") -> tuple[bytes, str]:
    """Return a gzip layer that holds one file, and its diff ID."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(text.encode())
        archive.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0), sha256(buffer.getvalue())


@dataclass
class Image:
    """A manifest or index with all blobs it needs."""

    manifest: bytes
    blobs: dict[str, bytes] = field(default_factory=dict)
    media_type: str = MANIFEST

    @classmethod
    def of(
        cls,
        text: str,
        *,
        below: Sequence[str] = (),
        architecture: str = "amd64",
        config: Any = None,
        **more: Any,
    ) -> Image:
        """Return an image whose layers hold a file each: texts `below`, and on top `text`."""
        made = [layer_of(one) for one in (*below, text)]
        layers = [layer for layer, _ in made]
        document = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/hello"], **(config or {})},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in made]},
            "history": [{"created_by": "COPY hello.txt /"}] * len(made),
        }
        raw = as_json(document)
        manifest = as_json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor(CONFIG, raw),
                "layers": [descriptor(LAYER, layer) for layer in layers],
                **more,
            }
        )
        return cls(manifest, {sha256(blob): blob for blob in (raw, *layers)})

    @classmethod
    def holding(cls, data: bytes) -> Image:
        """Return an artifact of one layer, of whatever bytes."""
        config = b"{}"
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/x-note", config),
            "layers": [descriptor("application/x-note", data)],
        }
        return cls(as_json(document), {sha256(config): config, sha256(data): data})

    @classmethod
    def index(cls, *images: Image) -> Image:
        blobs: dict[str, bytes] = {}
        entries = []
        for image, architecture in zip(images, ("amd64", "arm64"), strict=False):
            blobs |= image.blobs | {image.digest: image.manifest}
            platform = {"os": "linux", "architecture": architecture}
            entries.append(descriptor(image.media_type, image.manifest, platform=platform))
        raw = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
        return cls(raw, blobs, INDEX)

    @property
    def digest(self) -> str:
        return sha256(self.manifest)

    def store(self, folder: Path) -> None:
        """Put the blobs into `blobs/` of a collection or image layout."""
        for digest, data in self.blobs.items():
            file = folder / "blobs" / digest.replace(":", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    def tag(self, collection: Path, tag: str) -> None:
        """Make a tag of a collection point to this."""
        self.store(collection)
        folder = collection / "manifests" / tag
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_bytes(self.manifest)

    def layout(self, folder: Path, *tags: str) -> None:
        """Write an image layout."""
        Image(self.manifest, self.blobs | {self.digest: self.manifest}).store(folder)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        key = "org.opencontainers.image.ref.name"
        entries = [
            descriptor(self.media_type, self.manifest, annotations={key: tag}) for tag in tags
        ]
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        (folder / "index.json").write_bytes(as_json(document))
