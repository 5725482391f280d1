"""Walking the headers of a tar: which members it has, and where their bytes are.

Not by `tarfile`, which believes a header's size before it allocates and
follows links by itself; only its parser of one 512-byte header is used.
Source: POSIX `pax`, "ustar Interchange Format" and "pax Extended Header".
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from builder.errors import ContentError

BLOCK = 512
MAX_MEMBERS = 50_000
MAX_EXTENDED = 64 << 10  # bytes of an extended header

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)
_EMPTY = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


class Member(NamedTuple):
    """Where a member's bytes are; `target` is the member a link leads to, empty for files.

    `kind` is the tar's own letter of its type, `mode` its permissions.
    """

    offset: int
    size: int
    target: str = ""
    fault: str = ""
    kind: bytes = b"0"
    mode: int = 0


class Stream(Protocol):
    """A tar that is read forwards; `at` is the position in bytes."""

    at: int

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, fewer only at the end."""

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; raises ContentError when there are fewer."""


def cut_short(label: str) -> ContentError:
    """Return the error for a tar that ends before its last member does."""
    return ContentError.at(label, "the tar is cut short", "was it copied to the end?")


def walk(stream: Stream, label: str, *, limit: int = MAX_MEMBERS) -> Iterator[tuple[str, Member]]:
    """Yield name and place of every file and link; raises ContentError naming `label`."""
    for name, member in walk_all(stream, label, limit=limit):
        if member.kind != tarfile.DIRTYPE:
            yield name, member


def walk_all(stream: Stream, label: str, *, limit: int) -> Iterator[tuple[str, Member]]:
    """Yield every member, folders too, as it stands; raises ContentError naming `label`."""
    extended: dict[str, str] = {}
    for number in range(limit * 2):
        header = stream.read(BLOCK)
        if not header.strip(b"\0"):
            if number == 0 and len(header) < BLOCK:
                break
            return
        entry = _parse(header, label)
        if entry.type in _EXTENDED:
            if entry.size > MAX_EXTENDED:
                raise ContentError.at(label, "the tar has an extended header over 64 KiB")
            data = stream.read(_whole(entry.size))[: entry.size]
            if len(data) < entry.size:
                raise cut_short(label)
            extended |= _EXTENDED[entry.type](data)
            continue
        yield _member(entry, extended, stream, label)
        extended = {}
    raise ContentError.at(label, f"is not a tar archive, or has more than {limit} members")


def _parse(header: bytes, label: str) -> tarfile.TarInfo:
    try:
        entry = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise ContentError.at(label, f"is not a tar archive: {error}") from None
    if entry.size < 0:
        raise ContentError.at(label, "the tar has a member of negative size")
    return entry


def _member(
    entry: tarfile.TarInfo, extended: dict[str, str], stream: Stream, label: str
) -> tuple[str, Member]:
    size = _number(extended.get("size", ""), entry.size, label)
    name = extended.get("path", entry.name).removeprefix("./")
    if entry.type in _LINKS:
        target = extended.get("linkpath", entry.linkname)
        if entry.type == tarfile.SYMTYPE:
            target = posixpath.join(posixpath.dirname(name), target)
        return name, Member(0, 0, posixpath.normpath(target), "", entry.type, entry.mode)
    if entry.type == tarfile.DIRTYPE:
        return name, Member(0, 0, "", "", entry.type, entry.mode)
    fault = "" if entry.type in _FILES else "is not a regular file in the archive"
    if any(key.startswith("GNU.sparse") for key in extended):
        fault = "is a sparse file, which is not read here"
    start = stream.at
    if entry.type not in _EMPTY:
        stream.skip(_whole(size))
    return name, Member(start, size, "", fault, entry.type, entry.mode)


def _whole(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _number(text: str, default: int, label: str) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ContentError.at(label, "the tar has a member whose size is no number")
    return int(text)


def _pax(data: bytes) -> dict[str, str]:
    """Return the records of a pax header that matter; source: POSIX `pax`, "length key=value"."""
    found: dict[str, str] = {}
    while data:
        length, space, _ = data.partition(b" ")
        if not length.isdigit() or len(length) > 8 or not space or not 0 < int(length) <= len(data):
            break
        record, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
        key, _, value = record.partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
    return found


def _long_name(data: bytes) -> dict[str, str]:
    return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}


def _long_link(data: bytes) -> dict[str, str]:
    return {"linkpath": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}


def _global(_: bytes) -> dict[str, str]:
    return {}


_EXTENDED: dict[bytes, Callable[[bytes], dict[str, str]]] = {
    tarfile.XHDTYPE: _pax,
    tarfile.SOLARIS_XHDTYPE: _pax,
    tarfile.XGLTYPE: _global,
    tarfile.GNUTYPE_LONGNAME: _long_name,
    tarfile.GNUTYPE_LONGLINK: _long_link,
}
