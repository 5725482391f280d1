"""The image layout: `oci-layout`, `index.json`, `blobs/<algorithm>/<hex>`.

Source: image-spec `image-layout.md`. What a layout is made of, whether it is
a folder or lies in an archive; the folder's reader is here, the archive's in
`transports`.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from builder.errors import ContentError
from builder.oci import mediatype
from builder.oci.content import ContentReader
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, DigestError, is_of_other_algorithm
from builder.oci.shapes import LAYOUT
from builder.oci.shapes import MANIFEST as SHAPE
from builder.oci.strictjson import MAX_BYTES, StrictJSONError, loads
from builder.oci.validate import ManifestError, parse_manifest
from builder.storage.local import blob_path, open_inside

MARKER = "oci-layout"
INDEX = "index.json"
REF_NAME = "org.opencontainers.image.ref.name"
# Where tools keep an image's name: the specification's place, then those of others.
_NAMES = (
    REF_NAME,
    "io.containerd.image.name",
    "org.opencontainers.ref.name",
    "dev.cosignproject.cosign/imageRef",
)
_VERSION = re.compile(r"1\.\d+\.\d+")


class LayoutEntries(NamedTuple):
    """What an `index.json` points to; `left_out` are the digests, with names, of what cannot be.

    Those are of algorithms that nobody here can verify; a name may be empty.
    """

    entries: tuple[Descriptor, ...]
    left_out: tuple[tuple[str, str], ...] = ()


class ImageLayout:
    """An image layout in a folder, read only; `label` names the folder in messages."""

    def __init__(self, folder: Path, label: str) -> None:
        self._folder = folder
        self._label = label

    def entries(self) -> LayoutEntries:
        """Return what `index.json` points to; raises ContentError when it is no layout."""
        check_marker(self._read(MARKER), f"{self._label}/{MARKER}")
        return parse_index(self._read(INDEX), f"{self._label}/{INDEX}", self)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a blob; see `oci.content.ContentReader`."""
        inner = blob_path(descriptor.digest)
        return open_inside(self._folder, inner, f"{self._label}/{inner}")

    def close(self) -> None:
        """Keep nothing open."""

    def _read(self, name: str) -> bytes:
        label = f"{self._label}/{name}"
        try:
            with open_inside(self._folder, name, label) as stream:
                return stream.read(MAX_BYTES + 1)
        except FileNotFoundError:
            hint = f"an image layout holds {MARKER}, {INDEX} and blobs/"
            raise ContentError.at(label, "is missing from the image layout", hint) from None


def check_marker(raw: bytes, label: str) -> None:
    """Raise ContentError when the bytes of `oci-layout` do not say a version known here."""
    try:
        document = loads(raw, what=MARKER, shape=LAYOUT)
    except StrictJSONError as error:
        raise ContentError.at(label, error.message) from None
    version = document.get("imageLayoutVersion") if isinstance(document, dict) else None
    if _VERSION.fullmatch(str(version)) is None:
        message = f"imageLayoutVersion must be 1.0.0, not {str(version)[:40]!r}"
        raise ContentError.at(label, message)


def parse_index(raw: bytes, label: str, reader: ContentReader) -> LayoutEntries:
    """Return the entries of a layout's `index.json`; raises ContentError with every fault.

    `reader` has the layout's blobs. The file is no content and has no digest:
    what others than tools write into it counts as far as it is clear.
    """
    try:
        document = loads(raw, what=INDEX, shape=SHAPE)
    except StrictJSONError as error:
        hint = "make it again with a current tool"
        raise ContentError.at(label, error.message, hint) from None
    left_out: list[tuple[str, str]] = []
    if isinstance(document, dict):
        left_out = _take_unverifiable(document)
        raw = json.dumps(_mended(document, reader)).encode()
    try:
        found = parse_manifest(raw, mediatype.OCI_INDEX, allow_foreign=True).manifests
    except ManifestError as error:
        raise error.located(label) from None
    return LayoutEntries(found, tuple(left_out))


def _take_unverifiable(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Take the entries out whose digests nobody here can verify; return these, with names."""
    taken: list[tuple[str, str]] = []
    entries = document.get("manifests")
    if not isinstance(entries, list):
        return taken
    for entry in tuple(entries):
        digest = entry.get("digest") if isinstance(entry, dict) else None
        if isinstance(digest, str) and is_of_other_algorithm(digest):
            entries.remove(entry)
            said = entry.get("annotations")
            notes = said if isinstance(said, dict) else {}
            names = (notes.get(key) for key in _NAMES)
            name = next((name for name in names if name and isinstance(name, str)), "")
            taken.append((digest, name))
    return taken


def _mended(document: dict[str, Any], reader: ContentReader) -> dict[str, Any]:
    """Return an index that says of itself what it is, and of its entries what their bytes say."""
    if document.get("schemaVersion") in (None, 1):
        document["schemaVersion"] = 2
    if str(document.get("mediaType")) in mediatype.INDEXES:
        document["mediaType"] = mediatype.OCI_INDEX
    entries = document.get("manifests")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            size = entry.get("size")
            if size is None or (isinstance(size, int) and size < 0):
                entry["size"] = 0  # the true one is found in its bytes
            if not entry.get("mediaType"):
                entry["mediaType"] = _type_of(entry.get("digest"), reader)
    return document


def _type_of(digest: object, reader: ContentReader) -> str:
    """Return what the bytes under a digest say that they are, or nothing."""
    with suppress(DigestError, ManifestError, FileNotFoundError):
        with reader.open(Descriptor("", Digest(str(digest)), 0)) as stream:
            raw = stream.read(MAX_BYTES + 1)
        return parse_manifest(raw, allow_foreign=True).media_type
    return ""


def with_true_size(entry: Descriptor, reader: ContentReader) -> Descriptor:
    """Return an entry of `index.json` with the size of the bytes that its digest proves.

    `index.json` is no content: nothing proves what it says, and some are
    written by hand. An entry whose bytes are missing or others stays as it is.
    """
    try:
        with reader.open(entry) as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return entry
    if len(raw) in (entry.size, MAX_BYTES + 1) or not entry.digest.matches(raw):
        return entry
    text = f"{INDEX} says {entry.size} bytes for {entry.digest}, which has {len(raw)}"
    return replace(entry, size=len(raw), warning=text)


def name_of(entry: Descriptor) -> str:
    """Return the name that an entry of `index.json` has, or the empty string."""
    return next(filter(None, (entry.annotations.get(key, "") for key in _NAMES)), "")


def names_of(entry: Descriptor) -> tuple[str, ...]:
    """Return all names of an entry of `index.json`, the one that tells most first."""
    found = {entry.annotations.get(key, "") for key in _NAMES} - {""}
    return tuple(sorted(found, key=lambda name: (-len(name), name)))
