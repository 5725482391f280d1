"""Uploads: blobs on their way in, each a file, so that one that was cut off can go on.

A file's name says whose upload it is and nothing else is written down: after
a restart the size of the file is where the client goes on. Bytes are hashed
as they are written; only those of an earlier run are read again.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from builder.oci.digest import Digest
from builder.storage.local import LINK_ABOVE, make_folder, new_file, open_regular

MAX_OPEN = 1000  # uploads that nobody has ended
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TakenOver(Exception):  # noqa: N818 - told to a client that has gone
    """Another request goes on with this upload."""


class TooMany(Exception):  # noqa: N818 - told to a client
    """More uploads are open than are allowed."""


class Upload:
    """One upload, of which `size` bytes are here.

    The request that came last writes to it: a client whose connection hangs
    comes back by another.
    """

    def __init__(self, identifier: str, path: Path, algorithm: str = "sha256") -> None:
        self.id = identifier
        self.path = path
        self.size = os.lstat(path).st_size
        self._hash = None if self.size else hashlib.new(algorithm)
        self._lock = threading.Lock()
        self._turn = 0

    def take_turn(self) -> int:
        """Return what the next calls have to show."""
        with self._lock:
            self._turn += 1
            return self._turn

    def append(self, turn: int, data: bytes) -> None:
        """Write the next bytes; raises TakenOver, OSError. What failed is as if never written."""
        with self._lock:
            self._check(turn)
            self._write(data)
            self.size += len(data)
            if self._hash is not None:
                self._hash.update(data)

    def cut(self, turn: int, size: int) -> None:
        """Forget all but the first `size` bytes; raises TakenOver, OSError."""
        with self._lock:
            self._check(turn)
            if self.size != size:
                os.truncate(self.path, size)
                self.size, self._hash = size, None

    def finish(self, turn: int, algorithm: str) -> Digest:
        """Bring what nobody reads again to the disk; return the digest.

        Raises TakenOver, OSError.
        """
        with self._lock:
            self._check(turn)
            descriptor = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.ftruncate(descriptor, self.size)
                if self.size > LINK_ABOVE:  # what is smaller is copied, and hashed then
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            return Digest(f"{algorithm}:{self._hashed(algorithm)}")

    def _hashed(self, algorithm: str) -> str:
        if self._hash is not None and self._hash.name == algorithm:
            return self._hash.hexdigest()
        with open_regular(self.path, "the upload") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()

    def _check(self, turn: int) -> None:
        if turn != self._turn:
            raise TakenOver

    def _write(self, data: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            view, at = memoryview(data), self.size
            while view:
                count = os.pwrite(descriptor, view, at)
                view, at = view[count:], at + count
        finally:
            os.close(descriptor)


class Uploads:
    """The open uploads of all repositories, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, algorithm: str = "sha256") -> Upload:
        """Begin an upload to the repository `name`; raises TooMany, OSError."""
        identifier = str(uuid4())
        path = self._path(name, identifier)
        with self._lock:
            make_folder(self._folder)
            if len(os.listdir(self._folder)) >= MAX_OPEN:
                raise TooMany
            os.close(new_file(path))
            upload = self._open[path.name] = Upload(identifier, path, algorithm)
        return upload

    def find(self, name: str, identifier: str) -> Upload | None:
        """Return an upload of that repository, also one of an earlier run."""
        if _ID.fullmatch(identifier) is None:
            return None
        path = self._path(name, identifier)
        with self._lock:
            if path.name not in self._open:
                with suppress(FileNotFoundError):
                    self._open[path.name] = Upload(identifier, path)
            return self._open.get(path.name)

    def end(self, upload: Upload) -> None:
        """Forget an upload, with what is here of it."""
        upload.take_turn()
        with self._lock:
            upload.path.unlink(missing_ok=True)
            self._open.pop(upload.path.name, None)

    def sweep(self, before: float) -> None:
        """Forget the uploads that nothing was written to since a time."""
        with self._lock:
            names = os.listdir(self._folder) if self._folder.is_dir() else []
            for name in names:
                path = self._folder / name
                with suppress(FileNotFoundError):
                    if os.lstat(path).st_ctime < before:
                        path.unlink()
                        self._open.pop(name, None)

    def _path(self, name: str, identifier: str) -> Path:
        mark = hashlib.sha256(name.encode()).hexdigest()[:32]
        return self._folder / f"{identifier}.{mark}"
