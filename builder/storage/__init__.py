"""Where blobs live, and the one place that maps a scheme to a storage."""

from __future__ import annotations

from pathlib import Path

from builder.errors import UsageError
from builder.storage.base import Source, Storage, Stored
from builder.storage.local import LocalStorage
from builder.storage.memory import MemoryStorage

__all__ = ["LocalStorage", "MemoryStorage", "Source", "Storage", "Stored", "open_storage"]


def open_storage(url: str) -> Storage:
    """Return the storage that `url` names: a folder's path, or `memory:`.

    Raises UsageError for a scheme nothing here can open.
    """
    scheme, colon, _ = url.partition(":")
    if url == "memory:":
        return MemoryStorage()
    if not colon or "/" in scheme:
        return LocalStorage(Path(url))
    raise UsageError(f"{url}: no storage knows the scheme {scheme!r}", "use a folder's path")
