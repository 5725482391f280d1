"""What a layer holds: its files, and where in the unpacked layer each of them begins.

A listing is one compact JSON document a layer, the same bytes for the same
layer. Paths are text from strangers: they are shown, and never used as paths
on a disk.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from builder.errors import ContentError
from builder.layers.tarwalk import Member
from builder.oci.strictjson import StrictJSONError, loads

VERSION = 1
MAX_ENTRIES = 200_000
MAX_JSON = 32 << 20
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_KINDS = {
    tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h", tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p",
}  # fmt: skip


class FileEntry(NamedTuple):
    """One path of a layer; `offset` is where its bytes begin in the unpacked layer.

    `kind` is `f`ile, `d`irectory, `l`ink, `h`ard link, `c`haracter or `b`lock
    device, `p`ipe, `w`hiteout (this path is gone) or `o`paque (all that lower
    layers have in this folder is gone). `target` is where a link leads.
    """

    path: str
    kind: str
    size: int
    mode: int
    offset: int
    target: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """All that a layer holds; `cut` says why it is not all, or is empty.

    `compression` is `gzip`, `zstd` or `tar`; `unpacked` is the length of the
    tar in bytes. `frames` are pairs of offsets, packed and unpacked, at which
    unpacking can begin in a zstd layer.
    """

    digest: str
    compression: str
    unpacked: int
    entries: tuple[FileEntry, ...]
    cut: str = ""
    frames: tuple[tuple[int, int], ...] = ()

    def to_bytes(self) -> bytes:
        """Return the JSON that is kept and published."""
        document: dict[str, Any] = {
            "version": VERSION,
            "digest": self.digest,
            "compression": self.compression,
            "unpacked": self.unpacked,
            "cut": self.cut or None,
            "fields": list(FileEntry._fields),
            "entries": [list(entry) for entry in self.entries],
        }
        if self.frames:
            document["frames"] = [list(frame) for frame in self.frames]
        text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
        return text.encode() + b"\n"

    def find(self, path: str) -> FileEntry | None:
        """Return the file of a path; with or without a slash before it."""
        wanted = path.strip("/")
        return next((item for item in self.entries if item.path == wanted), None)


def entry_of(name: str, member: Member) -> FileEntry:
    """Return a tar's member as an entry."""
    path = name.strip("/")
    folder, _, base = path.rpartition("/")
    if base == _OPAQUE:
        return FileEntry(folder, "o", 0, 0, 0)
    if base.startswith(_WHITEOUT):
        gone = base.removeprefix(_WHITEOUT)
        return FileEntry(f"{folder}/{gone}" if folder else gone, "w", 0, 0, 0)
    kind = _KINDS.get(member.kind, "f")
    return FileEntry(path, kind, member.size, member.mode & 0o7777, member.offset, member.target)


def parse_listing(raw: bytes, label: str) -> Listing:
    """Return a listing that somebody committed; raises ContentError for what is none."""
    try:
        document = loads(raw, what="the listing", limit=MAX_JSON)
        if document["version"] != VERSION:
            raise ContentError.at(label, "is of a version that is not known here")
        entries = tuple(FileEntry(*_checked(item)) for item in document["entries"])
        frames = tuple((int(a), int(b)) for a, b in document.get("frames", ()))
        return Listing(
            str(document["digest"]), str(document["compression"]), int(document["unpacked"]),
            entries, str(document["cut"] or ""), frames,
        )  # fmt: skip
    except StrictJSONError as error:
        raise ContentError.at(label, error.message) from None
    except (KeyError, TypeError, ValueError):
        hint = "remove it; 'builder add --files' makes it again"
        raise ContentError.at(label, "is no listing of a layer's files", hint) from None


def _checked(item: Any) -> list[Any]:
    path, kind, size, mode, offset, target = item
    if not (isinstance(path, str) and isinstance(kind, str) and isinstance(target, str)):
        raise TypeError(item)
    if not all(type(number) is int and number >= 0 for number in (size, mode, offset)):
        raise TypeError(item)
    return [path, kind, size, mode, offset, target]


def merged(listings: Iterable[Listing]) -> dict[str, tuple[int, FileEntry]]:
    """Return what an image's files are: each path with its layer's number and its entry.

    Source: image-spec `layer.md`, "Whiteouts".
    """
    found: dict[str, tuple[int, FileEntry]] = {}
    for number, listing in enumerate(listings):
        for entry in listing.entries:
            if entry.kind in "wo":
                _remove(found, entry)
        for entry in listing.entries:
            if entry.kind not in "wo":
                found[entry.path] = (number, entry)
    return dict(sorted(found.items()))


def _remove(found: dict[str, tuple[int, FileEntry]], entry: FileEntry) -> None:
    inside = f"{entry.path}/" if entry.path else ""
    for path in [path for path in found if path.startswith(inside)]:
        del found[path]
    if entry.kind == "w":
        found.pop(entry.path, None)
