"""What is attached to an image: SBOMs, signatures, attestations, other files.

Nothing here checks a signature, and what is shown never says that it did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.registry.model import Collection, Tag

_WORDS = (
    ("sbom", ("spdx", "cyclonedx", "syft", "sbom")),
    ("attestation", ("in-toto", "attest", "provenance", "slsa", "dsse")),
    ("signature", ("signature", "cosign", "notary", "sigstore", "pgp")),
)
_SUFFIXES = {".sig": "signature", ".att": "attestation", ".sbom": "sbom"}
_DOCKER_TYPE = "vnd.docker.reference.type"
_CREATED = "org.opencontainers.image.created"

TITLES = {
    "sbom": "SBOMs",
    "signature": "Signatures",
    "attestation": "Attestations",
    "other": "Other files",
}


@dataclass(frozen=True, slots=True)
class Attached:
    """One manifest that refers to an image; `url` is its manifest's page."""

    kind: str
    digest: str
    artifact_type: str
    size: int
    created: str
    url: str


@dataclass(frozen=True, slots=True)
class Group:
    """All that is attached of one kind."""

    kind: str
    title: str
    items: tuple[Attached, ...]


def kind_of(artifact_type: str) -> str:
    """Return `sbom`, `attestation`, `signature` or `other`."""
    text = artifact_type.lower()
    return next((kind for kind, words in _WORDS if any(word in text for word in words)), "other")


def companions(tags: Iterable[Tag]) -> dict[str, tuple[Tag, ...]]:
    """Return the tags that name what they belong to (`sha256-<hex>.sig`), by that name's stem."""
    found: dict[str, tuple[Tag, ...]] = {}
    for tag in tags:
        stem, dot, suffix = tag.name.partition(".")
        if tag.manifest is not None and dot + suffix in _SUFFIXES and stem.startswith("sha"):
            found[stem] = (*found.get(stem, ()), tag)
    return found


def groups(
    collection: Collection, manifest: Manifest, named: Mapping[str, tuple[Tag, ...]]
) -> tuple[Group, ...]:
    """Return what is attached to a manifest or to a child of it, by kind."""
    unique = {item.digest: item for item in _attached(collection, manifest, named)}
    return tuple(
        Group(kind, title, items)
        for kind, title in TITLES.items()
        if (items := tuple(item for item in unique.values() if item.kind == kind))
    )


def _attached(
    collection: Collection, manifest: Manifest, named: Mapping[str, tuple[Tag, ...]]
) -> Iterator[Attached]:
    for digest in (manifest.digest, *(child.digest for child in manifest.manifests)):
        for referrer in collection.referrers.get(digest, ()):
            yield _one(collection, referrer)
        for tag in named.get(f"{digest.algorithm}-{digest.encoded}", ()):
            if tag.manifest is not None:
                kind = _SUFFIXES[tag.name[tag.name.index(".") :]]
                yield _one(collection, tag.manifest.digest, kind)
    for child in manifest.manifests:
        if child.annotations.get(_DOCKER_TYPE) == "attestation-manifest":
            yield _one(collection, child.digest, "attestation")


def _one(collection: Collection, digest: Digest, kind: str = "") -> Attached:
    manifest = collection.manifests.get(digest)
    url = f"/{collection.name}/manifests/{digest}/"
    if manifest is None:
        return Attached(kind or "other", digest, "", 0, "", "")
    artifact_type = manifest.effective_artifact_type
    size = sum(layer.size for layer in manifest.layers)
    created = manifest.annotations.get(_CREATED, "")[:10]
    return Attached(kind or kind_of(artifact_type), digest, artifact_type, size, created, url)
