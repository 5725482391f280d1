"""`oci:DIR[:REF]`: an image layout in a folder."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.layout import ImageLayout, find_entry
from builder.transports.base import names_of, referrers_among


class LayoutSource:
    """An `ImageSource` over a folder."""

    streams = 1
    suggested_tag = ""

    def __init__(self, path: str, reference: str = "") -> None:
        self.label = path
        self._reference = reference
        self._layout = ImageLayout(Path(path), path)

    def entries(self) -> tuple[Descriptor, ...]:
        """Return what `index.json` points to."""
        return self._layout.entries()

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
        """Open a blob's file."""
        return self._layout.open(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep nothing open."""
