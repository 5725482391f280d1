"""`oci-archive:FILE[:REF]`: an image layout in a tar."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Self

from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.layout import INDEX, MARKER, check_marker, find_entry, parse_index
from builder.oci.strictjson import MAX_BYTES
from builder.storage.local import blob_path
from builder.transports.archive import Archive
from builder.transports.base import names_of, referrers_among


class OCIArchiveSource:
    """An `ImageSource` over an open archive, which it closes."""

    streams = 1
    suggested_tag = ""

    def __init__(self, archive: Archive, reference: str = "") -> None:
        self.label = archive.label
        self._archive = archive
        self._reference = reference

    def entries(self) -> tuple[Descriptor, ...]:
        """Return what `index.json` points to."""
        check_marker(self._archive.read(MARKER, MAX_BYTES), f"{self.label}/{MARKER}")
        raw = self._archive.read(INDEX, MAX_BYTES)
        return parse_index(raw, f"{self.label}/{INDEX}").manifests

    def names(self) -> tuple[str, ...]:
        """Return the names of the entries."""
        return names_of(self.entries())

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return the entries that refer to a manifest."""
        return referrers_among(self.entries(), self, digest, self.label)

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the entry of that name."""
        return find_entry(self.entries(), reference or self._reference, self.label, self)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a blob's member."""
        return self._archive.open(blob_path(descriptor.digest))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the archive."""
        self._archive.close()
