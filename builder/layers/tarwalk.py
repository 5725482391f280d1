"""Walking a tar: which members it has, and where their bytes are.

Not by `tarfile`, which believes a header's size before it allocates, follows
links by itself and cannot say where the pieces of a sparse file lie. Names
are bytes here: no tar promises that they are text.
Source: POSIX `pax`, "ustar Interchange Format" and "pax Extended Header";
GNU tar's manual, "Basic Tar Format" and "Storing Sparse Files".
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader, RawIOBase
from struct import unpack
from typing import NamedTuple, Protocol

from builder.errors import ContentError

BLOCK = 512
MAX_MEMBERS = 50_000
MAX_EXTENDED = 16 << 20  # bytes of an extended header
MAX_NAME = 4096  # bytes; Linux takes no more
MAX_PIECES = 1 << 19  # of one sparse file
_CHUNK = 256 << 10
_MAX_SIZE = 2**63 - 1
_EMPTY_BLOCK = bytes(BLOCK)

_FOLDERS = (tarfile.DIRTYPE, b"D")  # D: GNU's, with a list of names in it
_LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)
_EMPTY = (*_LINKS, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG = {tarfile.GNUTYPE_LONGNAME: b"path", tarfile.GNUTYPE_LONGLINK: b"linkpath"}
_IGNORED = (tarfile.XGLTYPE, b"V")  # headers of the whole archive, and its label
_SPARSE = b"GNU.sparse."


class TarError(ContentError):
    """A tar that is damaged, or none."""


class Member(NamedTuple):
    """One member: its bytes begin at `offset`.

    `kind` is the tar's own letter of its type, `size` what a file has when it
    is unpacked, in bytes, `mode` its permissions, `link` where a link leads.
    `pieces` is set for sparse files: place in the file and length of each
    stretch that is in the tar, one after the other; all else is zeros.
    """

    name: bytes
    kind: bytes
    size: int
    mode: int
    offset: int
    link: bytes = b""
    pieces: tuple[int, ...] | None = None

    @property
    def text(self) -> str:
        """The name as text; bytes that are none become what `os.fsdecode` makes of them."""
        return self.name.decode("utf-8", "surrogateescape").removeprefix("./")

    @property
    def target(self) -> str:
        """The member that a link leads to, seen from the top of the tar; empty for others."""
        if self.kind not in _LINKS:
            return ""
        target = self.link.decode("utf-8", "surrogateescape")
        if self.kind == tarfile.SYMTYPE:
            target = posixpath.join(posixpath.dirname(self.text), target)
        return posixpath.normpath(target)

    @property
    def fault(self) -> str:
        """Why its bytes cannot be had as they lie there, or an empty text."""
        if self.pieces is not None:
            return "is a sparse file, which is not read here"
        is_plain = self.kind in _FILES or self.kind in _LINKS
        return "" if is_plain else "is not a regular file in the archive"


class Stream(Protocol):
    """A tar that is read forwards; `at` is the position in bytes."""

    at: int

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, fewer only at the end."""

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; raises `cut_short` when there are fewer."""


class Forward:
    """A `Stream` that is read forwards out of whatever can only be read so."""

    def __init__(self, stream: RawIOBase, label: str) -> None:
        self._stream = BufferedReader(stream, _CHUNK)
        self._label = label
        self.at = 0

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, fewer only at the end."""
        data = self._stream.read(count)
        self.at += len(data)
        return data

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; raises TarError when there are fewer."""
        end = self.at + count
        while self.at < end:
            if not self.read(min(_CHUNK, end - self.at)):
                raise cut_short(self._label)


def cut_short(label: str) -> TarError:
    """Return the error for a tar that ends before its last member does."""
    return TarError.at(label, "the tar is cut short", "was it copied to the end?")


def walk(stream: Stream, label: str, *, limit: int = MAX_MEMBERS) -> Iterator[tuple[str, Member]]:
    """Yield name and place of every file and link; raises TarError naming `label`."""
    for number, member in enumerate(members(stream, label)):
        if number == limit:
            raise TarError.at(label, f"the tar has more than {limit} members")
        if member.kind not in _FOLDERS:
            yield member.text, member


def members(stream: Stream, label: str) -> Iterator[Member]:
    """Yield every member, folders too, as it stands.

    An archive may end without its two empty blocks, or before its first
    member. Raises TarError naming `label`, also for what is no tar.
    """
    reader = _Reader(stream, label)
    while (member := reader.member()) is not None:
        yield member
        reader.pass_by()


class _Reader:
    """Reads headers; `stream` stands before one, or at the bytes of the last member."""

    def __init__(self, stream: Stream, label: str) -> None:
        self._stream = stream
        self._label = label
        self._end = stream.at

    def pass_by(self) -> None:
        """Go on to the next header, wherever in the member's bytes the stream is."""
        self._stream.skip(self._end - self._stream.at)

    def member(self) -> Member | None:
        """Return the next member, None at the end."""
        pax: list[tuple[bytes, bytes]] = []
        gnu: dict[bytes, bytes] = {}
        size = 0
        while header := self._stream.read(BLOCK):
            if len(header) < BLOCK:
                raise cut_short(self._label)
            if header == _EMPTY_BLOCK:
                break
            kind, stored = header[156:157], self._header_size(header)
            if kind not in _PAX and kind not in _LONG and kind not in _IGNORED:
                return self._member(header, kind, stored, pax, gnu)
            if (size := size + stored) > MAX_EXTENDED:
                raise self._fault(f"has extended headers of over {MAX_EXTENDED} bytes")
            data = self._exactly(_whole(stored))[:stored]
            if kind in _LONG:
                gnu[_LONG[kind]] = _text(data)
            elif kind in _PAX:
                pax = list(self._pax(data))
        if pax or gnu:
            raise cut_short(self._label)
        return None

    def _member(
        self,
        header: bytes,
        kind: bytes,
        stored: int,
        pax: Sequence[tuple[bytes, bytes]],
        gnu: Mapping[bytes, bytes],
    ) -> Member:
        """Return a member; what its headers say twice is taken as clients, written in Go, do.

        Of pax headers the last one counts, of its keys the last values unless
        empty, and GNU's long names before them.
        """
        said = {key: value for key, value in {**dict(pax), **gnu}.items() if value}
        name = said.get(b"path", _name(header))
        link = said.get(b"linkpath", _text(header[157:257]))
        if kind == tarfile.AREGTYPE and name.endswith(b"/"):
            kind = tarfile.DIRTYPE
        stored = self._number(said.get(b"size", b"%d" % stored))
        if kind in _EMPTY:
            stored = 0
        begin = self._stream.at
        self._end = begin + _whole(stored)
        size, pieces = stored, None
        if kind == tarfile.GNUTYPE_SPARSE:
            size, pieces = self._sparse_gnu(header)
            self._end += self._stream.at - begin
            begin = self._stream.at
        elif kind in _FILES and any(key.startswith(_SPARSE) for key in said):
            size, pieces = self._sparse_pax(said, pax, stored)
            name = said.get(_SPARSE + b"name", name)
            stored -= self._stream.at - begin
            begin = self._stream.at
        if pieces is not None:
            pieces = self._checked(pieces, size, stored)
        if not name or b"\0" in name + link or max(len(name), len(link)) > MAX_NAME:
            raise self._fault("has a name that no disk can have")
        if kind in _FOLDERS:
            kind, size = tarfile.DIRTYPE, 0
        offset = 0 if kind in _EMPTY else begin
        return Member(name, kind, size, _octal(header[100:108]) or 0, offset, link, pieces)

    def _header_size(self, header: bytes) -> int:
        """Return the size that a header tells, which must be a header."""
        if not is_header(header):
            if self._stream.at == BLOCK:
                raise TarError.at(self._label, "is not a tar archive")
            raise self._fault("has a damaged header")
        return self._size(header[124:136])

    def _size(self, field: bytes) -> int:
        """Return a number of a header: octal, or for large ones binary."""
        if field[0] == 0x80:
            number: int | None = int.from_bytes(field[1:], "big")
        else:
            number = _octal(field)
        if number is None or number > _MAX_SIZE:
            raise self._fault("has a member whose size is not a number")
        return number

    def _number(self, text: bytes) -> int:
        if not text.isdigit() or len(text) > 19 or int(text) > _MAX_SIZE:
            raise self._fault("has a member whose size is not a number")
        return int(text)

    def _pax(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the records of a pax header that matter: a length, a key and a value each."""
        at = 0
        while at < len(data):
            space = data.find(b" ", at, at + 20)
            end = at + self._number(data[at:space]) if space > at else 0
            key, equals, value = data[space + 1 : end - 1].partition(b"=")
            if end > len(data) or data[end - 1 : end] != b"\n" or not equals:
                raise self._fault("has a damaged extended header")
            if key in (b"path", b"linkpath", b"size") or key.startswith(_SPARSE):
                yield key, value
            at = end

    def _sparse_gnu(self, header: bytes) -> tuple[int, tuple[int, ...]]:
        """Return the size and pieces of a file in GNU's old format: in as many blocks as needed."""
        size = self._size(header[483:495])
        pieces: list[int] = []
        block, start, more = header, 386, 482
        while True:
            for at in range(start, more - 23, 24):
                if not block[at]:
                    break
                pieces += (self._size(block[at : at + 12]), self._size(block[at + 12 : at + 24]))
            if not block[more] or len(pieces) > 2 * MAX_PIECES:
                return size, tuple(pieces)
            block, start, more = self._exactly(BLOCK), 0, 504

    def _sparse_pax(
        self, said: dict[bytes, bytes], pax: Sequence[tuple[bytes, bytes]], stored: int
    ) -> tuple[int, tuple[int, ...] | None]:
        """Return the size and pieces of a file in one of the formats 0.0, 0.1 and 1.0."""
        version = said.get(_SPARSE + b"major", b"0") + b"." + said.get(_SPARSE + b"minor", b"0")
        size = said.get(_SPARSE + b"realsize") or said.get(_SPARSE + b"size") or b"%d" % stored
        if version == b"1.0":
            texts = self._sparse_map(stored)
        elif version not in (b"0.0", b"0.1"):
            raise self._fault("has a sparse file in a format that is not known here")
        elif _SPARSE + b"map" in said:
            texts = said[_SPARSE + b"map"].split(b",")
        else:
            keys = (_SPARSE + b"offset", _SPARSE + b"numbytes")
            texts = [value for key, value in pax if key in keys]
            if not texts and _SPARSE + b"numblocks" not in said and version == b"0.0":
                return stored, None
        return self._number(size), tuple(map(self._number, texts))

    def _sparse_map(self, stored: int) -> list[bytes]:
        """Read the map before the bytes of a file: a count, and so many pairs, a number a line."""
        data, lines, wanted = bytearray(), 0, 1
        while lines < wanted:
            if stored < BLOCK or len(data) > MAX_EXTENDED:
                raise self._fault("has a sparse file with a damaged map")
            block = self._exactly(BLOCK)
            data += block
            stored -= BLOCK
            if not lines and b"\n" in block:
                pairs = self._number(bytes(data.partition(b"\n")[0]))
                wanted += 2 * min(pairs, MAX_PIECES + 1)
            lines += block.count(b"\n")
        return bytes(data).split(b"\n")[1:wanted]

    def _checked(self, pieces: tuple[int, ...], size: int, stored: int) -> tuple[int, ...]:
        """Return the pieces that have bytes, all of which must lie inside the file, in order."""
        if len(pieces) > 2 * MAX_PIECES:
            raise self._fault(f"has a sparse file of more than {MAX_PIECES} pieces")
        end = total = 0
        kept: list[int] = []
        for place, length in zip(pieces[::2], pieces[1::2], strict=False):
            if place < end or place + length > size:
                break
            end, total = place + length, total + length
            kept += (place, length) if length else ()
        else:
            if total == stored and len(pieces) % 2 == 0:
                return tuple(kept)
        raise self._fault("has a sparse file with a damaged map")

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise cut_short(self._label)
        return data

    def _fault(self, message: str) -> TarError:
        return TarError.at(self._label, f"the tar {message}")


def is_header(block: bytes) -> bool:
    """Tell whether the 512 bytes before a file can be its header."""
    said = _octal(block[148:156])
    total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    return len(block) == BLOCK and (said == total or said == _signed_sum(block))


def _whole(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _name(header: bytes) -> bytes:
    """Return the name in a header: GNU's has other things where POSIX has a prefix."""
    name = _text(header[:100])
    if header[257:263] != b"ustar\0":
        return name
    prefix = _text(header[345 : 476 if header[508:] == b"tar\0" else 500])
    return prefix + b"/" + name if prefix else name


def _signed_sum(header: bytes) -> int:
    """Return the checksum as some old programs made it."""
    return sum(unpack("512b", header[:148] + b" " * 8 + header[156:]))


def _octal(field: bytes) -> int | None:
    """Return a number of a header, None for what is none; an empty field is 0."""
    text = _text(field).strip()
    try:
        return int(text or b"0", 8) if text.isdigit() or not text else None
    except ValueError:
        return None
