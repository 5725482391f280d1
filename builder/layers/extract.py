"""One file out of a layer, by reading no more of the layer than that takes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import indexed_gzip

from builder.errors import ContentError
from builder.layers.compression import PLAIN, CompressionError, Unpacked
from builder.layers.listing import Facts, FileEntry
from builder.layers.restart import from_index
from builder.layers.tarwalk import BLOCK, is_header

_CHUNK = 256 << 10


def read_file(
    facts: Facts, entry: FileEntry, index: bytes, layer: BinaryIO, label: str
) -> Iterator[bytes]:
    """Yield the bytes of one file of a layer, the holes of a sparse one as zeros.

    `layer` is seekable: a file, or Range requests; `facts` and `entry` are of
    its listing, `index` is what was kept beside that. Raises ContentError
    naming `label` where the layer is not the one that was listed.
    """
    try:
        yield from _content(entry, _from(facts, max(0, entry.offset - BLOCK), index, layer))
    except (CompressionError, indexed_gzip.ZranError, EOFError) as error:
        message = f"{entry.path}: the layer is not what its listing says: {error}"
        raise ContentError.at(label, message) from None


def _content(entry: FileEntry, stream: BinaryIO) -> Iterator[bytes]:
    if not is_header(stream.read(BLOCK)) and entry.pieces is None:
        raise CompressionError("no file begins there")
    pieces = (0, entry.size) if entry.pieces is None else entry.pieces
    at = 0
    for place, length in zip(pieces[::2], pieces[1::2], strict=True):
        yield from _zeros(place - at)
        yield from _exactly(stream, length)
        at = place + length
    yield from _zeros(entry.size - at)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, _CHUNK))
        count -= _CHUNK


def _exactly(stream: BinaryIO, count: int) -> Iterator[bytes]:
    while count:
        if not (chunk := stream.read(min(count, _CHUNK))):
            raise EOFError("it ends before the file does")
        count -= len(chunk)
        yield chunk


def _from(facts: Facts, offset: int, index: bytes, layer: BinaryIO) -> BinaryIO:
    """Return the unpacked layer as a stream that begins at `offset`."""
    if facts.compression == PLAIN:
        layer.seek(offset)
        return layer
    if index:
        stream = from_index(layer, index)
        stream.seek(offset)
        return stream
    packed, start = max(
        (frame for frame in ((0, 0), *facts.frames) if frame[1] <= offset),
        key=lambda item: item[1],
    )
    layer.seek(packed)
    unpacked = io.BufferedReader(Unpacked(layer, facts.unpacked + BLOCK), _CHUNK)
    for _ in _exactly(unpacked, offset - start):
        pass
    return unpacked
