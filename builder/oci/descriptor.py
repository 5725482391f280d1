"""Descriptors and platforms. Source: image-spec `descriptor.md`, `image-index.md`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.oci.digest import Digest

EMPTY: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Platform:
    """`linux/arm64/v8`: what an image runs on."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @property
    def is_known(self) -> bool:
        """False for the `unknown/unknown` that attestation manifests carry."""
        return self.os != "unknown" and self.architecture != "unknown"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content: its media type, digest and size in bytes.

    `Descriptor.from_json(d).to_json() == d` for every field that we know.
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str = ""
    urls: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Descriptor:
        """Return the descriptor of a document that `oci.validate` has accepted."""
        platform = document.get("platform")
        return cls(
            document["mediaType"],
            Digest(document["digest"]),
            document["size"],
            document.get("annotations") or EMPTY,
            _platform(platform) if platform else None,
            document.get("artifactType", ""),
            tuple(document.get("urls") or ()),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON shape, keys in the specification's order."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.urls:
            document["urls"] = list(self.urls)
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.platform:
            document["platform"] = _platform_json(self.platform)
        return document


def _platform(document: Mapping[str, Any]) -> Platform:
    return Platform(
        document["os"],
        document["architecture"],
        document.get("variant", ""),
        document.get("os.version", ""),
    )


def _platform_json(platform: Platform) -> dict[str, str]:
    document = {"architecture": platform.architecture, "os": platform.os}
    if platform.os_version:
        document["os.version"] = platform.os_version
    if platform.variant:
        document["variant"] = platform.variant
    return document
