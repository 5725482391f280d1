"""Blobs in memory: for tests, and for what never needs a disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from builder.storage.base import Source, Stored


class MemoryStorage:
    """A dictionary of blobs."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def path(self, digest: str) -> Path | None:  # noqa: ARG002 - the protocol's shape
        """Return None: nothing here is a file."""
        return None

    def size(self, digest: str) -> int | None:
        """Return the blob's size in bytes, or None."""
        blob = self._blobs.get(digest)
        return None if blob is None else len(blob)

    def open(self, digest: str) -> BinaryIO:
        """Open a blob; raises FileNotFoundError."""
        if digest not in self._blobs:
            raise FileNotFoundError(digest)
        return io.BytesIO(self._blobs[digest])

    def put(self, digest: str, source: Source) -> None:
        """Keep the bytes of `source` under `digest`."""
        chunks = []
        while chunk := source.read(1 << 20):
            chunks.append(chunk)
        self._blobs[digest] = b"".join(chunks)

    def delete(self, digest: str) -> None:
        """Forget a blob."""
        self._blobs.pop(digest, None)

    def list(self) -> Iterator[Stored]:
        """Yield every blob, in byte order of its digest."""
        for digest in sorted(self._blobs):
            yield Stored(digest, len(self._blobs[digest]))
