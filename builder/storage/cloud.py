"""Blobs in a bucket: `<prefix>/blobs/<algorithm>/<hex>`, as in a folder or an image layout."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from builder.errors import RemoteError
from builder.storage.base import Source, Stored
from builder.storage.local import ALGORITHMS, CHUNK, blob_path
from builder.storage.objects import ObjectStore

# A blob's bytes never change: whoever has them need not ask again.
_ATTRIBUTES = {
    "Content-Type": "application/octet-stream",
    "Cache-Control": "public, max-age=31536000, immutable, no-transform",
}


class CloudStorage:
    """The blobs in an object store. `label` names it in messages."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.label = objects.label

    def path(self, digest: str) -> Path | None:  # noqa: ARG002 - the protocol's shape
        """Return None: nothing here is a file."""
        return None

    def size(self, digest: str) -> int | None:
        """Return the blob's size in bytes, or None; raises RemoteError."""
        found = self._objects.head(blob_path(digest))
        return found.size if found is not None else None

    def open(self, digest: str) -> BinaryIO:
        """Open a blob, not verified; raises FileNotFoundError, RemoteError."""
        pieces = self._objects.open(blob_path(digest))
        return io.BufferedReader(_Pieces(pieces), CHUNK)

    def put(self, digest: str, source: Source) -> None:
        """Keep `source` under `digest`; see `Storage.put`."""
        self.upload(digest, source, 0)

    def upload(self, digest: str, source: Source, size: int) -> None:
        """Do as `put` does; `size` in bytes lets what is large go up in fewer parts.

        Raises RemoteError also when the store does not say afterwards that it
        has as many bytes as it was sent.
        """
        sent = _Counted(source)
        self._objects.upload(blob_path(digest), sent.pieces(), size, _ATTRIBUTES)
        if (kept := self.size(digest)) != sent.count:
            has = "is missing" if kept is None else f"is {kept} bytes"
            message = f"{self.label}/{blob_path(digest)}: {has} after {sent.count} bytes were sent"
            raise RemoteError(
                message,
                "the store serves other content than its manifests name: try again, or another",
            )

    def delete(self, digest: str) -> None:
        """Forget a blob."""
        self._objects.delete(blob_path(digest))

    def list(self) -> Iterator[Stored]:
        """Yield every blob, in byte order of its digest."""
        for stored, _ in self.dated():
            yield stored

    def dated(self) -> Iterator[tuple[Stored, datetime]]:
        """Yield every blob, in byte order of its digest, with the time it was written."""
        for algorithm in ALGORITHMS:
            for found in self._objects.list(f"blobs/{algorithm}/"):
                encoded = found.key.rpartition("/")[2]
                yield Stored(f"{algorithm}:{encoded}", found.size), found.modified


class _Counted:
    """The pieces of a source, and how many bytes they were."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.count = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield what the source gives."""
        while chunk := self._source.read(CHUNK):
            self.count += len(chunk)
            yield chunk


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(next(pieces, b""))  # now, so that what is missing is told at once

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
