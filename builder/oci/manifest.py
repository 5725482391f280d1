"""Manifests and indexes as values that keep their exact bytes.

Source: image-spec `manifest.md` and `image-index.md`, distribution's
`manifest-v2-2.md`. A manifest is never written out from its parsed form: its
digest is that of the bytes it came in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest or an index, OCI or Docker schema 2.

    Made by `oci.validate.parse_manifest`. `config` is None and `layers` empty
    for an index; `manifests` is empty for an image. `warnings` say what in it
    is allowed and may surprise.
    """

    raw: bytes
    media_type: str
    digest: Digest
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def is_index(self) -> bool:
        """Whether this points to other manifests."""
        return self.media_type in mediatype.INDEXES

    @property
    def size(self) -> int:
        """Length of the manifest itself in bytes."""
        return len(self.raw)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The config and the layers, in that order."""
        return (self.config, *self.layers) if self.config else self.layers

    @property
    def is_image(self) -> bool:
        """Whether this is a container image that can run, not another artifact."""
        return self.config is not None and self.config.media_type in mediatype.IMAGE_CONFIGS

    @property
    def is_container(self) -> bool:
        """Whether this can run: signatures and modules have an image's config as well."""
        return self.is_image and all(
            mediatype.is_filesystem_layer(layer.media_type) for layer in self.layers
        )

    @property
    def effective_artifact_type(self) -> str:
        """The type that a referrers list gives: `artifactType`, else the config's type.

        Source: distribution-spec, "Listing Referrers".
        """
        if self.artifact_type:
            return self.artifact_type
        return self.config.media_type if self.config else ""

    @property
    def descriptor(self) -> Descriptor:
        """A descriptor of this manifest, as a referrers list would hold it."""
        return Descriptor(
            self.media_type, self.digest, self.size, self.annotations,
            artifact_type=self.effective_artifact_type,
        )  # fmt: skip

    @property
    def bare(self) -> Descriptor:
        """A descriptor of this manifest that says nothing of what is in it."""
        return Descriptor(self.media_type, self.digest, self.size)

    def children(self) -> Iterator[Descriptor]:
        """Yield everything that must exist for this manifest to be complete."""
        yield from self.blobs
        yield from self.manifests
