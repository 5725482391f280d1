"""Reading members of a tar by exact name; nothing is ever extracted.

A compressed tar is first decompressed to an unnamed temporary file, up to the
end of the tar and never past the limits.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from builder.errors import ContentError, LocalError
from builder.layers.compression import CompressionError, Unpacked, kind_of
from builder.layers.tarwalk import Forward, Member, cut_short, walk
from builder.storage.local import open_regular

_HEAD = 512  # bytes that tell how a file is compressed
_CHUNK = 1 << 20
_FREE_RATIO = 256 << 20  # what any archive may decompress to
_MAX_RATIO = 200  # and beyond that, bytes for each compressed byte


class Archive:
    """The members of one tar, by name; `label` is what the user typed."""

    def __init__(self, file: BinaryIO, members: Iterable[tuple[str, Member]], label: str) -> None:
        self.label = label
        self._file = file
        self._members: dict[str, list[Member]] = {}
        for name, member in members:
            self._members.setdefault(name, []).append(member)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> BinaryIO:
        """Open a member; a link is followed once, inside the archive.

        Raises FileNotFoundError when there is none of that name, ContentError
        when there are two that differ, or it is no file.
        """
        member = self._member(name)
        if member.target:
            if member.target.startswith(("/", "../")) or member.target == "..":
                raise ContentError.at(self.label, f"{name} is a link out of the archive")
            member = self._member(member.target)
            if member.target:
                raise ContentError.at(self.label, f"{name} is a link to another link")
        if member.fault:
            raise ContentError.at(self.label, f"{name} {member.fault}")
        return self._window(member)

    def names(self) -> tuple[str, ...]:
        """Return the names of all files and links."""
        return tuple(self._members)

    def read(self, name: str, limit: int) -> bytes:
        """Return a small member's bytes; raises ContentError when it is missing or too large."""
        try:
            with self.open(name) as stream:
                raw = stream.read(limit + 1)
        except FileNotFoundError:
            raise ContentError.at(self.label, f"{name} is missing from the archive") from None
        if len(raw) > limit:
            raise ContentError.at(self.label, f"{name} is over the limit of {limit} bytes")
        return raw

    def close(self) -> None:
        """Close the file; streams that were opened end."""
        self._file.close()

    def _member(self, name: str) -> Member:
        """Return a member; what stands there twice, as some tools write it, must be the same."""
        if name not in self._members:
            raise FileNotFoundError(name)
        first, *others = self._members[name]
        if others and not all(self._is_same(first, other) for other in others):
            raise ContentError.at(self.label, f"{name} is in the archive twice, with other bytes")
        self._members[name] = [first]
        return first

    def _is_same(self, one: Member, other: Member) -> bool:
        if (one.size, one.target, one.fault) != (other.size, other.target, other.fault):
            return False
        with self._window(one) as left, self._window(other) as right:
            while chunk := left.read(_CHUNK):
                if chunk != right.read(_CHUNK):
                    return False
        return True

    def _window(self, member: Member) -> BinaryIO:
        return io.BufferedReader(Window(self._file.fileno(), member.offset, member.size))


class Window(io.RawIOBase):
    """A stretch of an open file, by its descriptor, with a position of its own."""

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._start = self._at = offset
        self._end = offset + size

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that this can be read again from a place."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to `offset` from the stretch's start, the position or the end."""
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at, os.SEEK_END: self._end}
        self._at = max(self._start, min(base[whence] + offset, self._end))
        return self._at - self._start

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into `buffer`; return how many bytes that were."""
        count = min(len(buffer), self._end - self._at)
        chunk = os.pread(self._descriptor, count, self._at)
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)


def open_archive(path: str, spool: Path) -> Archive:
    """Open the tar at `path`, compressed or not, and index its members.

    A compressed one is decompressed into the folder `spool`. Raises
    ContentError naming `path`: not a tar, cut short, over a limit.
    """
    try:
        file = open_regular(Path(path), path)
    except FileNotFoundError:
        raise ContentError.at(path, "does not exist") from None
    try:
        if kind_of(file.peek(_HEAD)[:_HEAD]) not in ("", "tar"):
            with file:
                return _decompressed(file, path, spool)
        return Archive(file, walk(_Plain(file, path), path), path)
    except BaseException:
        file.close()
        raise


def unpacked_limit(size: int) -> int:
    """Return how many bytes `size` compressed ones may decompress to."""
    return max(_FREE_RATIO, size * _MAX_RATIO)


@contextmanager
def spooled(spool: Path, label: str) -> Iterator[BinaryIO]:
    """Give an unnamed file in the folder `spool`, open after the block unless that fails.

    A damaged stream becomes a ContentError naming `label`, a full disk a LocalError.
    """
    file: BinaryIO | None = None
    try:
        spool.mkdir(parents=True, exist_ok=True)
        file = cast("BinaryIO", tempfile.TemporaryFile(dir=spool))  # noqa: SIM115 - outlives the block
        yield file
        file.flush()
    except BaseException as error:
        if file is not None:
            _abandon(file)
        if isinstance(error, CompressionError):
            raise ContentError.at(label, error.message, "was it copied to the end?") from None
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise LocalError.of(error, spool) from error
        raise


def _abandon(file: BinaryIO) -> None:
    """Close a file whose unwritten bytes no longer matter, on a full disk too."""
    with suppress(OSError):
        file.close()


def _decompressed(packed: BinaryIO, path: str, spool: Path) -> Archive:
    limit = unpacked_limit(os.fstat(packed.fileno()).st_size)
    with spooled(spool, path) as file:
        # Its own limit is further off: `_Spooled` says what to do instead.
        stream = Unpacked(packed, limit + 4 * _CHUNK)
        return Archive(file, walk(_Spooled(stream, file, path, limit), path), path)


class _Plain:
    """A tar read where it lies."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self._file = file
        self._label = label
        self._size = os.fstat(file.fileno()).st_size
        self.at = 0

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, fewer only at the end."""
        self._file.seek(self.at)
        data = self._file.read(count)
        self.at += len(data)
        return data

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; raises ContentError when there are fewer."""
        self.at += count
        if self.at > self._size:
            raise cut_short(self._label)


class _Spooled(Forward):
    """A tar that is decompressed to a file while it is walked."""

    def __init__(self, stream: Unpacked, file: BinaryIO, label: str, limit: int) -> None:
        super().__init__(stream, label)
        self._file = file
        self._limit = limit

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, fewer only at the end."""
        data = super().read(count)
        self._file.write(data)
        if self.at > self._limit:
            message = f"decompresses to more than {self._limit} bytes"
            raise ContentError.at(self._label, message, "give the tar without compression")
        return data
