"""Folders as tars that are the same bytes on any machine and day.

Sorted by the bytes of their paths, no times, no owners, modes 0644 and 0755,
one gzip member with an empty header. What deflate makes of the bytes is
zlib's choice, and there are zlibs that choose differently: so this machine's
is asked first whether it makes what it should.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from builder.errors import ContentError, LocalError, Problem
from builder.oci.digest import Digest
from builder.storage.local import open_regular

LEVEL = 6
_CHUNK = 1 << 20
_PROBE = "75c9b4dbd738d9f4d9e83a0e637bb56cc43bc841216441d7c4b836266f1265b3"
_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate, no flags, no time, unknown system
MAX_FILES = 200_000


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """A file or folder to pack: `path` with slashes, sizes in bytes."""

    path: str
    size: int = 0
    is_folder: bool = False
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed layer: digests and length of the compressed bytes, digest of the tar."""

    digest: Digest
    size: int
    diff_id: Digest


def list_folder(folder: Path, label: str) -> tuple[list[Item], list[str]]:
    """Return what is in a folder, in byte order, and the hidden names that were left out.

    Raises ContentError with everything that is neither a file nor a folder,
    or whose name cannot travel.
    """
    items: list[Item] = []
    hidden: list[str] = []
    problems: list[Problem] = []
    for entry, path in _entries(folder, "", hidden):
        mode = entry.stat(follow_symlinks=False).st_mode
        if fault := _name_fault(entry.name):
            problems.append(Problem(f"{label}/{path}", message=fault, hint="rename it"))
        elif stat.S_ISDIR(mode):
            items.append(Item(path, is_folder=True))
        elif stat.S_ISREG(mode):
            size = entry.stat(follow_symlinks=False).st_size
            items.append(Item(path, size, executable=bool(mode & 0o100)))
        else:
            what = "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"
            hint = "put the file itself there"
            problems.append(Problem(f"{label}/{path}", message=f"is {what}", hint=hint))
        if len(items) > MAX_FILES:
            raise ContentError.at(label, f"holds more than {MAX_FILES} files")
    if problems:
        raise ContentError(problems)
    return sorted(items, key=lambda item: item.path.encode()), sorted(hidden)


def _entries(folder: Path, inner: str, hidden: list[str]) -> Iterator[tuple[os.DirEntry[str], str]]:
    with os.scandir(folder / inner) as entries:
        found = list(entries)
    for entry in found:
        path = f"{inner}/{entry.name}" if inner else entry.name
        if is_hidden(entry.name):
            hidden.append(path)
            continue
        yield entry, path
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(folder, path, hidden)


def is_hidden(name: str) -> bool:
    """Tell whether a name is left out of what is packed: hidden, or an operating system's."""
    litter = name.startswith(".") or name in ("Thumbs.db", "desktop.ini")
    return litter and name != ".well-known"


def _name_fault(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if not name.isprintable() or "\\" in name:
        return "its name has characters that are not portable"
    return ""


def pack(
    folder: Path, items: Sequence[Item], out: BinaryIO, label: str, prefix: str = ""
) -> Packed:
    """Write the items of a folder to `out` as a gzip-compressed tar; `prefix` goes before paths.

    Raises ContentError for a file that changes meanwhile, LocalError where
    zlib compresses in another way.
    """
    _check_zlib()
    writer = _Gzip(out)
    sink = cast("BinaryIO", writer)  # a tar that is written forwards needs no more of a file
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for item in items:
            info = tarfile.TarInfo(f"{prefix}{item.path}")
            info.mode = 0o755 if item.is_folder or item.executable else 0o644
            if item.is_folder:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
                continue
            info.size = item.size
            with open_regular(folder / item.path, f"{label}/{item.path}") as stream:
                if os.fstat(stream.fileno()).st_size != item.size:
                    raise ContentError.at(f"{label}/{item.path}", "changed while it was read")
                archive.addfile(info, stream)
    return writer.finish()


class _Gzip:
    """One gzip member, hashed inside and outside."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, 8)
        self._inside, self._outside = hashlib.sha256(), hashlib.sha256()
        self._crc = self._length = self._size = 0
        self._put(_HEADER)

    def write(self, data: bytes) -> int:
        """Compress some of the tar."""
        self._inside.update(data)
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)
        self._put(self._deflate.compress(data))
        return len(data)

    def finish(self) -> Packed:
        """Write the end."""
        self._put(self._deflate.flush())
        self._put(
            self._crc.to_bytes(4, "little") + (self._length & 0xFFFFFFFF).to_bytes(4, "little")
        )
        return Packed(
            Digest(f"sha256:{self._outside.hexdigest()}"),
            self._size,
            Digest(f"sha256:{self._inside.hexdigest()}"),
        )

    def _put(self, data: bytes) -> None:
        self._outside.update(data)
        self._size += len(data)
        self._out.write(data)


@cache
def _check_zlib() -> None:
    """Raise LocalError unless this Python's zlib makes the bytes that all others make."""
    if probe() != _PROBE:
        message = (
            "this Python's zlib compresses differently: what it packs would have other digests"
        )
        hint = "use a Python that is linked with the classic zlib"
        raise LocalError(f"{message} (zlib {zlib.ZLIB_RUNTIME_VERSION})", hint)


def probe() -> str:
    """Return the digest of what zlib makes of 400 kB that are partly like themselves."""
    words = [
        hashlib.sha256(bytes([number])).hexdigest()[: 3 + number % 11] for number in range(256)
    ]
    order = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(1600))
    text = " ".join(words[byte] for byte in order).encode() + order
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, 8)
    return hashlib.sha256(squeeze.compress(text) + squeeze.flush()).hexdigest()
