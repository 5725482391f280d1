"""The seam for ways out: a place that images are written to.

What is put is verified by whoever reads it: a sink that gets to the end of a
stream has seen the right bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from builder.oci.descriptor import Descriptor
from builder.oci.manifest import Manifest

# Opens content from its start, as often as asked; reading to the end verifies it.
Opener = Callable[[], BinaryIO]


class ImageSink(Protocol):
    """Images in some medium; a context manager that completes or takes back what it did.

    Methods raise LocalError or RemoteError when the medium does not take
    something, ContentError when it cannot hold that kind of image.
    """

    @property
    def label(self) -> str:
        """What the user typed for the medium."""

    @property
    def streams(self) -> int:
        """How many pieces may be written at once."""

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether content is there, so that it need not be put."""

    def put(self, descriptor: Descriptor, opener: Opener) -> None:
        """Write a blob."""

    def put_manifest(self, manifest: Manifest, name: str = "") -> bool:
        """Write a manifest whose content is there, under a name where one is given.

        Tells whether the name (or the content) was new or another before.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
