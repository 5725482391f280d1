"""Files on this machine: opened without following links, written whole, kept through power cuts."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path

from builder.errors import ContentError, LocalError
from builder.storage.base import Source

CHUNK = 1 << 20
ALGORITHMS = ("sha256", "sha512")  # what else is in `blobs/` is no blob
LINK_ABOVE = 1 << 20  # bytes; smaller files are copied, so that nobody shares an inode with git
TEMPORARY = ".incoming-"  # how the names of unfinished files and folders start


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
    for name in names_in(folder):
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


@contextmanager
def unfinished(final: Path) -> Iterator[Path]:
    """Give the hidden name of what is to become `final`; a file that keeps it is removed."""
    temporary = hidden_beside(final)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_durably(final: Path, content: bytes | Source) -> None:
    """Write `content` to `final` by way of a hidden file, so that it survives a power cut.

    Nothing is left behind when reading it or the disk fails.
    """
    source = BytesIO(content) if isinstance(content, bytes) else content
    with unfinished(final) as temporary:
        write_new(temporary, final, source, durable=True)


def write_whole(final: Path, source: Source) -> None:
    """Write as `write_durably` does; `sync_files` brings it to the disk later."""
    with unfinished(final) as temporary:
        write_new(temporary, final, source, durable=False)


def write_new(temporary: Path, final: Path, source: Source, *, durable: bool) -> None:
    """Write `source` to a file called `temporary`, which becomes `final` when it is whole."""
    with os.fdopen(new_file(temporary), "wb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
        file.flush()
        show(file.fileno(), temporary, final, durable=durable)


def show(number: int, temporary: Path, final: Path, *, durable: bool) -> None:
    """Give a whole file, open as `number`, its name; it survives a power cut if `durable`."""
    if durable or os.fstat(number).st_size > LINK_ABOVE:  # the disk works while others are read
        os.fsync(number)
    temporary.replace(final)
    if durable:
        sync_folder(final.parent)


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


def names_in(folder: Path) -> list[str]:
    """Return the names in `folder`, none where it is no folder."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
