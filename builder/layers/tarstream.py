"""Writing a tar forwards: its length is known before its first byte, and none of it is held.

Members have no times and no owners, so that equal content gives equal bytes.
Source: POSIX `pax`; an extended header appears only where a name or a size
does not fit the plain one.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from builder.errors import ContentError
from builder.layers.tarwalk import BLOCK
from builder.storage.local import open_regular

_CHUNK = 1 << 20
_END = bytes(2 * BLOCK)


class Part(NamedTuple):
    """A member to write: bytes that are here, a file of `size` bytes, or (None) a folder."""

    name: str
    size: int
    source: bytes | Path | None

    @property
    def header(self) -> bytes:
        """The blocks that stand before the member's bytes."""
        info = tarfile.TarInfo(self.name)
        info.size = self.size
        info.type = tarfile.DIRTYPE if self.source is None else tarfile.REGTYPE
        info.mode = 0o755 if self.source is None else 0o644
        return info.tobuf(tarfile.PAX_FORMAT)


def tar_size(parts: Iterable[Part]) -> int:
    """Return how many bytes `tar_chunks` will yield for `parts`."""
    return sum(len(part.header) + part.size + -part.size % BLOCK for part in parts) + len(_END)


def tar_chunks(parts: Iterable[Part]) -> Iterator[bytes]:
    """Yield the tar of `parts`; raises ContentError for a file that has another size by now."""
    for part in parts:
        yield part.header
        yield from _body(part)
        yield bytes(-part.size % BLOCK)
    yield _END


def _body(part: Part) -> Iterator[bytes]:
    if isinstance(part.source, bytes):
        yield part.source
    elif part.source is not None:
        left = part.size
        with open_regular(part.source, str(part.source)) as file:
            while chunk := file.read(_CHUNK):
                left -= len(chunk)
                yield chunk
        if left:
            message = f"was {part.size} bytes and is {part.size - left} now"
            raise ContentError.at(str(part.source), message, "leave it alone while it is packed")
