"""Making listings: a layer is unpacked once, in memory, as far as the limits allow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from builder.errors import ContentError
from builder.layers.compression import CompressionError, Unpacked, kind_of
from builder.layers.listing import (
    MAX_BYTES,
    MAX_ENTRIES,
    Facts,
    FileEntry,
    as_text,
    entry_of,
    head_line,
    listing_path,
    read_listing,
    tail_line,
)
from builder.layers.restart import restart_points
from builder.layers.tarwalk import Forward, Member, TarError, members
from builder.oci.descriptor import Descriptor
from builder.storage.local import make_folder, open_inside, open_regular, write_durably

INDEX_SUFFIX = ".gzidx"
MAX_UNPACKED = 16 << 30
MAX_RATIO = 200
_FREE = 64 << 20
_CHUNK = 256 << 10


def read_index(folder: Path, digest: str, label: str) -> bytes:
    """Return the index of restart points kept beside a layer's listing, b"" where there is none.

    `folder` is the collection's, `label` names it. Raises ContentError for
    what is, or is reached through, a link.
    """
    inner = _index_path(digest)
    try:
        with open_inside(folder, inner, f"{label}/{inner}") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


def _index_path(digest: str) -> str:
    return listing_path(digest).removesuffix(".json") + INDEX_SUFFIX


def make_listing(path: Path, layer: Descriptor, label: str, out: BinaryIO) -> tuple[str, bytes]:
    """Write the listing of a layer in a file to `out`.

    Returns why it is not whole, or nothing, and its index of restart points or
    b"". Raises ContentError naming `label` for a layer that is no tar.
    """
    limit = min(MAX_UNPACKED, max(_FREE, layer.size * MAX_RATIO))
    with open_regular(path, label) as file:
        is_gzip = kind_of(file.peek(_CHUNK)) == "gzip"
        points = restart_points(path, layer.size, limit) if is_gzip else nullcontext(bytes)
        with points as index:
            walked = _Walk(Unpacked(file, limit), label)
            out.write(head_line(layer.digest))
            written = 0
            for entry in walked.entries():
                line = entry.to_line()
                if (written := written + len(line)) > MAX_BYTES:
                    walked.cut = f"its listing would have more than {MAX_BYTES} bytes"
                    break
                out.write(b"," + line if written > len(line) else line)
            facts = walked.finish()
            out.write(tail_line(facts))
            return facts.cut, index()


class _Walk:
    """One way through a layer; `cut` says why it ended early."""

    def __init__(self, stream: Unpacked, label: str) -> None:
        self._stream = stream
        self._tar = Forward(stream, label)
        self._label = label
        self.cut = ""

    def entries(self) -> Iterator[FileEntry]:
        """Yield the entries; raises ContentError when there is no tar at all."""
        last: Member | None = None
        try:
            for number, member in enumerate(members(self._tar, self._label)):
                if number == MAX_ENTRIES:
                    self.cut = f"it has more than {MAX_ENTRIES} members"
                    return
                last = member
                if (entry := entry_of(member)) is not None:
                    yield entry
        except (CompressionError, TarError) as error:
            message = error.message if isinstance(error, CompressionError) else error.what
            if last is None:
                raise ContentError.at(self._label, message) from None
            self.cut = f"{message}, in or after {as_text(last.name)}"

    def finish(self) -> Facts:
        """Read what follows the tar, and return what is known of the layer."""
        try:
            while not self.cut and self._tar.read(_CHUNK):
                pass
        except CompressionError as error:
            self.cut = error.message  # a checksum stands at the end
        frames = tuple(self._stream.frames) if len(self._stream.frames) > 1 else ()
        return Facts(self._stream.kind, self._tar.at, self.cut, frames)


def is_listed(folder: Path, layer: Descriptor, label: str) -> bool:
    """Tell whether a layer has a sound listing of today's form in a collection's folder."""
    try:
        return read_listing(folder, layer.digest, label) is not None
    except ContentError:
        return False


def record_listing(folder: Path, layer: Descriptor, file: Path) -> str:
    """Keep the listing of a layer, which is in `file`, in a collection's folder.

    Returns why it is not whole, or nothing. Raises ContentError for a layer
    that cannot be listed, LocalError.
    """
    final = folder / listing_path(layer.digest)
    make_folder(final.parent)
    with TemporaryFile(dir=final.parent) as out:
        cut, index = make_listing(file, layer, str(layer.digest), cast("BinaryIO", out))
        if index:
            write_durably(folder / _index_path(layer.digest), index)
        out.seek(0)
        write_durably(final, cast("BinaryIO", out))
    return cut
