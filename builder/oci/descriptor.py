"""Descriptors: pointers to content. Source: image-spec `descriptor.md`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.oci.digest import Digest
from builder.oci.platform import Platform

EMPTY: Mapping[str, str] = {}
TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content: its media type, digest and size in bytes.

    `Descriptor.from_json(d).to_json() == d` for every field that we know.
    `warning` is what its reader found wrong around it, and is no part of it.
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str = ""
    urls: tuple[str, ...] = ()
    warning: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The name of the file that this is, where it says one."""
        return self.annotations.get(TITLE, "")

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Descriptor:
        """Return the descriptor of a document that `oci.validate` has accepted."""
        return cls(
            document["mediaType"],
            Digest(document["digest"]),
            document["size"],
            document.get("annotations") or EMPTY,
            Platform.from_json(document.get("platform")),
            document.get("artifactType") or "",
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
            document["platform"] = self.platform.to_json()
        return document
