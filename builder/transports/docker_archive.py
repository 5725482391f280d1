"""`docker-archive:FILE[:REF]`: what `docker save` writes, turned into OCI's format.

The config keeps its bytes. A layer that is a plain tar is compressed, always
in the same way; each layer is checked against the config's diff ID. Source:
docker's image specification v1.2, "Combined Image JSON + Filesystem Changeset
Format".
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from builder.errors import ContentError
from builder.layers.compression import CompressionError, Unpacked, kind_of
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.shapes import DOCKER_ARCHIVE
from builder.oci.strictjson import MAX_BYTES, StrictJSONError, loads
from builder.transports.archive import Archive, Window, spooled, unpacked_limit
from builder.transports.base import Entered
from builder.transports.choose import Candidate, choose, unnamed

MANIFEST = "manifest.json"
_KEPT = {"gzip": mediatype.OCI_LAYER_GZIP, "zstd": mediatype.OCI_LAYER_ZSTD}
_HEAD = 512  # bytes that tell how a layer is compressed
_LEVEL = 6
_CHUNK = 1 << 20
_CONFIG_ID = re.compile(r"(?:.*/|sha256:)?([a-f0-9]{64})(?:\.json)?")


class Saved(NamedTuple):
    """One image of an archive's manifest.json: names of members, and its own names."""

    config: str
    tags: tuple[str, ...]
    layers: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The digest of its config, where the member's name tells it, and that name."""
        found = _CONFIG_ID.fullmatch(self.config)
        return (f"sha256:{found[1]}",) if found else (self.config,)


class _Layer(NamedTuple):
    """A converted layer: its descriptor, the digest of its tar, and its bytes."""

    descriptor: Descriptor
    diff_id: str
    file: BinaryIO | None  # None where the member itself is the layer
    member: str


class DockerArchiveSource(Entered):
    """An `ImageSource` over an open archive, which it closes; layers are spooled to `spool`."""

    streams = 1
    suggested_tag = ""

    def __init__(self, archive: Archive, spool: Path, reference: str = "") -> None:
        self.label = archive.label
        self._archive = archive
        self._spool = spool
        self._reference = reference
        self._content: dict[Digest, bytes] = {}
        self._layers: dict[str, _Layer] = {}

    def names(self) -> tuple[str, ...]:
        """Return the repository tags of all images, and the numbers of those that have none."""
        found = self._candidates()
        tags = {tag for item in found for tag in item.names}
        return tuple(sorted(tags.union(unnamed(found))))

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return nothing: the format knows no referrers."""
        del digest
        return ()

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the image of that name, config digest or number."""
        return self.image(choose(self._candidates(), reference or self._reference, self.label))

    def _candidates(self) -> list[Candidate[Saved]]:
        return [Candidate(saved, saved.ids, saved.tags) for saved in self.saved()]

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open converted content; raises FileNotFoundError."""
        if descriptor.digest in self._content:
            return io.BytesIO(self._content[descriptor.digest])
        for layer in self._layers.values():
            if layer.descriptor.digest == descriptor.digest:
                if layer.file is None:
                    return self._archive.open(layer.member)
                return io.BufferedReader(Window(layer.file.fileno(), 0, descriptor.size))
        raise FileNotFoundError(descriptor.digest)

    def saved(self) -> list[Saved]:
        """Return what `manifest.json` lists; raises ContentError."""
        raw = self._archive.read(MANIFEST, MAX_BYTES)
        try:
            document = loads(raw, what=MANIFEST, shape=DOCKER_ARCHIVE)
        except StrictJSONError as error:
            raise self._fault(error.message) from None
        if not isinstance(document, list) or not document:
            raise self._fault(f"{MANIFEST} is not a list of images")
        return [self._entry(number, item) for number, item in enumerate(document)]

    def _entry(self, number: int, item: Any) -> Saved:
        where = f"{MANIFEST} /{number}"
        if not isinstance(item, dict):
            raise self._fault(f"{where}: must be an object")
        config, tags, layers = item.get("Config"), item.get("RepoTags"), item.get("Layers") or []
        if not isinstance(config, str):
            raise self._fault(f"{where}/Config: must be the name of a member")
        if not _are_texts(layers):
            raise self._fault(f"{where}/Layers: must be a list of names of members")
        if tags is not None and not _are_texts(tags):
            raise self._fault(f"{where}/RepoTags: must be a list of texts")
        return Saved(config, tuple(tags or ()), tuple(cast("list[str]", layers)))

    def image(self, saved: Saved) -> Descriptor:
        """Return one of the images, converted; raises ContentError for what does not fit."""
        raw = self._archive.read(saved.config, MAX_BYTES)
        digest = Digest.of(raw)
        named = _CONFIG_ID.fullmatch(saved.config)
        if named and named[1] != digest.encoded:
            raise self._fault(f"the config {saved.config} has another digest: {digest}")
        layers = [self._layer(name) for name in saved.layers]
        self._check_diff_ids(raw, saved, layers)
        config = Descriptor(mediatype.OCI_CONFIG, digest, len(raw))
        manifest = _manifest(config, [layer.descriptor for layer in layers])
        self._content[digest] = raw
        self._content[Digest.of(manifest)] = manifest
        return Descriptor(mediatype.OCI_MANIFEST, Digest.of(manifest), len(manifest))

    def _check_diff_ids(self, raw: bytes, saved: Saved, layers: list[_Layer]) -> None:
        try:
            document = loads(raw, what=saved.config)
        except StrictJSONError as error:
            raise self._fault(error.message) from None
        rootfs = document.get("rootfs") if isinstance(document, dict) else None
        expected = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(expected, list) or len(expected) != len(layers):
            message = f"{saved.config} /rootfs/diff_ids: must name {len(layers)} layers"
            raise self._fault(message)
        for number, (layer, diff_id) in enumerate(zip(layers, expected, strict=True)):
            if layer.diff_id != diff_id:
                message = f"{saved.config} /rootfs/diff_ids/{number}: says {diff_id}"
                raise self._fault(f"{message}, the digest of {layer.member} is {layer.diff_id}")

    def _layer(self, name: str) -> _Layer:
        if name not in self._layers:
            try:
                with self._archive.open(name) as stream:
                    self._layers[name] = self._convert(name, stream)
            except FileNotFoundError:
                raise self._fault(f"the layer {name} is missing from the archive") from None
            except CompressionError as error:
                raise self._fault(f"the layer {name} {error.message}") from None
        return self._layers[name]

    def _convert(self, name: str, stream: BinaryIO) -> _Layer:
        """Return a layer as OCI has it: gzip and zstd are kept, all else becomes gzip."""
        kind = _KEPT.get(kind_of(stream.read(_HEAD)))
        stream.seek(0)
        digest, diff_id = hashlib.sha256(), hashlib.sha256()
        if kind:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
            size = stream.tell()
            stream.seek(0)
            for chunk in self._plain(stream, size):
                diff_id.update(chunk)
            descriptor = Descriptor(kind, Digest(f"sha256:{digest.hexdigest()}"), size)
            return _Layer(descriptor, f"sha256:{diff_id.hexdigest()}", None, name)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        with spooled(self._spool, self.label) as file:
            with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
                for chunk in self._plain(stream, size):
                    diff_id.update(chunk)
                    packed.write(chunk)
            size = file.tell()
            file.seek(0)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        descriptor = Descriptor(
            mediatype.OCI_LAYER_GZIP, Digest(f"sha256:{digest.hexdigest()}"), size
        )
        return _Layer(descriptor, f"sha256:{diff_id.hexdigest()}", file, name)

    def _plain(self, stream: BinaryIO, size: int) -> Iterator[bytes]:
        """Yield the tar in a layer of `size` bytes; raises CompressionError."""
        plain = Unpacked(stream, unpacked_limit(size))
        while chunk := plain.read(_CHUNK):
            yield chunk

    def _fault(self, message: str) -> ContentError:
        return ContentError.at(self.label, message)

    def __exit__(self, *_: object) -> None:
        """Close the archive and drop the converted layers."""
        for layer in self._layers.values():
            if layer.file is not None:
                layer.file.close()
        self._archive.close()


def _manifest(config: Descriptor, layers: list[Descriptor]) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
