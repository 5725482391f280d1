"""Blobs on this disk that can be fetched again: kept by digest, the oldest used going first.

Several proxies may share one folder. A blob appears in it by rename, when
all of it was verified; nobody has to trust another's half.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from builder.errors import BuilderError, LocalError
from builder.oci.digest import Digest
from builder.storage import LocalStorage
from builder.storage.local import ALGORITHMS, TEMPORARY, make_folder, sync_folder

log = logging.getLogger(__name__)

_STALE = 86_400  # seconds after which an unfinished file was left by a killed run


class BlobCache:
    """At most `limit` bytes of blobs below `root`; safe to use from several threads.

    Raises LocalError for a folder that cannot be written to.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self._limit = limit
        self._storage = LocalStorage(root, str(root))
        self._root = root
        self._guard = threading.Lock()
        try:
            for algorithm in ALGORITHMS:
                make_folder(root / "blobs" / algorithm)
            self._total = sum(size for _, size, _ in self._blobs())
        except OSError as error:
            raise LocalError.of(error, root, "choose another with --cache") from error

    def open(self, digest: Digest) -> BinaryIO | None:
        """Open a blob that is here, and note that it was used."""
        try:
            stream = self._storage.open(digest)
        except (FileNotFoundError, BuilderError):  # what somebody put there is not ours
            return None
        with suppress(PermissionError):  # a folder of somebody else's, to be read alone
            os.utime(stream.fileno())
        return stream

    def size(self, digest: Digest) -> int | None:
        """Return the size in bytes of a blob that is here."""
        return self._storage.size(digest)

    def begin(self, digest: Digest) -> Path:
        """Return a new empty file, to be given to `keep` or removed."""
        folder = self._storage.path(digest).parent
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=folder)
        os.close(descriptor)
        return Path(name)

    def keep(self, digest: Digest, file: Path, size: int) -> None:
        """Keep a verified file that is on the disk; one over the limit is forgotten at once."""
        if size > self._limit:
            file.unlink()
            return
        final = self._storage.path(digest)
        known = self.size(digest) or 0
        file.replace(final)
        sync_folder(final.parent)
        with self._guard:
            self._total += size - known
            if self._total > self._limit:
                self._evict()

    def put(self, digest: Digest, data: bytes) -> None:
        """Keep verified bytes, where the disk takes them: what was small can be fetched again."""
        try:
            file = self.begin(digest)
            try:
                with file.open("wb") as out:
                    out.write(data)
                    out.flush()
                    os.fsync(out.fileno())
                self.keep(digest, file, len(data))
            finally:
                file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: %s", self._root, error.strerror)

    def _evict(self) -> None:
        """Remove what was used longest ago, until a tenth of the limit is free."""
        blobs = sorted(self._blobs())
        self._total = sum(size for _, size, _ in blobs)
        for _, size, path in blobs:
            if self._total <= self._limit - self._limit // 10:
                break
            Path(path).unlink(missing_ok=True)
            self._total -= size

    def _blobs(self) -> list[tuple[float, int, str]]:
        """Return when each blob was used, its size and its path; sweep what killed runs left."""
        found = []
        for algorithm in ALGORITHMS:
            for entry in os.scandir(self._root / "blobs" / algorithm):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # another process evicts too
                    continue
                if not entry.name.startswith(TEMPORARY):
                    found.append((status.st_mtime, status.st_size, entry.path))
                elif status.st_mtime < time.time() - _STALE:
                    Path(entry.path).unlink(missing_ok=True)
        return found
