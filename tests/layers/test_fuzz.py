"""Tars, compressed layers and listings that nobody would write: refused or read, and soon.

`make fuzz` tries many more of them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backports import zstd
from hypothesis import given
from hypothesis import strategies as some

from builder.errors import ContentError
from builder.layers.extract import read_file
from builder.layers.listing import as_path, as_text, listing_path, read_listing
from builder.layers.record import make_listing
from builder.layers.rootfs import RootFS
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from tests.images import LAYER
from tests.layers.stacks import Stack

LIMIT = 1.0  # CPU seconds for one input
DIGEST = Digest("sha256:" + "0" * 64)
PACK = (bytes, gzip.compress, zstd.compress, lzma.compress, bz2.compress)
edits = some.lists(
    some.tuples(some.integers(0, 1 << 16), some.binary(max_size=24), some.booleans()), max_size=6
)


@contextmanager
def soon() -> Iterator[None]:
    before = time.process_time()
    yield
    assert time.process_time() - before < LIMIT


def edited(data: bytes, changes: list[tuple[int, bytes, bool]]) -> bytes:
    """Return bytes with others put over them, or between them."""
    for place, piece, between in changes:
        at = place % (len(data) + 1)
        data = data[:at] + piece + data[at if between else at + len(piece) :]
    return data


def mended(tar: bytes) -> bytes:
    """Return a tar whose headers have the checksums of what they became."""
    blocks = [bytearray(tar[at : at + 512]) for at in range(0, len(tar), 512)]
    for block in blocks:
        if len(block) == 512 and block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
    return b"".join(blocks)


def tried(data: bytes) -> None:
    """List a layer, merge it, and read each file that it has."""
    with tempfile.TemporaryDirectory() as name, soon():
        folder = Path(name)
        (folder / "layer").write_bytes(data)
        out = io.BytesIO()
        try:
            make_listing(folder / "layer", Descriptor(LAYER, DIGEST, len(data)), "x", out)
        except ContentError:
            return
        kept = folder / listing_path(DIGEST)
        kept.parent.mkdir(parents=True)
        kept.write_bytes(out.getvalue())
        used(folder, data)


def used(folder: Path, layer: bytes) -> None:
    listing = read_listing(folder, DIGEST, "x")
    assert listing is not None
    with RootFS.of([listing, listing], "x") as image:
        for _, entry in image.entries():
            if entry.kind not in "fh" or entry.size > 1 << 20:
                continue
            total = 0
            try:
                for chunk in read_file(listing.facts, entry, b"", io.BytesIO(layer), "x"):
                    total += len(chunk)
                assert total == entry.size
            except ContentError:
                assert total <= entry.size


@given(some.binary(max_size=4096))
def test_any_bytes(data: bytes) -> None:
    tried(data)


@given(some.integers(0, 50), edits, some.sampled_from(PACK))
def test_tars_that_were_changed(
    seed: int, changes: list[tuple[int, bytes, bool]], pack: type
) -> None:
    tried(pack(mended(edited(Stack(seed).layers[0], changes))))


@given(some.integers(0, 20), edits, some.sampled_from(PACK))
def test_layers_that_were_changed(
    seed: int, changes: list[tuple[int, bytes, bool]], pack: type
) -> None:
    tried(edited(pack(Stack(seed).layers[0]), changes))


@given(some.integers(0, 20), edits)
def test_listings_that_were_changed(seed: int, changes: list[tuple[int, bytes, bool]]) -> None:
    layer = Stack(seed).layers[0]
    with tempfile.TemporaryDirectory() as name, soon():
        folder = Path(name)
        (folder / "layer").write_bytes(layer)
        out = io.BytesIO()
        make_listing(folder / "layer", Descriptor(LAYER, DIGEST, len(layer)), "x", out)
        kept = folder / listing_path(DIGEST)
        kept.parent.mkdir(parents=True)
        kept.write_bytes(edited(out.getvalue(), changes))
        with suppress(ContentError):
            used(folder, layer)


@given(some.binary(max_size=20), some.binary(max_size=20))
def test_two_names_are_never_one_text(one: bytes, two: bytes) -> None:
    assert (as_text(one) == as_text(two)) == (one == two)
    as_text(one).encode()
    assert ".." not in as_path(one).split("/")


@given(
    some.text("\\xe9é\udce9", max_size=9).map(lambda text: text.encode("utf-8", "surrogateescape")),
    some.text("\\xe9é\udce9", max_size=9).map(lambda text: text.encode("utf-8", "surrogateescape")),
)
def test_names_that_look_escaped_are_never_one_text(one: bytes, two: bytes) -> None:
    assert (as_text(one) == as_text(two)) == (one == two)
