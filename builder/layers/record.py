"""Making listings: a layer is unpacked once, in memory, as far as the limits allow.

For gzip an index of restart points is made on the way (zran's, in the format
of the package indexed_gzip): with it one file is read by unpacking a few MiB
instead of all that is before it. zstd layers restart at their own frames,
plain tars anywhere.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

import indexed_gzip

from builder.errors import ContentError
from builder.layers.compression import CompressionError, Unpacked, kind_of, zstd_frames
from builder.layers.listing import MAX_ENTRIES, FileEntry, Listing, entry_of
from builder.layers.tarwalk import walk_all
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.storage.local import TEMPORARY, make_folder, open_inside, open_regular, write_durably

FILES = "files"  # below a collection's `blobs/`
INDEX_SUFFIX = ".gzidx"
MAX_UNPACKED = 16 << 30
MAX_RATIO = 200
_FREE = 64 << 20
_SPACING = 4 << 20  # unpacked bytes between restart points, more for large layers
_POINTS = 256  # restart points at most, each of 32 KiB before compression
_CHUNK = 1 << 20


def listing_path(folder: Path, digest: str) -> Path:
    """Return where the listing of a layer is kept in a collection's folder."""
    algorithm, _, encoded = digest.partition(":")
    return folder / "blobs" / FILES / algorithm / f"{encoded}.json"


def read_index(folder: Path, digest: str, label: str) -> bytes:
    """Return the index of restart points kept beside a layer's listing, b"" where there is none.

    `folder` is the collection's, `label` names it. Raises ContentError for
    what is, or is reached through, a link.
    """
    inner = listing_path(Path(), digest).with_suffix(INDEX_SUFFIX).as_posix()
    try:
        with open_inside(folder, inner, f"{label}/{inner}") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


def make_listing(path: Path, layer: Descriptor, label: str) -> tuple[Listing, bytes]:
    """Return the listing of a layer in a file, and its index of restart points or b"".

    Raises ContentError for a layer that is no tar.
    """
    limit = min(MAX_UNPACKED, max(_FREE, layer.size * MAX_RATIO))
    with open_regular(path, label) as file:
        kind = kind_of(file.peek(512)[:512])
        if not kind:
            raise ContentError.at(label, f"{layer.digest} is no tar, whatever its type says")
        if kind == "gzip":
            return _gzip(file, layer, label, limit)
        frames = _frames(path, limit) if kind == "zstd" else ()
        stream = cast("BinaryIO", Unpacked(file, limit + 4 * _CHUNK))
        entries, unpacked, cut = _entries(stream, label, limit)
    return Listing(layer.digest, kind, unpacked, entries, cut, frames), b""


def _frames(path: Path, limit: int) -> tuple[tuple[int, int], ...]:
    """Return where a zstd layer can be begun; nowhere but at its start when it is damaged."""
    try:
        return zstd_frames(path, limit)
    except CompressionError:
        return ()


def _gzip(file: BinaryIO, layer: Descriptor, label: str, limit: int) -> tuple[Listing, bytes]:
    spacing = max(_SPACING, layer.size * 4 // _POINTS)
    stream: Any = indexed_gzip.IndexedGzipFile(
        fileobj=file, spacing=spacing, readbuf_size=_CHUNK, drop_handles=False
    )
    with stream:
        entries, unpacked, cut = _entries(stream, label, limit)
        index = io.BytesIO()
        if unpacked > spacing:
            stream.export_index(fileobj=index)
    raw = index.getvalue()
    listing = Listing(layer.digest, "gzip", unpacked, entries, cut)
    return listing, zlib.compress(raw, 6) if raw else b""


def _entries(stream: BinaryIO, label: str, limit: int) -> tuple[tuple[FileEntry, ...], int, str]:
    """Return the entries of an unpacked tar, its length, and why it was cut short if it was."""
    reader = _Forward(stream, limit)
    found: list[FileEntry] = []
    cut = ""
    try:
        for name, member in walk_all(reader, label, limit=MAX_ENTRIES * 4):
            if len(found) == MAX_ENTRIES:
                cut = f"more than {MAX_ENTRIES} entries"
                break
            found.append(entry_of(_shown(name), member))
        while not cut and reader.read(_CHUNK):
            pass
    except (CompressionError, indexed_gzip.ZranError, zlib.error, EOFError) as error:
        if not found and not reader.over:
            raise ContentError.at(label, f"cannot be unpacked: {error}") from None
        cut = f"it unpacks to more than {limit} bytes" if reader.over else "its end is damaged"
    return tuple(found), reader.at, cut


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


class _Forward:
    """A stream that is only read forwards, and not for ever; see `tarwalk.Stream`."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.at = 0
        self.over = False

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, fewer only at the end."""
        data = b""
        while len(data) < count and (chunk := self._stream.read(count - len(data))):
            data += chunk
        self.at += len(data)
        if self.at > self._limit:
            self.over = True
            raise CompressionError("unpacks to more than is sensible")
        return data

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        end = self.at + count
        while self.at < end and self.read(min(_CHUNK, end - self.at)):
            pass


def record_listings(
    folder: Path,
    layers: Iterable[Descriptor],
    find: Callable[[Descriptor], Path | None],
    label: str,
) -> list[str]:
    """Keep a listing for every layer of a collection that has none; return their digests.

    `folder` is the collection's, `find` gives a layer's file or None where it
    lies elsewhere. Raises ContentError, LocalError.
    """
    made = []
    for layer in layers:
        path = listing_path(folder, layer.digest)
        if path.exists() or not mediatype.is_filesystem_layer(layer.media_type):
            continue
        if (file := find(layer)) is None:
            continue
        listing, index = make_listing(file, layer, label)
        make_folder(path.parent)
        if index:
            _write(path.with_suffix(INDEX_SUFFIX), index)
        _write(path, listing.to_bytes())
        made.append(str(layer.digest))
    return made


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name[:20]}")
    write_durably(temporary, path, io.BytesIO(data))
