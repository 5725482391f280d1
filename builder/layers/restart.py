"""Restart points of gzip: with them a file is read without unpacking all that is before it.

They are zran's, in the format of the package indexed_gzip, which unpacks a
layer for itself to find them: for a large one in a process of its own, while
the layer is walked.
"""

from __future__ import annotations

import io
import signal
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO

import indexed_gzip

from builder.layers.compression import CompressionError
from builder.storage.local import open_regular

_SMALL = 1 << 20  # packed bytes that are soon unpacked from the start
_LARGE = 16 << 20
_SPACING = 4 << 20  # unpacked bytes between points, more for large layers
_POINTS = 256  # at most, each of 32 KiB before compression
_MAX_INDEX = 64 << 20
_STEP = 256 << 20
_CHUNK = 1 << 20


@contextmanager
def restart_points(path: Path, size: int, limit: int) -> Iterator[Callable[[], bytes]]:
    """Give what returns the index of a gzip file of `size` bytes, which may be b"".

    No more than about `limit` bytes are unpacked for it.
    """
    if size < _SMALL:
        yield lambda: b""
    elif size < _LARGE:
        yield lambda: _index(path, size, limit)
    else:
        context = get_context("spawn")  # there may be threads here
        with ProcessPoolExecutor(1, context, signal.signal, _UNINTERRUPTED) as pool:
            yield pool.submit(_index, path, size, limit).result


_UNINTERRUPTED = (signal.SIGINT, signal.SIG_IGN)  # the terminal asks all of a group


def _index(path: Path, size: int, limit: int) -> bytes:
    spacing = max(_SPACING, size * 4 // _POINTS)
    out = io.BytesIO()
    try:
        with open_regular(path, str(path)) as file, _stream(file, spacing=spacing) as stream:
            at = 0
            while at < limit and stream.seek(at + _STEP) == at + _STEP:
                at += _STEP
            stream.export_index(fileobj=out)
    except (indexed_gzip.ZranError, zlib.error, EOFError, OSError):
        return b""  # damaged: the walk tells where
    return zlib.compress(out.getvalue(), 6)


def from_index(layer: BinaryIO, index: bytes) -> BinaryIO:
    """Return a gzip layer as a stream that seeks by an index; raises CompressionError."""
    stream = _stream(layer)
    unpacker = zlib.decompressobj()
    try:
        stream.import_index(fileobj=io.BytesIO(unpacker.decompress(index, _MAX_INDEX)))
    except (indexed_gzip.ZranError, zlib.error, ValueError) as error:
        raise CompressionError(f"has a damaged index of restart points: {error}") from None
    found: BinaryIO = stream
    return found


def _stream(file: BinaryIO, **options: int) -> Any:
    return indexed_gzip.IndexedGzipFile(
        fileobj=file, readbuf_size=_CHUNK, drop_handles=False, skip_crc_check=True, **options
    )
