"""Blobs in a folder: `<root>/blobs/<algorithm>/<hex>`, as in an image layout.

A blob appears under its name only when it is whole and on the disk: temporary
name, fsync, rename, fsync of the folder. Where blobs are on their way to
another place they are whole, and it is that place that brings them to the disk.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO

from builder.errors import ContentError, LocalError
from builder.storage.base import Source, Stored

CHUNK = 1 << 20
# How a file that is whole gets its name: its descriptor, the temporary name, the final one.
Show = Callable[[int, Path, Path], None]
ALGORITHMS = ("sha256", "sha512")  # what else is in `blobs/` is no blob
_FICLONE = 0x40049409  # from linux/fs.h
LINK_ABOVE = 1 << 20  # bytes; smaller files are copied, so that nobody shares an inode with git
TEMPORARY = ".incoming-"  # how the names of unfinished files and folders start


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
        self._put(digest, lambda new, final: _write(new, final, source, self._show))

    def clone(
        self, digest: str, stream: BinaryIO, size: int, verified: Callable[[BinaryIO], Source]
    ) -> bool:
        """Keep the file that `stream` reads, without copying, where the file system can share it.

        `verified` makes of the clone, which nobody else writes to, the source
        that checks it. Tells whether it is kept; if not, nothing has happened.
        """
        if not _is_whole_file(stream, size):
            return False

        def clone(temporary: Path, final: Path) -> bool:
            return _clone(temporary, final, stream, verified, self._show)

        return self._put(digest, clone)

    def link(
        self, digest: str, stream: BinaryIO, size: int, verified: Callable[[BinaryIO], Source]
    ) -> bool:
        """Keep the very file that `stream` reads, under one more name; as `clone` does.

        Not a file that only its owner may read: what keeps it may be for others.
        """
        if not _is_whole_file(stream, size) or not os.fstat(stream.fileno()).st_mode & stat.S_IROTH:
            return False

        def link(temporary: Path, final: Path) -> bool:
            return _link(temporary, final, stream, verified, self._show)

        return self._put(digest, link)

    def adopt(self, digest: str, file: Path) -> None:
        """Let a file that is whole, verified and on the disk be the blob: it is moved here."""

        def move(temporary: Path, final: Path) -> bool:
            try:
                file.replace(final)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with open_regular(file, str(file)) as stream:
                    return _write(temporary, final, stream, self._show)
            if self._durable:
                sync_folder(final.parent)
            return True

        self._put(digest, move)

    def check(self) -> None:
        """Raise ContentError where a link would lead what is written out of this storage."""
        for algorithm in ALGORITHMS:
            self._refuse_links(self._root / "blobs" / algorithm)

    def _put(self, digest: str, write: Callable[[Path, Path], bool]) -> bool:
        final = self.path(digest)
        temporary = final.parent / f"{TEMPORARY}{os.getpid()}-{final.name[:16]}"
        try:
            self._refuse_links(final.parent)
            if self._durable:
                make_folder(final.parent)
            else:
                final.parent.mkdir(parents=True, exist_ok=True)
            return write(temporary, final)
        except OSError as error:
            raise LocalError.of(error, f"{self._label}/{blob_path(digest)}") from error

    @property
    def _show(self) -> Show:
        return _settle if self._durable else _rename

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
            for encoded in sorted(_listdir(base / algorithm)):
                digest = f"{algorithm}:{encoded}"
                size = self.size(digest)
                if size is not None and not encoded.startswith("."):
                    yield Stored(digest, size)

    def sweep(self) -> None:
        """Remove what killed runs left behind; call with the registry's lock held."""
        base = self._root / "blobs"
        for algorithm in _listdir(base):
            sweep_folder(base / algorithm)


def blob_path(digest: str) -> str:
    """Return `blobs/<algorithm>/<hex>` for a digest."""
    return "blobs/" + digest.replace(":", "/", 1)


def open_regular(path: str | Path, label: str) -> BufferedReader:
    """Open a regular file for reading, never following a link nor waiting on a pipe.

    Raises FileNotFoundError when it is not there, ContentError naming `label`
    when it is something else than a regular file, LocalError when the machine
    refuses.
    """
    return _opened(os.fspath(path), label, None)


def open_inside(root: Path, inner: str, label: str) -> BufferedReader:
    """Open the regular file `inner` below `root`, where no folder on the way is a link.

    Raises as `open_regular` does.
    """
    *folders, name = inner.split("/")
    at = _folder(os.fspath(root), label, None, os.O_DIRECTORY)
    try:
        for folder in folders:
            deeper = _folder(folder, label, at, os.O_DIRECTORY | os.O_NOFOLLOW)
            os.close(at)
            at = deeper
        return _opened(name, label, at)
    finally:
        os.close(at)


def _folder(path: str, label: str, at: int | None, flags: int) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=at)
    except OSError as error:
        raise _refused(error, path, label, at) from None


def _opened(path: str, label: str, at: int | None) -> BufferedReader:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, dir_fd=at)
    except OSError as error:
        raise _refused(error, path, label, at) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ContentError.at(label, "is not a regular file", "put the file itself there")
    return BufferedReader(FileIO(descriptor))  # `fdopen` asks whether it is a terminal


def _refused(error: OSError, path: str, label: str, at: int | None) -> Exception:
    """Return what to raise when `path` (seen from the folder `at`) does not open."""
    try:
        is_link = stat.S_ISLNK(os.stat(path, dir_fd=at, follow_symlinks=False).st_mode)
    except OSError:
        is_link = False
    if is_link and error.errno in (errno.ELOOP, errno.ENOTDIR):
        hint = "put the file itself there"
        return ContentError.at(label, "is a symbolic link", hint)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return FileNotFoundError(error.errno, error.strerror, label)
    if error.errno in (errno.ENXIO, errno.EISDIR):
        return ContentError.at(label, "is not a regular file", "put the file itself there")
    return LocalError.of(error, label)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that their names survive a power cut."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sweep_folder(folder: Path) -> None:
    """Remove the unfinished files and folders that killed runs left in `folder`."""
    for name in _listdir(folder):
        if not name.startswith(TEMPORARY):
            continue
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def hidden_beside(path: Path) -> Path:
    """Return the name of what is to become `path`, which nobody takes for it."""
    return path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}"[:255])


def write_durably(final: Path, content: bytes | Source) -> None:
    """Write `content` to `final` by way of a hidden file, so that it survives a power cut.

    Nothing is left behind when reading it or the disk fails.
    """
    source = BytesIO(content) if isinstance(content, bytes) else content
    _write(hidden_beside(final), final, source, _settle)


def write_whole(final: Path, source: Source) -> None:
    """Write as `write_durably` does; `sync_files` brings it to the disk later."""
    _write(hidden_beside(final), final, source, _rename)


def _settle(number: int, temporary: Path, final: Path) -> None:
    os.fsync(number)
    temporary.replace(final)
    sync_folder(final.parent)


def _rename(number: int, temporary: Path, final: Path) -> None:
    if os.fstat(number).st_size > LINK_ABOVE:  # the disk works while others are still read
        os.fsync(number)
    temporary.replace(final)


def _write(temporary: Path, final: Path, source: Source, show: Show) -> bool:
    try:
        with os.fdopen(new_file(temporary), "wb") as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)
            file.flush()
            show(file.fileno(), temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _clone(
    temporary: Path,
    final: Path,
    stream: BinaryIO,
    verified: Callable[[BinaryIO], Source],
    show: Show,
) -> bool:
    """Do as `_write` does by sharing blocks; tell whether the file system can."""
    try:
        with os.fdopen(new_file(temporary), "r+b") as file:
            if not _share_blocks(stream.fileno(), file.fileno()):
                return False
            source = verified(file)
            while source.read(CHUNK):
                pass
            show(file.fileno(), temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _link(
    temporary: Path,
    final: Path,
    stream: BinaryIO,
    verified: Callable[[BinaryIO], Source],
    show: Show,
) -> bool:
    """Do as `_write` does with one more name of the file; tell whether it can have one."""
    try:
        try:
            # By what is open: the name it had may be another file's by now. The descriptor of
            # a folder, which an absolute path has no use for, makes the call follow the link.
            number = stream.fileno()
            os.link(f"/proc/self/fd/{number}", temporary, src_dir_fd=number, follow_symlinks=True)
        except OSError:  # another disk, too many links, or somebody else's file
            return False
        source = verified(stream)
        while source.read(CHUNK):
            pass
        show(stream.fileno(), temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def changed_at(found: os.stat_result) -> int:
    """Return when a file changed last, in nanoseconds.

    That of its inode cannot be set back. But large files are linked to further
    names, which changes their inode and not them: there it is their own.
    """
    return found.st_mtime_ns if found.st_size > LINK_ABOVE else found.st_ctime_ns


def new_file(path: str | Path, at: int | None = None) -> int:
    """Open a file that was not there a moment ago, for writing; return its descriptor.

    What stands at `path`, seen from the open folder `at`, was left by a
    killed run or planted: it is removed, never followed and never written to.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileNotFoundError):
        os.unlink(path, dir_fd=at)
    return os.open(path, flags, 0o644, dir_fd=at)


def _share_blocks(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # another disk, or a file system that cannot: then it is copied
        return False
    return True


def _is_whole_file(stream: BinaryIO, size: int) -> bool:
    """Tell whether a stream is a regular file of `size` bytes, read from its start."""
    if not isinstance(stream, BufferedReader) or not isinstance(stream.raw, FileIO):
        return False
    found = os.fstat(stream.fileno())
    return stat.S_ISREG(found.st_mode) and found.st_size == size and stream.tell() == 0


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(folder: Path) -> None:
    """Make what all files below `folder` hold survive a power cut, if not their names.

    One after the other without a write between them: the first makes the disk
    do most of the work for all.
    """
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with open_regular(path, str(path)) as stream:
                os.fsync(stream.fileno())


def sync_names(folder: Path) -> None:
    """Make the names of all that is below `folder` survive a power cut."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            sync_folder(path)


def sync_disk(folder: Path) -> None:
    """Make all that was written to the file system of `folder`, by anybody, survive a power cut."""
    synchronise = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if synchronise is None:  # not Linux: the whole machine then
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if synchronise(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def _listdir(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
