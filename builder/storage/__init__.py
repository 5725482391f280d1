"""Where blobs live, and the one place that maps a scheme to a storage."""

from __future__ import annotations

from pathlib import Path

from builder.errors import UsageError
from builder.storage.base import Source, Storage, Stored
from builder.storage.blobs import LocalStorage
from builder.storage.cloud import CloudStorage
from builder.storage.memory import MemoryStorage
from builder.storage.objects import SCHEMES, open_objects

__all__ = [
    "CLOUDS",
    "CloudStorage",
    "LocalStorage",
    "MemoryStorage",
    "Source",
    "Storage",
    "Stored",
    "open_cloud",
    "open_storage",
]

CLOUDS = SCHEMES


def open_storage(url: str) -> Storage:
    """Return the storage that `url` names: a bucket, a folder's path, or `memory:`.

    Raises UsageError for a scheme nothing here can open.
    """
    scheme, colon, _ = url.partition(":")
    if url == "memory:":
        return MemoryStorage()
    if scheme in CLOUDS:
        return open_cloud(url)
    if not colon or "/" in scheme:
        return LocalStorage(Path(url))
    known = ", ".join(f"{cloud}://" for cloud in CLOUDS)
    raise UsageError(f"{url}: no storage knows the scheme {scheme!r}", f"use a folder, or {known}")


def open_cloud(url: str) -> CloudStorage:
    """Return the storage in the bucket that `url` names; raises UsageError."""
    return CloudStorage(open_objects(url))
