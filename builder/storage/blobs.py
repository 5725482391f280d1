"""Blobs in a folder: `<root>/blobs/<algorithm>/<hex>`, as in an image layout.

A blob appears under its name only when it is whole and on the disk: temporary
name, fsync, rename, fsync of the folder. Where blobs are on their way to
another place they are whole, and it is that place that brings them to the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import BinaryIO

from builder.errors import ContentError, LocalError
from builder.storage.base import Source, Stored
from builder.storage.local import (
    ALGORITHMS,
    CHUNK,
    blob_path,
    make_folder,
    names_in,
    new_file,
    open_inside,
    open_regular,
    show,
    sweep_folder,
    sync_folder,
    unfinished,
    write_new,
)

_FICLONE = 0x40049409  # from linux/fs.h


class LocalStorage:
    """A folder of blobs. `label` names it in messages, as the user would.

    What is put where `durable` is false is whole, and may be lost in a power
    cut until its file and its folder are brought to the disk.
    """

    def __init__(self, root: Path, label: str = "", *, durable: bool = True) -> None:
        self._root = root
        self._label = label or str(root)
        self._durable = durable

    def path(self, digest: str) -> Path:
        """Return where the blob is or would be."""
        return Path(self.name(digest))

    def name(self, digest: str) -> str:
        """Return the same as text, for those that ask for very many."""
        return f"{self._root}/blobs/{digest.replace(':', '/', 1)}"

    def size(self, digest: str) -> int | None:
        """Return the size in bytes of a blob that is a regular file, else None."""
        try:
            found = os.lstat(self.name(digest))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def open(self, digest: str) -> BinaryIO:
        """Open the blob; raises FileNotFoundError, ContentError when it is a link or a pipe."""
        inner = blob_path(digest)
        return open_inside(self._root, inner, f"{self._label}/{inner}")

    def put(self, digest: str, source: Source) -> None:
        """Keep `source` under `digest`; see `Storage.put`."""
        with self._incoming(digest) as (temporary, final):
            write_new(temporary, final, source, durable=self._durable)

    def clone(
        self, digest: str, stream: BinaryIO, size: int, verified: Callable[[BinaryIO], Source]
    ) -> bool:
        """Keep the file that `stream` reads, without copying, where the file system can share it.

        `verified` makes of the clone, which nobody else writes to, the source
        that checks it. Tells whether it is kept; if not, nothing has happened.
        """
        if not _is_whole_file(stream, size):
            return False
        with (
            self._incoming(digest) as (temporary, final),
            os.fdopen(new_file(temporary), "r+b") as file,
        ):
            if not _share_blocks(stream.fileno(), file.fileno()):
                return False
            _drain(verified(file))
            show(file.fileno(), temporary, final, durable=self._durable)
        return True

    def link(
        self, digest: str, stream: BinaryIO, size: int, verified: Callable[[BinaryIO], Source]
    ) -> bool:
        """Keep the very file that `stream` reads, under one more name; as `clone` does.

        Not a file that only its owner may read: what keeps it may be for others.
        """
        if not _is_whole_file(stream, size) or not os.fstat(stream.fileno()).st_mode & stat.S_IROTH:
            return False
        with self._incoming(digest) as (temporary, final):
            if not _share_inode(stream.fileno(), temporary):
                return False
            _drain(verified(stream))
            show(stream.fileno(), temporary, final, durable=self._durable)
        return True

    def adopt(self, digest: str, file: Path) -> None:
        """Let a file that is whole, verified and on the disk be the blob: it is moved here."""
        with self._incoming(digest) as (temporary, final):
            try:
                file.replace(final)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with open_regular(file, str(file)) as stream:
                    write_new(temporary, final, stream, durable=self._durable)
            else:
                if self._durable:
                    sync_folder(final.parent)

    def check(self) -> None:
        """Raise ContentError where a link would lead what is written out of this storage."""
        for algorithm in ALGORITHMS:
            self._refuse_links(self._root / "blobs" / algorithm)

    @contextmanager
    def _incoming(self, digest: str) -> Iterator[tuple[Path, Path]]:
        """Give the name to make a blob under and the one that it gets when it is whole."""
        final = self.path(digest)
        try:
            self._refuse_links(final.parent)
            if self._durable:
                make_folder(final.parent)
            else:
                final.parent.mkdir(parents=True, exist_ok=True)
            with unfinished(final) as temporary:
                yield temporary, final
        except OSError as error:
            raise LocalError.of(error, f"{self._label}/{blob_path(digest)}") from error

    def _refuse_links(self, folder: Path) -> None:
        """Raise ContentError where a link would lead what is written out of this storage."""
        for path in (folder, folder.parent, self._root):
            if path.is_symlink():
                label = f"{self._label}/{path.relative_to(self._root)}".removesuffix("/.")
                raise ContentError.at(label, "is a symbolic link", "put the folder itself there")

    def delete(self, digest: str) -> None:
        """Remove the blob's file if there is one."""
        self.path(digest).unlink(missing_ok=True)

    def list(self) -> Iterator[Stored]:
        """Yield every blob, in byte order of its digest."""
        base = self._root / "blobs"
        for algorithm in ALGORITHMS:
            for encoded in sorted(names_in(base / algorithm)):
                digest = f"{algorithm}:{encoded}"
                size = self.size(digest)
                if size is not None and not encoded.startswith("."):
                    yield Stored(digest, size)

    def sweep(self) -> None:
        """Remove what killed runs left behind; call with the registry's lock held."""
        base = self._root / "blobs"
        for algorithm in names_in(base):
            sweep_folder(base / algorithm)


def _share_blocks(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # another disk, or a file system that cannot: then it is copied
        return False
    return True


def _share_inode(source: int, target: Path) -> bool:
    try:
        # By what is open: the name it had may be another file's by now. The descriptor of
        # a folder, which an absolute path has no use for, makes the call follow the link.
        os.link(f"/proc/self/fd/{source}", target, src_dir_fd=source, follow_symlinks=True)
    except OSError:  # another disk, too many links, or somebody else's file
        return False
    return True


def _is_whole_file(stream: BinaryIO, size: int) -> bool:
    """Tell whether a stream is a regular file of `size` bytes, read from its start."""
    if not isinstance(stream, BufferedReader) or not isinstance(stream.raw, FileIO):
        return False
    found = os.fstat(stream.fileno())
    return stat.S_ISREG(found.st_mode) and found.st_size == size and stream.tell() == 0


def _drain(source: Source) -> None:
    """Read a source to its end, so that it checks what it reads."""
    while source.read(CHUNK):
        pass
