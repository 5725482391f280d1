"""The seam for ways in: a place that images are read from.

A source knows nothing of the registry that reads it, and what it yields is
not verified: whoever keeps content checks size and digest.
"""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Protocol, Self

from builder.oci.descriptor import Descriptor


class ImageSource(Protocol):
    """Images in some medium; a context manager, because files may stay open meanwhile.

    Every method raises ContentError for a medium that is not what it claims
    to be.
    """

    @property
    def label(self) -> str:
        """What the user typed for the medium, as messages name it."""

    def entries(self) -> tuple[Descriptor, ...]:
        """Return what the medium holds at its top; names are `ref.name` annotations."""

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the image of that name or digest; empty takes what the user typed.

        Raises ContentError when there is none, or more than one.
        """

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open content; raises FileNotFoundError when the medium does not hold it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
