r"""What a layer holds: its files, and where in the unpacked layer each of them begins.

A listing is one JSON document a layer, an entry a line, the same bytes for
the same layer. It is written and read line by line, because a layer can have
a million files. Paths are text from strangers: they are shown, and never used
as paths on a disk. A name that is no UTF-8 is shown with `\xNN` for each such
byte, and backslashes before what looks like that are doubled: two names are
never one text.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quoted
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from builder.errors import ContentError, Problem
from builder.layers.tarwalk import MAX_NAME, Member
from builder.oci.strictjson import StrictJSONError, loads
from builder.storage.local import open_inside

FILES = "files"  # below a collection's `blobs/`
VERSION = 2
MAX_ENTRIES = 2_000_000
MAX_BYTES = 256 << 20
_MAX_LINE = 32 << 20
_MAX_NUMBER = 2**63 - 1
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_KINDS = {
    tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h", tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p",
}  # fmt: skip
_LOOKS_ESCAPED = re.compile("\\\\+(?=x[89a-f]|[\udc80-\udcff])")
_BYTE = re.compile("[\udc80-\udcff]")
_HINT = "remove it; 'builder add --files' makes it again"


class FileEntry(NamedTuple):
    """One path of a layer; `offset` is where its bytes begin in the unpacked layer.

    `kind` is `f`ile, `d`irectory, `l`ink, `h`ard link, `c`haracter or `b`lock
    device, `p`ipe, `w`hiteout (this path is gone) or `o`paque (all that lower
    layers have in this folder is gone). `target` is where a link leads: as
    written, or for hard links the path in the layer. `pieces`: see `Member`.
    """

    path: str
    kind: str
    size: int
    mode: int
    offset: int
    target: str = ""
    pieces: tuple[int, ...] | None = None

    def to_line(self) -> bytes:
        """Return the entry as a line of a listing."""
        path, target = _quoted(self.path), _quoted(self.target)
        line = f'[{path},"{self.kind}",{self.size},{self.mode},{self.offset},{target}'
        if self.pieces is not None:
            line += f",[{','.join(map(str, self.pieces))}]"
        return f"{line}]\n".encode()


def as_text(name: bytes) -> str:
    """Return a name as text that is its alone, see above."""
    text = name.decode("utf-8", "surrogateescape")
    if text.isascii() and "\\" not in text:
        return text
    text = _LOOKS_ESCAPED.sub(r"\g<0>\g<0>", text)
    return _BYTE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", text)


def as_path(name: bytes) -> str:
    """Return a name as a path below the root, which `..` never leaves."""
    return posixpath.normpath(f"/{as_text(name)}").lstrip("/")


def entry_of(member: Member) -> FileEntry | None:
    """Return a tar's member as an entry; None for the root, and for what names nothing.

    Source: image-spec `layer.md`, "Whiteouts".
    """
    path = as_path(member.name)
    folder, slash, base = path.rpartition("/")
    if base == _OPAQUE:
        return FileEntry(folder, "o", 0, 0, 0)
    if base.startswith(_WHITEOUT):
        gone = base.removeprefix(_WHITEOUT)
        return None if gone in ("", ".", "..") else FileEntry(folder + slash + gone, "w", 0, 0, 0)
    kind = _KINDS.get(member.kind, "f")
    target = as_path(member.link) if kind == "h" else as_text(member.link) if kind == "l" else ""
    entry = FileEntry(
        path, kind, member.size, member.mode & 0o7777, member.offset, target, member.pieces
    )
    return entry if path else None


class Facts(NamedTuple):
    """What a listing says of the whole layer; `cut` says why it is not all, or is empty.

    `compression` is `tar` for none; `unpacked` is how many bytes of the tar
    were read. `frames` are pairs of offsets, packed and unpacked, at which
    unpacking can begin.
    """

    compression: str
    unpacked: int
    cut: str = ""
    frames: tuple[tuple[int, int], ...] = ()


def head_line(digest: str) -> bytes:
    """Return the line before the entries."""
    document = {"version": VERSION, "digest": digest, "fields": FileEntry._fields, "entries": []}
    return json.dumps(document, separators=(",", ":")).encode()[:-2] + b"\n"


def tail_line(facts: Facts) -> bytes:
    """Return the line after the entries."""
    document = facts._asdict() | {"cut": facts.cut or None}
    if not facts.frames:
        del document["frames"]
    return b"]," + json.dumps(document, separators=(",", ":")).encode()[1:] + b"\n"


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing in a collection's folder, every line of which was found to be sound.

    `size` and `sha256` are its own; `count` is the number of its entries.
    """

    folder: Path
    inner: str
    label: str
    digest: str
    size: int
    sha256: str
    count: int
    facts: Facts

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.inner

    def entries(self) -> Iterator[FileEntry]:
        """Yield the entries, in the layer's order; raises ContentError when it has changed."""
        try:
            with open_inside(self.folder, self.inner, self.label) as stream:
                reader = _Lines(stream, self.label)
                yield from reader.entries()
                if reader.total.hexdigest() != self.sha256:
                    raise ContentError.at(self.label, "changed meanwhile", "run it again")
        except FileNotFoundError:
            raise ContentError.at(self.label, "was removed meanwhile", "run it again") from None


def listing_path(digest: str) -> str:
    """Return where the listing of a layer is kept in a collection's folder."""
    return f"blobs/{FILES}/{digest.replace(':', '/', 1)}.json"


def read_listing(folder: Path, digest: str, label: str) -> Listing | None:
    """Return the listing of a layer in a collection's folder; None for none.

    `label` names the folder. Raises ContentError for what is no listing of
    that layer, and for a link; as a warning for one of an older version.
    """
    inner = listing_path(digest)
    label = f"{label}/{inner}"
    try:
        stream = open_inside(folder, inner, label)
    except FileNotFoundError:
        return None
    with stream:
        if stream.peek(16).startswith(b'{"version":1,'):
            hint = "'builder add --files' makes it again"
            message = "was made by an older version, and is not read"
            raise ContentError([Problem(label, message=message, hint=hint, warning=True)])
        reader = _Lines(stream, label)
        count = sum(1 for _ in reader.entries())
        if reader.digest != digest:
            raise ContentError.at(label, f"is the listing of {reader.digest}")
        size = stream.tell()
        if stream.read(1):
            raise ContentError.at(label, "has data after its end", _HINT)
    return Listing(
        folder, inner, label, digest, size, reader.total.hexdigest(), count, reader.facts
    )


class _Lines:
    """Reads a listing; `digest` is known after the first entry, `facts` after the last."""

    def __init__(self, stream: BinaryIO, label: str) -> None:
        self._stream = stream
        self._label = label
        self.total = hashlib.sha256()
        self.digest = ""
        self.facts = Facts("", 0)

    def entries(self) -> Iterator[FileEntry]:
        """Yield the entries; raises ContentError for what is not as it was written."""
        try:
            head = loads(self._line() + b"]}", what="the listing")
            if head["version"] != VERSION:
                raise ContentError.at(self._label, "is of a version that is not known here", _HINT)
            self.digest = str(head["digest"])
            first = True
            while not (line := self._line()).startswith(b"]"):
                yield _checked(json.loads((line if first else _after(b",", line)).decode()))
                first = False
            tail = loads(b"{" + _after(b"],", line), what="the listing")
            frames = tuple((int(a), int(b)) for a, b in tail.get("frames", ()))
            self.facts = Facts(
                str(tail["compression"]), int(tail["unpacked"]), str(tail["cut"] or ""), frames
            )
        except StrictJSONError as error:
            raise ContentError.at(self._label, error.message, _HINT) from None
        except (KeyError, TypeError, ValueError, RecursionError):
            message = "is not a listing of a layer's files"
            raise ContentError.at(self._label, message, _HINT) from None

    def _line(self) -> bytes:
        line = self._stream.readline(_MAX_LINE)
        self.total.update(line)
        if not line.endswith(b"\n"):
            raise ValueError(line)
        return line


def _after(start: bytes, line: bytes) -> bytes:
    if not line.startswith(start):
        raise ValueError(line)
    return line[len(start) :]


def _checked(item: Any) -> FileEntry:
    """Return an entry that somebody committed; raises TypeError or ValueError for what is none."""
    path, kind, size, mode, offset, target, *rest = item
    pieces = tuple(rest.pop()) if rest else None
    if rest or type(path) is not str or type(target) is not str:
        raise TypeError(item)
    if max(len(path), len(target)) > 4 * MAX_NAME:
        raise ValueError(item)
    if not path.isascii() or not target.isascii():
        (path + target).encode()
    if kind not in ("f", "d", "l", "h", "c", "b", "p", "w", "o"):
        raise ValueError(item)
    for number in (size, mode, offset, *(pieces or ())):
        if type(number) is not int or not 0 <= number <= _MAX_NUMBER:
            raise TypeError(item)
    if pieces and not _fit(pieces, size):
        raise ValueError(item)
    return FileEntry(path, kind, size, mode, offset, target, pieces)


def _fit(pieces: tuple[int, ...], size: int) -> bool:
    end = 0
    for place, length in zip(pieces[::2], pieces[1::2], strict=True):
        if place < end or place + length > size:
            return False
        end = place + length
    return True
