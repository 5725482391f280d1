"""The seam for ways out: a place that images are written to.

What is put is verified by whoever reads it: a sink that gets to the end of a
stream has seen the right bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from builder.oci.content import Reading
from builder.oci.graph import Node
from builder.oci.manifest import Manifest
from builder.storage import LocalStorage

# Opens content from its start, as often as asked; reading to the end verifies it.
Opener = Callable[[], Reading]


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

    def has(self, node: Node) -> bool:
        """Tell whether a blob is there, or may stay elsewhere, so that it need not be put."""

    def put(self, node: Node, opener: Opener) -> None:
        """Write a blob."""

    def put_manifest(self, manifest: Manifest, name: str = "") -> bool:
        """Write a manifest whose content is there, under a name where one is given.

        Tells whether the name (or the content) was new or another before.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None: ...


def keep(storage: LocalStorage, node: Node, opener: Opener) -> None:
    """Put content into a folder of blobs: shared with its source's file where that can be."""
    descriptor = node.descriptor
    with opener() as reading:
        if not storage.clone(descriptor.digest, reading.stream, descriptor.size, reading.over):
            storage.put(descriptor.digest, reading)
