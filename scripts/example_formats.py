"""The example registry's formats: tar, gzip and PNG with the same bytes everywhere.

Compressed data is stored, not squeezed, so that no compression library's
version shows in it.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from pathlib import Path


def stored(data: bytes) -> bytes:
    """Return `data` as a raw deflate stream that stores it (RFC 1951, section 3.2.4)."""
    chunks = [data[at : at + 0xFFFF] for at in range(0, len(data), 0xFFFF)] or [b""]
    last = len(chunks) - 1
    return b"".join(
        struct.pack("<BHH", number == last, len(chunk), len(chunk) ^ 0xFFFF) + chunk
        for number, chunk in enumerate(chunks)
    )


def gzipped(data: bytes) -> bytes:
    """Return a gzip member without name and time (RFC 1952)."""
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + stored(data) + struct.pack("<II", zlib.crc32(data), len(data))


def packed(files: dict[str, tuple[bytes, int]]) -> bytes:
    """Return a tar of files, given as path to content and mode, with the folders above them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folders: set[str] = set()
        for path, (content, mode) in sorted(files.items()):
            for folder in reversed(Path(path).parents[:-1]):
                if str(folder) not in folders:
                    folders.add(str(folder))
                    entry = tarfile.TarInfo(f"{folder}/")
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue().rstrip(b"\0").ljust(_whole_records(buffer), b"\0")


def _whole_records(buffer: io.BytesIO) -> int:
    """Return the length of a tar with the two zero blocks that end it and no more."""
    content = len(buffer.getvalue().rstrip(b"\0"))
    return -(-content // 512) * 512 + 1024


def picture() -> bytes:
    """Return a PNG of 96 by 96 pixels: a container with a speech bubble."""
    rows = []
    for y in range(96):
        row = bytearray(96)
        for x in range(96):
            bubble = 12 <= x < 84 and 10 <= y < 42
            tail = 42 <= y < 54 and 24 <= x < 36 - (y - 42)
            box = 18 <= x < 78 and 58 <= y < 86
            words = y in (20, 21, 26, 27, 32, 33) and 22 <= x < 76 - (y % 3) * 8
            ribs = box and (x - 18) % 10 < 2 and 62 <= y < 82
            row[x] = 2 if words or ribs else 1 if bubble or tail else 3 if box else 0
        rows.append(b"\0" + bytes(_two_bits(row)))
    raw = b"".join(rows)
    palette = bytes.fromhex("ffffff 1f6f8b ffffff 99a8b2")
    image = b"\x78\x01" + stored(raw) + struct.pack(">I", zlib.adler32(raw))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 96, 2, 3, 0, 0, 0))
        + _chunk(b"PLTE", palette)
        + _chunk(b"tRNS", b"\0")
        + _chunk(b"IDAT", image)
        + _chunk(b"IEND", b"")
    )


def _two_bits(row: bytearray) -> list[int]:
    quads = (row[at : at + 4] for at in range(0, len(row), 4))
    return [a << 6 | b << 4 | c << 2 | d for a, b, c, d in quads]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
