"""What layers are compressed with, told by their first bytes and not by their name."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, cast

from builder.errors import BuilderError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PLAIN = "tar"
_MAGIC = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # the latter to be skipped
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
}
_HEAD = 16  # bytes that tell
_READ = 256 << 10
_SPACING = 1 << 20  # unpacked bytes between frames that are noted, at the least
_MEMORY = 128 << 20  # what a decompressor may take; 'xz -9' needs 65 MiB


class CompressionError(BuilderError):
    """Bytes that are not what their beginning says."""


def kind_of(head: bytes) -> str:
    """Return `gzip`, `zstd`, `xz`, `bzip2`, or `tar` for what is not compressed."""
    return next((kind for kind, magic in _MAGIC.items() if magic.match(head)), PLAIN)


def packed(data: bytes) -> bytes:
    """Return `data` as one frame of zstd, quickly: for what this machine keeps."""
    return zstd.compress(data, 1)


def unpacked(data: bytes) -> bytes:
    """Return what `packed` was given."""
    return zstd.decompress(data)


class Unpacked(io.RawIOBase):
    """The bytes inside a compressed stream; raises CompressionError for damage or too much.

    `limit` is the most bytes that are given out: what looks small can unpack
    to more than any disk holds. `frames` are the places, in bytes packed and
    unpacked, where reading can begin again, as far as it has come.
    """

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        super().__init__()
        self._stream = stream
        buffered: Any = (
            stream if hasattr(stream, "peek") else io.BufferedReader(cast("Any", stream))
        )
        self.kind = kind_of(buffered.peek(_HEAD)[:_HEAD])
        self.frames: list[tuple[int, int]] = []
        self._left = limit
        if self.kind == PLAIN:
            self._inner: Any = buffered
        else:
            self._inner = _Frames(buffered, _DECOMPRESSORS[self.kind], self.frames)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to a buffer's length."""
        try:
            chunk = self._inner.read(min(len(buffer), _READ))
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise CompressionError(f"is damaged {self.kind}: {error}") from None
        self._left -= len(chunk)
        if self._left < 0:
            raise CompressionError("unpacks to too many bytes")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Close the stream below."""
        self._stream.close()
        super().close()


class _Decompressor(Protocol):
    """What the decompressors of zstd, xz and bzip2 have in common; `_Gzip` makes zlib's alike."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """One member of a gzip file, its checksum included."""

    needs_input = True

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _Gzip,
    "zstd": zstd.ZstdDecompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY),
    "bzip2": bz2.BZ2Decompressor,
}
_DAMAGE = (EOFError, OSError, zlib.error, zstd.ZstdError, lzma.LZMAError)


class _Frames:
    """Frames of compressed bytes, one after the other; notes in `begun` where each begins."""

    def __init__(
        self, file: BinaryIO, make: Callable[[], _Decompressor], begun: list[tuple[int, int]]
    ) -> None:
        self._file = file
        self._make = make
        self._begun = begun
        self._frame: _Decompressor | None = None
        self._data = b""
        self._packed = self._unpacked = 0

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes, none only at the end; raises what the decompressor does."""
        while (frame := self._frame or self._begin()) is not None:
            made = frame.decompress(self._data, count)
            self._data = b""
            self._unpacked += len(made)
            if frame.eof:
                self._data, self._frame = frame.unused_data, None
            elif frame.needs_input and not made:
                self._data = self._more()
            if made:
                return made
        return b""

    def _begin(self) -> _Decompressor | None:
        """Begin a frame, if there is one more. Zeros between two are padding."""
        self._data = (self._data or self._next()).lstrip(b"\0")
        if not self._data:
            return None
        last = self._begun[-1][1] if self._begun else -_SPACING
        if self._unpacked - last >= _SPACING:
            self._begun.append((self._packed - len(self._data), self._unpacked))
        self._frame = self._make()
        return self._frame

    def _next(self) -> bytes:
        data = self._file.read(_READ)
        self._packed += len(data)
        return data

    def _more(self) -> bytes:
        if not (data := self._next()):
            raise EOFError("it ends in the middle")
        return data
