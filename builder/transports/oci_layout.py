"""`oci:DIR[:REF]` and `oci-archive:FILE[:REF]`: an image layout in a folder, or in a tar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from builder.errors import ContentError
from builder.oci import mediatype
from builder.oci.content import read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.layout import (
    INDEX,
    MARKER,
    ImageLayout,
    LayoutEntries,
    check_marker,
    names_of,
    parse_index,
    with_true_size,
)
from builder.oci.manifest import Manifest
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, parse_manifest
from builder.storage.local import blob_path
from builder.transports.archive import Archive
from builder.transports.base import Entered
from builder.transports.choose import Candidate, choose, unnamed


class Layout(Protocol):
    """What an image layout lies in."""

    def entries(self) -> LayoutEntries:
        """Return what `index.json` points to."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a blob; raises FileNotFoundError."""

    def close(self) -> None:
        """Let go of what is open."""


class LayoutSource(Entered):
    """An `ImageSource` over an image layout; `label` names it in messages."""

    streams = 1
    suggested_tag = ""

    def __init__(self, layout: Layout, label: str, reference: str = "") -> None:
        self.label = label
        self._layout = layout
        self._reference = reference

    def names(self) -> tuple[str, ...]:
        """Return how the images are known; entries of other types are none (layout, index.json)."""
        found = self.candidates()
        names = {item.names[0] for item in found if item.names}
        names |= self._unverifiable().keys()
        return tuple(sorted(names.union(unnamed(found))))

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the entry of that name."""
        wanted = reference or self._reference
        if (digest := self._unverifiable().get(wanted)) is not None:
            message = f"{wanted} is {digest}, which cannot be verified here"
            raise ContentError.at(self.label, message, "use a sha256 or sha512 digest")
        if wanted and (kind := self._other_types().get(wanted)) is not None:
            message = f"{wanted} is {kind}, no image and no index"
            old = kind == mediatype.ARTIFACT_MANIFEST
            hint = "push it again with a current oras, as an image manifest" if old else ""
            raise ContentError.at(self.label, message, hint)
        return with_true_size(choose(self.candidates(wanted), wanted, self.label), self)

    def candidates(self, wanted: str = "") -> list[Candidate[Descriptor]]:
        """Return the entries among which a reference chooses.

        Tools put referrers, and what is in an index, beside the images; which
        those are matters, and is found, only where nothing tells what is meant.
        """
        entries = self._images()
        inner: set[Digest] = set()
        if not wanted and len({item.digest for item in entries}) > 1:
            inner = {digest for item in entries for digest in self._inner(item)}
        return [Candidate(item, (item.digest,), names_of(item), item.digest in inner)
                for item in entries]  # fmt: skip

    def _images(self) -> list[Descriptor]:
        return [item for item in self._layout.entries().entries
                if item.media_type in mediatype.MANIFESTS]  # fmt: skip

    def _other_types(self) -> dict[str, str]:
        """Return the types of what is called by no name that an image has too."""
        entries = self._layout.entries().entries
        images = {name for item in self._images() for name in names_of(item)}
        return {
            name: item.media_type
            for item in entries
            for name in names_of(item)
            if item.media_type not in mediatype.MANIFESTS and name not in images
        }

    def _unverifiable(self) -> dict[str, str]:
        return {name: digest for digest, name in self._layout.entries().left_out if name}

    def _inner(self, entry: Descriptor) -> Iterator[Digest]:
        """Yield what is in an entry, and itself if it refers to another."""
        try:
            manifest = self.manifest(with_true_size(entry, self))
        except ContentError:  # told to whoever takes it
            return
        if manifest is not None:
            yield from (child.digest for child in manifest.manifests)
            yield from (entry.digest,) * (manifest.subject is not None)

    def manifests(self) -> Iterator[Manifest]:
        """Yield the manifests of the entries that are here; raises ContentError for broken ones."""
        seen: set[Digest] = set()
        for listed in self._images():
            if listed.digest in seen:
                continue
            seen.add(listed.digest)
            if (found := self.manifest(with_true_size(listed, self))) is not None:
                yield found

    def manifest(self, descriptor: Descriptor) -> Manifest | None:
        """Return a manifest; None where it is not here: a layout may hold part of an index."""
        try:
            self.open(descriptor).close()
        except FileNotFoundError:
            return None
        raw = read_verified(self, descriptor, self.label)
        try:
            return parse_manifest(raw, descriptor.media_type, allow_foreign=True)
        except ManifestError as error:
            raise error.located(self.label, descriptor.digest) from None

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return the entries that refer to a manifest."""
        found = {item.digest: item.descriptor for item in self.manifests()
                 if item.subject is not None and item.subject.digest == digest}  # fmt: skip
        return tuple(found[item] for item in sorted(found))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a blob."""
        return self._layout.open(descriptor)

    def __exit__(self, *_: object) -> None:
        """Close the layout."""
        self._layout.close()


class _ArchivedLayout:
    """An image layout in an open archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def entries(self) -> LayoutEntries:
        """Return what `index.json` points to."""
        label = self._archive.label
        check_marker(self._archive.read(MARKER, MAX_BYTES), f"{label}/{MARKER}")
        return parse_index(self._archive.read(INDEX, MAX_BYTES), f"{label}/{INDEX}", self)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a blob's member."""
        return self._archive.open(blob_path(descriptor.digest))

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def open_layout(path: str, reference: str = "") -> LayoutSource:
    """Return the source for a folder."""
    return LayoutSource(ImageLayout(Path(path), path), path, reference)


def open_archived(archive: Archive, reference: str = "") -> LayoutSource:
    """Return the source for an open archive, which it closes."""
    return LayoutSource(_ArchivedLayout(archive), archive.label, reference)
