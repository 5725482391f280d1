"""Where blobs live: one protocol for folders, memory and object storage.

A storage keeps bytes under their digest, `blobs/<algorithm>/<hex>`; it knows
nothing of images. Digests are texts that `oci.digest.Digest` has accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable


class Stored(NamedTuple):
    """A blob that is there: its digest and its size in bytes."""

    digest: str
    size: int


class Source(Protocol):
    """Anything bytes are read from; `read(n)` returns b"" at the end."""

    def read(self, count: int = ..., /) -> bytes:
        """Return up to `count` bytes."""


class Storage(Protocol):
    """A keeper of blobs."""

    def size(self, digest: str) -> int | None:
        """Return the blob's size in bytes, or None when it is not kept here."""

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading; raises FileNotFoundError when it is not kept here."""

    def path(self, digest: str) -> Path | None:
        """Return the file a blob is in, for storages that are folders."""

    def put(self, digest: str, source: Source) -> None:
        """Keep the bytes of `source` under `digest`.

        On return the content is stored and survives a power cut, whether or
        not this call wrote it. `source` verifies itself: when its `read`
        raises, nothing is kept. Raises LocalError for a full or read-only
        disk, RemoteError for one far away.
        """

    def delete(self, digest: str) -> None:
        """Forget a blob; one that is not kept here is no error."""

    def list(self) -> Iterator[Stored]:
        """Yield every blob kept here, in byte order of its digest."""


class Offsite(Protocol):
    """Where blobs are that no site holds: clients are sent there."""

    def url(self, digest: str) -> str:
        """Return where clients get a blob; nobody is asked whether it is there."""


@runtime_checkable
class OffsiteStorage(Offsite, Protocol):
    """A place that blobs can be brought to."""

    def holds(self, digest: str, size: int) -> bool:
        """Tell whether the blob can be had at its URL, judged by its bytes; raises RemoteError."""

    def put(self, digest: str, size: int, file: Path) -> None:
        """Bring a verified file there; on return `holds` is true. Raises RemoteError."""
