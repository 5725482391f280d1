"""What is attached to an image, known for what it is: SBOMs, provenance, signatures.

One envelope holds many things: a Sigstore bundle or an in-toto statement is
what its predicate type says. Nothing here checks a signature, and what is
shown never says that it did.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import entries
from builder.oci.manifest import Manifest
from builder.pages.downloads import blob_url
from builder.pages.model import PageOptions
from builder.pages.statement import Said, one_line, said_at
from builder.registry.model import Collection, Tag

TITLES = {
    "sbom": "SBOMs",
    "provenance": "Provenance",
    "vex": "Vulnerability statements",
    "attestation": "Attestations",
    "signature": "Signatures",
    "other": "Other files",
}
# Whole parts of media types and of predicate types; the first that fits counts.
_PARTS = (
    ("vex", {"openvex", "vex", "csaf"}),
    ("sbom", {"spdx", "cyclonedx", "syft", "sbom", "sboms"}),
    ("provenance", {"provenance"}),
    ("signature", {"signature", "sig", "sign", "pgp-signature", "simplesigning"}),
    ("attestation", {"attestation", "att", "in-toto", "intoto", "dsse"}),
)
_ENDINGS = {"SPDX": ".spdx.json", "CycloneDX": ".cdx.json", "Syft": ".syft.json"}
_SUFFIXES = {".sig": "signature", ".att": "attestation", ".sbom": "sbom"}
# Where tools say what a statement is about: on a bundle's manifest, on a layer.
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_BUNDLE_CONTENT = "dev.sigstore.bundle.content"
_BUNDLE_PREDICATE = "dev.sigstore.bundle.predicateType"
_LAYER_PREDICATES = ("in-toto.io/predicate-type", "predicateType")
_DOCKER_TYPE = "vnd.docker.reference.type"
_CREATED = "org.opencontainers.image.created"


@dataclass(frozen=True, slots=True)
class Attached:
    """One statement or file that refers to an image; `url` is its manifest's page.

    `predicate` is the type of a statement, where it says one; `layer` is the
    digest of the document itself. What follows is known where that was read,
    see `builder.pages.statement`: `facts` are names and values.
    """

    kind: str
    digest: str
    artifact_type: str
    size: int
    created: str
    url: str
    predicate: str = ""
    layer: str = ""
    title: str = ""
    format: str = ""
    packages: int | None = None
    facts: tuple[tuple[str, str], ...] = ()
    download: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """All that is attached of one kind."""

    kind: str
    title: str
    items: tuple[Attached, ...]


def kind_of(text: str) -> str:
    """Return what a media type or a predicate type stands for: a key of `TITLES`."""
    parts = set(re.split(r"[./:+;]+", text.lower()))
    return next((kind for kind, words in _PARTS if parts & words), "other")


def kind_of_predicate(predicate: str) -> str:
    """Return what a statement is: an attestation unless its predicate says more."""
    found = kind_of(predicate)
    return "attestation" if found == "other" else found


def statements(manifest: Manifest, kind: str = "") -> tuple[tuple[str, str], ...]:
    """Return the kind and the predicate type of all that a manifest states, each once.

    `kind` is what it is where nothing in it says more.
    """
    if manifest.effective_artifact_type.startswith(_BUNDLE):
        predicate = manifest.annotations.get(_BUNDLE_PREDICATE, "")
        if predicate:
            return ((kind_of_predicate(predicate), predicate),)
        content = manifest.annotations.get(_BUNDLE_CONTENT, "")
        return (("attestation" if content == "dsse-envelope" else "signature", ""),)
    predicates = dict.fromkeys(filter(None, map(_predicate, manifest.layers)))
    if predicates:
        return tuple((kind_of_predicate(text), text) for text in predicates)
    return ((kind or _kind_of_manifest(manifest), ""),)


def _predicate(layer: Descriptor) -> str:
    found = (layer.annotations.get(key, "") for key in _LAYER_PREDICATES)
    return next(filter(None, found), "")


def _kind_of_manifest(manifest: Manifest) -> str:
    """Return what an artifact is by its type, else by those of its layers that are all alike."""
    if (found := kind_of(manifest.effective_artifact_type)) != "other":
        return found
    kinds = {kind_of(layer.media_type) for layer in manifest.layers}
    return kinds.pop() if manifest.is_image and len(kinds) == 1 else "other"


def named_after_digests(tags: Iterable[Tag]) -> dict[str, tuple[Tag, ...]]:
    """Return cosign's tags (`sha256-<hex>.sig`) by the stem that names what they belong to."""
    found: dict[str, tuple[Tag, ...]] = {}
    for tag in tags:
        stem, dot, suffix = tag.name.partition(".")
        if tag.manifest is not None and dot + suffix in _SUFFIXES and stem.startswith("sha"):
            found[stem] = (*found.get(stem, ()), tag)
    return found


def groups(
    collection: Collection, manifest: Manifest, named: Mapping[str, tuple[Tag, ...]]
) -> tuple[Group, ...]:
    """Return what is attached to a manifest or to anything in it, by kind."""
    unique = tuple(dict.fromkeys(_attached(collection, manifest, named)))
    return tuple(
        Group(kind, title, items)
        for kind, title in TITLES.items()
        if (items := tuple(item for item in unique if item.kind == kind))
    )


def _attached(
    collection: Collection, manifest: Manifest, named: Mapping[str, tuple[Tag, ...]]
) -> Iterator[Attached]:
    inner = tuple(entries(manifest, collection.find))
    for digest in (manifest.digest, *(item.descriptor.digest for item in inner)):
        for referrer in collection.referrers.get(digest, ()):
            yield from _all(collection, referrer)
        for tag in named.get(f"{digest.algorithm}-{digest.encoded}", ()):
            if tag.manifest is not None:
                kind = _SUFFIXES[tag.name[tag.name.index(".") :]]
                yield from _all(collection, tag.manifest.digest, kind)
    for item in inner:
        if item.descriptor.annotations.get(_DOCKER_TYPE) == "attestation-manifest":
            yield from _all(collection, item.descriptor.digest, "attestation")


def _all(collection: Collection, digest: Digest, kind: str = "") -> Iterator[Attached]:
    manifest = collection.manifests.get(digest)
    url = f"/{collection.name}/manifests/{digest}/"
    if manifest is None:
        yield Attached(kind or "other", digest, "", 0, "", "")
        return
    artifact_type = manifest.effective_artifact_type
    size = sum(layer.size for layer in manifest.layers)
    created = manifest.annotations.get(_CREATED, "")[:10]
    for found, named in statements(manifest, kind):
        layer = _layer_of(manifest, named)
        predicate = named or (_stated(collection, layer) if layer is not None else "")
        if layer is not None and manifest.is_image:  # of an image there is only the config
            artifact_type = layer.media_type
        said = kind_of_predicate(predicate) if predicate else found
        about = Attached(said, digest, artifact_type, size, created, url, predicate)
        if layer is not None:
            about = replace(about, layer=layer.digest, file=layer.title)
        yield about


def _stated(collection: Collection, layer: Descriptor) -> str:
    """Return the type of the statement in an envelope that nothing beside it names."""
    place = collection.blobs.get(layer.digest)
    is_envelope = layer.media_type.startswith(_BUNDLE) or kind_of(layer.media_type) == "attestation"
    return said_at(place).predicate if place is not None and is_envelope else ""


def read(
    collection: Collection, groups: tuple[Group, ...], options: PageOptions
) -> tuple[Group, ...]:
    """Return what is attached with what its documents say, and where they are to be had."""
    return tuple(
        replace(group, items=tuple(_read(collection, item, options) for item in group.items))
        for group in groups
    )


def _read(collection: Collection, item: Attached, options: PageOptions) -> Attached:
    place = collection.blobs.get(item.layer)
    if place is None:
        return item
    said = said_at(place)
    suffix = _ENDINGS.get(said.format.partition(" ")[0], ".json" if said != Said() else "")
    return replace(
        item,
        title=said.title or one_line(item.file),
        format=said.format,
        packages=said.packages,
        facts=said.facts,
        size=place.size,
        download=blob_url(collection, item.layer, options),
        file=item.file.rpartition("/")[2]
        or f"{item.kind}-{place.digest.partition(':')[2][:12]}{suffix}",
    )


def _layer_of(manifest: Manifest, predicate: str) -> Descriptor | None:
    """Return the layer that states something, None where there is none."""
    saying = [layer for layer in manifest.layers if _predicate(layer) == predicate]
    return next(iter(saying or manifest.layers), None)
