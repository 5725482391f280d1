"""Reading manifests from outside, and refusing what is not clear.

Source: image-spec `manifest.md`, `image-index.md`, `descriptor.md`, with
CVE-2021-41190 in mind: a document that could be taken for both a manifest and
an index is neither. Faults are told as JSON pointers. What is odd and yet
pulled from other registries every day is taken, with a warning.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from builder.errors import BuilderError, ContentError, Problem
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, DigestError, is_of_other_algorithm
from builder.oci.manifest import Manifest
from builder.oci.platform import Platform
from builder.oci.shapes import MANIFEST
from builder.oci.strictjson import StrictJSONError, loads

MAX_ENTRIES = 10_000  # children of an index, layers of an image
_MAX_SIZE = 2**63 - 1
_AGAIN = "make it again with a current tool"
_TYPE_HINT = (
    "a media type here is TYPE/NAME without parameters, and none that browsers run as a page; "
    "use application/octet-stream or a type of your own"
)


class Fault(NamedTuple):
    """What is wrong at a JSON pointer of a document, and what to do about it."""

    pointer: str
    message: str
    hint: str = ""
    is_unverifiable: bool = False  # the content may be sound: nobody here can tell

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


class ManifestError(BuilderError):
    """A manifest, index or config that is refused; carries every fault found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in faults[:20]))

    def located(self, label: str, about: str = "") -> ContentError:
        """Return the error that names the source `label`, and `about` which document it is."""
        before = f"{about} " if about else ""
        return ContentError(
            Problem(label, 0, f"{before}{fault}", fault.hint) for fault in self.faults
        )


class UnverifiableError(ManifestError):
    """A manifest that is sound, but for digests of algorithms that are not known here."""


def parse_manifest(raw: bytes, media_type: str = "", *, allow_foreign: bool = False) -> Manifest:
    """Return the manifest or index in `raw`, checked against the specification.

    `media_type` is what the descriptor or the Content-Type said; empty where
    nobody did. `allow_foreign` accepts layers that carry `urls`. Raises
    ManifestError with every fault; UnverifiableError where digests of other algorithms
    are all that is wrong.
    """
    try:
        document = loads(raw, what="the manifest", shape=MANIFEST)
    except StrictJSONError as error:
        raise ManifestError([Fault("", error.message, _AGAIN)]) from None
    if not isinstance(document, dict):
        raise ManifestError([Fault("", "the manifest is not a JSON object")])
    kind, faults = _kind(document, media_type)
    if not faults:
        check = _index_faults if kind in mediatype.INDEXES else _image_faults
        faults = [*_common_faults(document), *check(document, allow_foreign=allow_foreign)]
    if faults:
        is_sound = all(fault.is_unverifiable for fault in faults)
        raise (UnverifiableError if is_sound else ManifestError)(faults)
    return _manifest(raw, kind, document)


def _kind(document: Mapping[str, Any], said: str) -> tuple[str, list[Fault]]:
    """Decide what a document is from everything that says so, which must agree."""
    if fault := _shape_fault(document, said) or _media_type_fault(document, said):
        return "", [fault]
    is_index = "manifests" in document
    kind = document.get("mediaType") or said
    kind = kind or (mediatype.OCI_INDEX if is_index else mediatype.OCI_MANIFEST)
    if kind not in mediatype.MANIFESTS - {mediatype.SINGULARITY_MANIFEST}:
        hint = "registries serve OCI and Docker schema 2 manifests and indexes"
        return "", [Fault("/mediaType", f"{kind} is not a manifest type that is known here", hint)]
    if is_index and kind not in mediatype.INDEXES:
        return "", [Fault("/mediaType", f"mediaType says {kind}, the content is an index")]
    if not is_index and kind in mediatype.INDEXES:
        if {"config", "layers"} & document.keys():
            text = f"mediaType says {kind}, the content is an image manifest"
            return "", [Fault("/mediaType", text)]
        return "", [Fault("/manifests", f"is missing from an {kind}")]
    return kind, []


def _shape_fault(document: Mapping[str, Any], said: str) -> Fault | None:
    """Return what keeps a document from being one kind of manifest and no other."""
    if mediatype.ARTIFACT_MANIFEST in (document.get("mediaType"), said):
        text = "is the artifact manifest of drafts of OCI 1.1, which clients no longer read"
        return Fault("/mediaType", text, "push it again with a current oras, as an image manifest")
    version = document.get("schemaVersion")
    if version != 2 or isinstance(version, bool):
        old = version == 1 and not isinstance(version, bool)
        text = "Docker schema 1 is not supported" if old else f"must be 2, not {version!r}"
        hint = "pull and push it with a current Docker or skopeo" if old else ""
        return Fault("/schemaVersion", f"schema version: {text}", hint)
    if "fsLayers" in document:
        return Fault("/fsLayers", "belongs to Docker schema 1, which is not supported")
    image = {"config", "layers"} & document.keys()
    if image and "manifests" in document:
        text = f"ambiguous: has both manifests and {' and '.join(sorted(image))}"
        hint = "keep either the keys of an image or those of an index"
        return Fault("/manifests", text, hint)
    return None


def _media_type_fault(document: Mapping[str, Any], said: str) -> Fault | None:
    inside = document.get("mediaType", "")
    if not isinstance(inside, str) or (inside and not mediatype.is_valid(inside)):
        return Fault("/mediaType", "is not a media type that may be published", _TYPE_HINT)
    if inside and said and inside != said:
        text = f"mediaType is {inside}, but the descriptor that points here says {said}"
        return Fault("/mediaType", text)
    return None


def _common_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _annotation_faults("", document.get("annotations"))
    artifact_type = document.get("artifactType")
    if artifact_type not in (None, "") and not _is_media_type(artifact_type):
        yield Fault("/artifactType", "is not a media type", _TYPE_HINT)
    if document.get("subject") is not None:
        yield from _descriptor_faults("/subject", document["subject"], allow_foreign=True)


def _image_faults(document: Mapping[str, Any], *, allow_foreign: bool) -> Iterator[Fault]:
    if "config" not in document:
        hint = "an artifact has the empty config of image-spec, '{}'"
        yield Fault("/config", "is missing; an image manifest must have one", hint)
    else:
        yield from _descriptor_faults("/config", document["config"], allow_foreign=allow_foreign)
        yield from _artifact_faults(document)
    yield from _list_faults("/layers", document.get("layers"), allow_foreign=allow_foreign)


def _artifact_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    config = document["config"]
    is_empty = isinstance(config, dict) and config.get("mediaType") == mediatype.OCI_EMPTY
    if is_empty and not document.get("artifactType"):
        text = "must be set where the config is the empty one"
        yield Fault("/artifactType", text, "say what it is, as in oras push --artifact-type TYPE")


def _index_faults(document: Mapping[str, Any], *, allow_foreign: bool) -> Iterator[Fault]:
    entries = document.get("manifests")
    yield from _list_faults("/manifests", entries, allow_foreign=allow_foreign)
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and entry.get("platform") is not None:
            yield from _platform_faults(f"/manifests/{number}/platform", entry["platform"])


def _list_faults(pointer: str, value: object, *, allow_foreign: bool) -> Iterator[Fault]:
    if value is None:
        return
    if not isinstance(value, list):
        yield Fault(pointer, "must be a list")
        return
    if len(value) > MAX_ENTRIES:
        yield Fault(pointer, f"has {len(value)} entries; the limit is {MAX_ENTRIES}")
        return
    for number, item in enumerate(value):
        yield from _descriptor_faults(f"{pointer}/{number}", item, allow_foreign=allow_foreign)


def _descriptor_faults(pointer: str, value: object, *, allow_foreign: bool) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(pointer, "must be a descriptor")
        return
    if not _is_media_type(value.get("mediaType")):
        text = "is not a media type that may be published"
        yield Fault(f"{pointer}/mediaType", text, _TYPE_HINT)
    yield from _digest_faults(f"{pointer}/digest", value.get("digest"))
    size = value.get("size")
    if type(size) is not int or not 0 <= size <= _MAX_SIZE:
        yield Fault(f"{pointer}/size", f"must be a number of bytes, not {str(size)[:40]!r}")
    if value.get("urls"):
        yield from _url_faults(f"{pointer}/urls", value["urls"], allow_foreign=allow_foreign)
    if value.get("data") is not None:
        yield from _data_faults(f"{pointer}/data", value)
    yield from _annotation_faults(pointer, value.get("annotations"))
    if value.get("artifactType") not in (None, "") and not _is_media_type(value["artifactType"]):
        yield Fault(f"{pointer}/artifactType", "is not a media type", _TYPE_HINT)


def _digest_faults(pointer: str, value: object) -> Iterator[Fault]:
    text = value if isinstance(value, str) else ""
    try:
        Digest(text)
    except DigestError:
        other = is_of_other_algorithm(text)
        hint = "copy it with a current tool, which makes sha256 digests" if other else ""
        message = f"{str(value)[:140]!r} is not a sha256 or sha512 digest"
        yield Fault(pointer, message, hint, is_unverifiable=other)


def _url_faults(pointer: str, value: object, *, allow_foreign: bool) -> Iterator[Fault]:
    if not isinstance(value, list) or not all(isinstance(url, str) for url in value):
        yield Fault(pointer, "must be a list of URLs")
    elif not all(re.fullmatch(r"https?://[!#-;=?-\[\]_a-z~]+", url) for url in value):
        yield Fault(pointer, "contains something other than an http or https URL")
    elif not allow_foreign:
        text = "sends clients to other servers for this content, which is refused"
        yield Fault(pointer, f"{text} (--allow-foreign accepts it)")


def _data_faults(pointer: str, descriptor: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        data = base64.b64decode(descriptor["data"], validate=True)
        same = Digest(descriptor["digest"]).matches(data) and len(data) == descriptor["size"]
    except (binascii.Error, TypeError, ValueError, DigestError, KeyError):
        same = False
    if not same:
        yield Fault(pointer, "is not the content that the digest names")


def _annotation_faults(pointer: str, value: object) -> Iterator[Fault]:
    if value is None:
        return
    if not isinstance(value, dict):
        yield Fault(f"{pointer}/annotations", "must be an object of texts")
        return
    for key, text in value.items():
        if not isinstance(text, str):
            yield Fault(f"{pointer}/annotations/{_escape(key)}", "must be a text")


def _platform_faults(pointer: str, value: object) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(pointer, "must be an object")
        return
    for key in ("os", "architecture"):
        text = value.get(key) or ""  # artifacts in an index run on nothing
        if not isinstance(text, str) or re.fullmatch(r"[A-Za-z0-9._-]{0,64}", text) is None:
            yield Fault(f"{pointer}/{key}", "must be the name of one")
    for key in ("variant", "os.version"):
        if not isinstance(value.get(key) or "", str):
            yield Fault(f"{pointer}/{_escape(key)}", "must be a text")


def _is_media_type(value: object) -> bool:
    return isinstance(value, str) and mediatype.is_valid(value)


def _escape(key: str) -> str:
    """Escape a key for a JSON pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def _manifest(raw: bytes, kind: str, document: Mapping[str, Any]) -> Manifest:
    subject = document.get("subject")
    is_index = kind in mediatype.INDEXES
    config = None if is_index else Descriptor.from_json(document["config"])
    layers = () if is_index else tuple(map(Descriptor.from_json, document.get("layers") or ()))
    entries = tuple(map(Descriptor.from_json, document.get("manifests") or ()))
    children = (*((config,) if config else ()), *layers, *entries)
    return Manifest(
        raw,
        kind,
        Digest.of(raw),
        config,
        layers,
        entries,
        Descriptor.from_json(subject) if subject else None,
        document.get("artifactType") or "",
        document.get("annotations") or {},
        tuple(_warnings(document, "manifests" if is_index else "layers", children)),
    )


def _warnings(
    document: Mapping[str, Any], key: str, children: Sequence[Descriptor]
) -> Iterator[str]:
    """Yield what is allowed in a manifest but will surprise its users."""
    if document.get(key) is None:
        there = "null" if key in document else "missing"
        yield f"/{key} is {there}, but the specification requires a list; it is read as empty"
    seen: set[Platform] = set()
    for child in children:
        if (platform := child.platform) is not None and platform.is_known:
            if platform.normal in seen:
                yield f"the index has two entries for {platform}; clients take the first"
            seen.add(platform.normal)
    if any(item.digest.algorithm == "sha512" for item in children):
        yield "sha512 digests are served, but older clients cannot store them"
