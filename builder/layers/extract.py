"""One file out of a layer, by reading no more of the layer than that takes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import indexed_gzip

from builder.errors import ContentError
from builder.layers.compression import CompressionError, Unpacked
from builder.layers.listing import FileEntry, Listing

_CHUNK = 256 << 10


def read_file(
    listing: Listing, entry: FileEntry, index: bytes, layer: BinaryIO, label: str
) -> Iterator[bytes]:
    """Yield the bytes of one file of a layer.

    `layer` is seekable: a file, or Range requests; `index` is what was kept
    beside the listing. Raises ContentError naming `label` for an entry that
    is no file, and where the layer is not the one that was listed.
    """
    if entry.kind != "f":
        raise ContentError.at(label, f"{entry.path} is no regular file")
    left = entry.size
    try:
        stream = _from(listing, entry.offset, index, layer)
        while left:
            chunk = stream.read(min(left, _CHUNK))
            if not chunk:
                raise ContentError.at(label, f"{entry.path}: the layer ends before the file does")
            left -= len(chunk)
            yield chunk
    except (CompressionError, indexed_gzip.ZranError, zlib.error, EOFError) as error:
        message = f"{entry.path}: the layer is not what its listing says: {error}"
        raise ContentError.at(label, message) from None


def _from(listing: Listing, offset: int, index: bytes, layer: BinaryIO) -> BinaryIO:
    """Return the unpacked layer as a stream that begins at `offset`."""
    if listing.compression == "tar":
        layer.seek(offset)
        return layer
    if listing.compression == "gzip":
        stream: Any = indexed_gzip.IndexedGzipFile(
            fileobj=layer, readbuf_size=_CHUNK, drop_handles=False
        )
        if index:
            stream.import_index(fileobj=io.BytesIO(zlib.decompress(index)))
        stream.seek(offset)
        found: BinaryIO = stream
        return found
    packed, start = max(
        (frame for frame in ((0, 0), *listing.frames) if frame[1] <= offset),
        key=lambda item: item[1],
    )
    layer.seek(packed)
    unpacked = io.BufferedReader(Unpacked(layer, listing.unpacked + 1), _CHUNK)
    left = offset - start
    while left and (chunk := unpacked.read(min(left, _CHUNK))):
        left -= len(chunk)
    return unpacked
