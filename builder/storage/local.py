"""Blobs in a folder: `<root>/blobs/<algorithm>/<hex>`, as in an image layout.

A blob appears under its name only when it is whole and on the disk: temporary
name, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from builder.errors import ContentError, LocalError
from builder.storage.base import Source, Stored

CHUNK = 1 << 20
_TEMPORARY = ".incoming-"


class LocalStorage:
    """A folder of blobs. `label` names it in messages, as the user would."""

    def __init__(self, root: Path, label: str = "") -> None:
        self._root = root
        self._label = label or str(root)

    def path(self, digest: str) -> Path:
        """Return where the blob is or would be."""
        algorithm, _, encoded = digest.partition(":")
        return self._root / "blobs" / algorithm / encoded

    def size(self, digest: str) -> int | None:
        """Return the size in bytes of a blob that is a regular file, else None."""
        try:
            found = os.lstat(self.path(digest))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def open(self, digest: str) -> BinaryIO:
        """Open the blob; raises FileNotFoundError, ContentError when it is a link or a pipe."""
        return open_regular(self.path(digest), f"{self._label}/{blob_path(digest)}")

    def put(self, digest: str, source: Source) -> None:
        """Keep `source` under `digest`; see `Storage.put`."""
        final = self.path(digest)
        temporary = final.parent / f"{_TEMPORARY}{os.getpid()}-{final.name[:16]}"
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            write_durably(temporary, final, source)
        except OSError as error:
            raise LocalError(f"{self._label}/{blob_path(digest)}: {error.strerror}") from error

    def delete(self, digest: str) -> None:
        """Remove the blob's file if there is one."""
        self.path(digest).unlink(missing_ok=True)

    def list(self) -> Iterator[Stored]:
        """Yield every blob, in byte order of its digest."""
        base = self._root / "blobs"
        for algorithm in sorted(_listdir(base)):
            for encoded in sorted(_listdir(base / algorithm)):
                digest = f"{algorithm}:{encoded}"
                size = self.size(digest)
                if size is not None and not encoded.startswith("."):
                    yield Stored(digest, size)

    def sweep(self) -> None:
        """Remove what killed runs left behind; call with the registry's lock held."""
        base = self._root / "blobs"
        for algorithm in _listdir(base):
            for name in _listdir(base / algorithm):
                if name.startswith(_TEMPORARY):
                    (base / algorithm / name).unlink(missing_ok=True)


def blob_path(digest: str) -> str:
    """Return `blobs/<algorithm>/<hex>` for a digest."""
    return "blobs/" + digest.replace(":", "/", 1)


def open_regular(path: Path, label: str) -> BufferedReader:
    """Open a regular file for reading, never following a link nor waiting on a pipe.

    Raises FileNotFoundError when it is not there, ContentError naming `label`
    when it is something else than a regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ContentError.at(
                label, "is a symbolic link", "put the file itself there"
            ) from None
        if error.errno in (errno.ENXIO, errno.EISDIR):
            raise ContentError.at(label, "is not a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ContentError.at(label, "is not a regular file", "put the file itself there")
    return os.fdopen(descriptor, "rb")


def write_durably(temporary: Path, final: Path, source: Source) -> None:
    """Write `source` to `final` by way of `temporary`, so that it survives a power cut.

    Nothing is left behind when `source.read` or the disk fails.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o644), "wb") as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
        sync_folder(final.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listdir(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
