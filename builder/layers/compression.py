"""What layers are compressed with, told by their first bytes and not by their name."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from builder.errors import BuilderError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SKIPPABLE = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))
_HEAD = 512
_READ = 1 << 20


class CompressionError(BuilderError):
    """Bytes that are not what their beginning says."""


def kind_of(head: bytes) -> str:
    """Return `gzip`, `zstd`, `tar`, or an empty string for the first 512 bytes of a layer."""
    if head.startswith(GZIP):
        return "gzip"
    if head.startswith((ZSTD, *SKIPPABLE)):
        return "zstd"
    if not head or head[257:262] == b"ustar" or not any(head):
        return "tar"
    return ""


class Unpacked(io.RawIOBase):
    """The bytes inside a compressed stream; raises CompressionError for damage or too much.

    `limit` is the most bytes that are given out: what looks small can unpack
    to more than any disk holds.
    """

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        super().__init__()
        self._stream = stream
        buffered: Any = (
            stream if hasattr(stream, "peek") else io.BufferedReader(cast("Any", stream))
        )
        self.kind = kind_of(buffered.peek(_HEAD)[:_HEAD])
        self._left = limit
        if self.kind == "gzip":
            self._inner: Any = gzip.GzipFile(fileobj=buffered, mode="rb")
        elif self.kind == "zstd":
            self._inner = zstd.ZstdFile(buffered, mode="rb")
        else:
            self._inner = buffered

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to a buffer's length."""
        try:
            chunk = self._inner.read(min(len(buffer), 256 << 10))
        except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
            raise CompressionError(f"is damaged {self.kind}: {error}") from None
        self._left -= len(chunk)
        if self._left < 0:
            raise CompressionError("unpacks to more than is sensible")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Close the stream below."""
        self._stream.close()
        super().close()


def zstd_frames(path: Path, limit: int) -> tuple[tuple[int, int], ...]:
    """Return where the frames of a zstd file begin: packed and unpacked offsets.

    A file of one frame has none to tell. Raises CompressionError.
    """
    frames: list[tuple[int, int]] = []
    packed = unpacked = 0
    with path.open("rb") as file:
        rest = b""
        while rest or (rest := file.read(_READ)):
            if frames and frames[-1][0] == packed:
                break
            frames.append((packed, unpacked))
            used, made, rest = _frame(file, rest, limit - unpacked)
            packed, unpacked = packed + used, unpacked + made
    return tuple(frames) if len(frames) > 1 else ()


def _frame(file: BinaryIO, data: bytes, limit: int) -> tuple[int, int, bytes]:
    """Unpack one frame that begins with `data`; return bytes used, bytes made, and what follows."""
    decompressor = zstd.ZstdDecompressor()
    used = made = 0
    try:
        while not decompressor.eof:
            out = decompressor.decompress(data, _READ)
            used += len(data)
            made += len(out)
            if made > limit:
                raise CompressionError("unpacks to more than is sensible")
            if decompressor.eof:
                break
            data = file.read(_READ) if decompressor.needs_input else b""
            if not data and decompressor.needs_input:
                raise CompressionError("is damaged zstd: it ends in the middle")
    except zstd.ZstdError as error:
        raise CompressionError(f"is damaged zstd: {error}") from None
    rest = decompressor.unused_data
    return used - len(rest), made, rest
