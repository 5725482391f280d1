"""Web apps as artifacts made in memory: as they should be, and as they should not."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from builder.oci.descriptor import Descriptor
from tests.images import INDEX, LAYER, MANIFEST, Image, as_json, descriptor, sha256

CONFIG_TYPE = "application/vnd.alembic.app.config.v1+json"
Member = tuple[str, bytes | tarfile.TarInfo]


def tar_of(members: Mapping[str, str | bytes] | Iterable[Member]) -> bytes:
    """Return a tar of files; a member can also be a `TarInfo` of any kind."""
    pairs = members.items() if isinstance(members, Mapping) else members
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in pairs:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> Member:
    """Return a link, a device or the like."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


def packed(members: Mapping[str, str | bytes] | Iterable[Member]) -> bytes:
    """Return a gzip-compressed layer."""
    return gzip.compress(tar_of(members), mtime=0)


def app_of(*layers: bytes, config: Any = None, kind: str = CONFIG_TYPE) -> Image:
    """Return an artifact of ready-made layers."""
    raw = as_json({"rootDir": "app"} if config is None else config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(kind, raw),
        "layers": [descriptor(LAYER, layer) for layer in layers],
    }
    blobs = {sha256(raw): raw} | {sha256(layer): layer for layer in layers}
    return Image(as_json(manifest), blobs)


def small_app(text: str = "<h1>hello</h1>", **more: Any) -> Image:
    """Return an app of three files."""
    files = {"app/index.html": text, "app/js/app.js": "1", "app/404.html": "<h1>nothing</h1>"}
    return app_of(packed(files), **more)


def in_index(image: Image) -> Image:
    """Return an index with an image in it."""
    entry = descriptor(image.media_type, image.manifest)
    raw = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    return Image(raw, image.blobs | {image.digest: image.manifest}, INDEX)


class Held:
    """A `ContentReader` over blobs in memory."""

    def __init__(self, *blobs: bytes) -> None:
        self.blobs = {sha256(blob): blob for blob in blobs}
        self.opened = 0

    @property
    def layers(self) -> list[Descriptor]:
        """All of them, as descriptors of layers."""
        return [Descriptor.from_json(descriptor(LAYER, blob)) for blob in self.blobs.values()]

    def open(self, wanted: Descriptor) -> BinaryIO:
        if wanted.digest not in self.blobs:
            raise FileNotFoundError(wanted.digest)
        self.opened += 1
        return io.BytesIO(self.blobs[wanted.digest])
