"""What was received and no tag leads to yet: uploads, blobs, manifests, below one hidden folder.

Each repository has its own blobs, because what one holds the others do not
have. What nobody names for a day is swept.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from builder.errors import LocalError
from builder.oci.digest import Digest, VerifiedReader
from builder.receive.uploads import Upload, Uploads
from builder.storage import LocalStorage
from builder.storage.base import Source
from builder.storage.local import LINK_ABOVE, open_regular

KEPT_SECONDS = 24 * 3600
_SWEEP_SECONDS = 3600
_SPARE = 16 << 20  # bytes of disk that are left to others
_LABEL = ".builder-cache/receive"


class Waiting:
    """What one repository was sent and no tag needs yet: blobs, and manifests by digest.

    What is small is brought to the disk with the tag that needs it.
    """

    def __init__(self, folder: Path) -> None:
        self.blobs = LocalStorage(folder, _LABEL, durable=False)
        self.manifests = LocalStorage(folder / "manifests", _LABEL, durable=False)

    def sweep(self) -> None:
        """Remove what killed runs left; call with the registry's lock held."""
        self.blobs.sweep()
        self.manifests.sweep()

    def drop_damaged(self, digest: Digest, size: int) -> None:
        """Forget content that a power cut has damaged, so that it is sent again."""
        for storage in (self.blobs, self.manifests):
            if storage.size(digest) not in (None, size):
                with open_regular(storage.path(digest), _LABEL) as stream:
                    found = hashlib.file_digest(stream, digest.algorithm).hexdigest()
                if found != digest.encoded:
                    storage.delete(digest)

    def drop(self, digest: str) -> bool:
        """Forget a blob or manifest; tell whether it was there."""
        held = [item for item in (self.blobs, self.manifests) if item.size(digest) is not None]
        for storage in held:
            storage.delete(digest)
        return bool(held)


class Spool:
    """The spool of one registry, in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._changing = threading.Lock()  # adding and sweeping; never held while data comes in
        self._swept = 0.0
        self.uploads = Uploads(root / "uploads")

    def of(self, name: str) -> Waiting:
        """Return what waits for the repository `name`, whose name was checked."""
        return Waiting(self._root / "repositories" / name)

    def names(self) -> list[str]:
        """Return the repositories that something waits for."""
        root = self._root / "repositories"
        found = (path.parent.relative_to(root).as_posix() for path in root.rglob("blobs"))
        return sorted({name.removesuffix("/manifests") for name in found})

    def keep(self, name: str, upload: Upload, digest: Digest) -> None:
        """Let an upload that is finished be a blob."""
        with self._changing:
            self.of(name).blobs.adopt(digest, upload.path)
        self.uploads.end(upload)

    def share(self, name: str, digest: Digest, stream: BinaryIO, *, trusted: bool) -> None:
        """Let a repository have content that is here already: linked, shared or copied.

        Raises DigestError for bytes that are not trusted and have another digest.
        """
        size = os.fstat(stream.fileno()).st_size

        def check(found: BinaryIO) -> Source:
            return io.BytesIO() if trusted else VerifiedReader(found, digest, size)

        with self._changing:
            blobs = self.of(name).blobs
            if size > LINK_ABOVE and blobs.link(digest, stream, size, check):
                return
            blobs.put(digest, VerifiedReader(stream, digest, size))

    def add_manifest(self, name: str, digest: Digest, source: Source) -> None:
        """Keep a manifest that no tag leads to."""
        with self._changing:
            self.of(name).manifests.put(digest, source)

    def check_space(self, size: int) -> None:
        """Raise LocalError where `size` bytes more would fill the disk."""
        folder = self._root
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if size + _SPARE > free:
            message = f"the disk has room for {max(free - _SPARE, 0)} bytes, and {size} are to come"
            raise LocalError(message, "free some space on the registry's disk")

    def sweep(self) -> None:
        """Remove what is older than a day, now and then."""
        now = time.time()
        if now - self._swept < _SWEEP_SECONDS:
            return
        self._swept = now
        self.uploads.sweep(now - KEPT_SECONDS)
        with self._changing:
            for folder, _, files in os.walk(self._root / "repositories", topdown=False):
                for file in files:
                    path = os.path.join(folder, file)
                    if os.lstat(path).st_ctime < now - KEPT_SECONDS:
                        os.unlink(path)
                with suppress(OSError):  # it is not empty
                    os.rmdir(folder)
