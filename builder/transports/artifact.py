"""Files as an OCI artifact: what `file:`, `sif:`, `chart:` and `attach` have in common.

Source: image-spec `manifest.md`, "Guidelines for Artifact Usage". A manifest
is the same bytes for the same files on any machine and day.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from builder.errors import ContentError
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.storage.local import open_regular
from builder.transports.base import Entered

EMPTY = b"{}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One layer: a file as it is, or None where it lies elsewhere, and its descriptor."""

    descriptor: Descriptor
    path: Path | None
    label: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a manifest is made of; `config` is a media type with its bytes."""

    pieces: Sequence[Piece]
    artifact_type: str = ""
    config: tuple[str, bytes] = (mediatype.OCI_EMPTY, EMPTY)
    annotations: Mapping[str, str] = field(default_factory=dict)
    subject: Descriptor | None = None

    def manifest(self) -> bytes:
        """Return the manifest's bytes, keys in the specification's order."""
        kind, config = self.config
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST}
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        document["config"] = Descriptor(kind, Digest.of(config), len(config)).to_json()
        document["layers"] = [piece.descriptor.to_json() for piece in self.pieces]
        if self.subject is not None:
            document["subject"] = self.subject.to_json()
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read_piece(path: Path, label: str, media_type: str, annotations: Mapping[str, str]) -> Piece:
    """Return a file as a layer; raises ContentError for what is no regular file."""
    try:
        with open_regular(path, label) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except FileNotFoundError:
        raise ContentError.at(label, "does not exist") from None
    descriptor = Descriptor(media_type, Digest(f"sha256:{digest}"), size, annotations)
    return Piece(descriptor, path, label)


class ArtifactSource(Entered):
    """An `ImageSource` that holds one artifact."""

    streams = 1

    def __init__(self, artifact: Artifact, label: str, suggested_tag: str = "") -> None:
        self.label = label
        self.suggested_tag = suggested_tag
        self._artifact = artifact
        raw = artifact.manifest()
        self._top = Descriptor(mediatype.OCI_MANIFEST, Digest.of(raw), len(raw))
        config = artifact.config[1]
        self._small = {self._top.digest: raw, Digest.of(config): config}

    def names(self) -> tuple[str, ...]:
        """Return the tag that the artifact would take, if it knows one."""
        return (self.suggested_tag,) if self.suggested_tag else ()

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the artifact; raises ContentError for another name than its own."""
        if reference not in ("", self.suggested_tag, self._top.digest):
            raise ContentError.at(self.label, f"has no {reference!r}")
        return self._top

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return nothing: it is one artifact."""
        del digest
        return ()

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open the manifest, the config or a file; raises FileNotFoundError."""
        if descriptor.digest in self._small:
            return io.BytesIO(self._small[descriptor.digest])
        for piece in self._artifact.pieces:
            if piece.descriptor.digest == descriptor.digest and piece.path is not None:
                return open_regular(piece.path, piece.label)
        raise FileNotFoundError(descriptor.digest)
