"""Merged listings against what umoci puts on a disk: paths, kinds, modes, links and every byte.

`make differential` runs a thousand seeds; a seed that failed once is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from builder.layers.extract import read_file
from builder.layers.listing import as_text, read_listing
from builder.layers.record import read_index, record_listing
from builder.layers.rootfs import RootFS
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from tests.images import Image
from tests.layers import stacks

pytestmark = pytest.mark.e2e
SEEDS = int(os.environ.get("DIFFERENTIAL", "40"))
FAILED = ()  # seeds that have found something
ENOUGH = 0.6  # of random images can be unpacked: others have hard links to nothing


class There(NamedTuple):
    """What is at a path: a link's target, a file's bytes, and which other paths are that file."""

    kind: str
    mode: int
    content: bytes
    same: str


def unpacked(layout: Path, folder: Path) -> dict[str, There] | None:
    """Return what umoci makes of an image; None where it refuses."""
    rootless = ["--rootless"] if os.geteuid() else []
    command = ["umoci", "raw", "unpack", *rootless, "--image", f"{layout}:1", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        return None
    found: dict[str, There] = {}
    first: dict[int, str] = {}
    root = os.fsencode(folder)
    paths: list[bytes] = []
    for base, folders, files in os.walk(root):
        paths += (os.path.join(base, name) for name in (*folders, *files))
    for path in sorted(paths, key=lambda path: as_text(path).encode()):
        status = os.lstat(path)
        text = as_text(os.path.relpath(path, root))
        kind, mode = _KINDS[stat.S_IFMT(status.st_mode)], stat.S_IMODE(status.st_mode)
        same = first.setdefault(status.st_ino, text) if kind == "f" else ""
        if kind == "l":
            found[text] = There(kind, 0, as_text(os.readlink(path)).encode(), same)
        else:
            content = Path(os.fsdecode(path)).read_bytes() if kind == "f" else b""
            found[text] = There(kind, mode, content, same)
    return found


_KINDS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p"}


def merged(image: Image, folder: Path) -> dict[str, There]:
    """Return what our listings make of an image."""
    image.store(folder)
    layers = [Descriptor.from_json(item) for item in json.loads(image.manifest)["layers"]]
    for layer in layers:
        record_listing(folder, layer, _blob(folder, layer.digest))
    listings = [read_listing(folder, layer.digest, "x") for layer in layers]
    found: dict[str, There] = {}
    first: dict[tuple[int, int], str] = {}
    with RootFS.of(listings, "x") as root:
        for number, entry in root.entries():
            kind = "f" if entry.kind == "h" else entry.kind
            listing, digest = listings[number], layers[number].digest
            assert listing is not None
            content = entry.target.encode()
            if kind == "f" and entry.offset:
                index = read_index(folder, digest, "x")
                with _blob(folder, digest).open("rb") as stream:
                    content = b"".join(read_file(listing.facts, entry, index, stream, "x"))
            same = first.setdefault((number, entry.offset), entry.path) if kind == "f" else ""
            mode = 0 if kind == "l" else entry.mode
            found[entry.path] = There(kind, mode, content, same)
    return found


def _blob(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def differences(seed: int, folder: Path) -> list[str] | None:
    """Return how the two differ for a seed; None where there is nothing to compare with."""
    return compared_with_umoci(stacks.write(seed, folder / "layout"), folder, f"seed {seed}")


def compared_with_umoci(image: Image, folder: Path, label: str) -> list[str] | None:
    """Return how the two differ for an image that lies in `layout`."""
    theirs = unpacked(folder / "layout", folder / "out")
    ours = merged(image, folder / "ours")
    if theirs is None:
        return None
    return [
        f"{label}: {path}: umoci {theirs.get(path)}, here {ours.get(path)}"
        for path in sorted(theirs.keys() | ours.keys())
        if theirs.get(path) != ours.get(path)
    ]


def test_random_images_are_what_umoci_unpacks(tmp_path: Path) -> None:
    compared = 0
    for seed in (*FAILED, *range(SEEDS)):
        found = differences(seed, tmp_path / str(seed))
        shutil.rmtree(tmp_path / str(seed))
        compared += found is not None
        assert not found, "\n".join(found)
    assert compared >= ENOUGH * SEEDS


def member(name: str, data: bytes = b"1", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """Return a header and its bytes as a tar has them."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def pax(**records: str) -> bytes:
    lines = (f" {key}={value}\n" for key, value in records.items())
    whole = "".join(f"{len(line) + 2:02d}{line}" for line in lines)  # all are short
    return member("PaxHeaders/x", whole.encode(), tarfile.XHDTYPE)


def gnu(name: str, kind: bytes = tarfile.GNUTYPE_LONGNAME) -> bytes:
    return member("././@LongLink", name.encode() + b"\0", kind)


LONG_LINK = tarfile.GNUTYPE_LONGLINK
LINK = member("link", b"", tarfile.SYMTYPE, "short")


@pytest.mark.parametrize(
    "layers",
    [
        [pax(path="first") + pax(comment="x") + member("own")],
        [pax(path="first") + pax(path="second") + member("own")],
        [pax(path="pax") + gnu("long") + member("own")],
        [gnu("long") + pax(path="pax") + member("own")],
        [gnu("long") + gnu("second") + member("own")],
        [gnu("far", LONG_LINK) + pax(linkpath="pax") + LINK],
        [pax(linkpath="pax") + gnu("far", LONG_LINK) + LINK],
        [pax(path="") + member("own")],
        [pax(size="003") + member("own", b"123")],
        [member("d/f"), member("d/.wh..wh..opq", b"") + member("d/g"), member(".wh.d", b"")],
        [member("a") + member(".wh..wh.plnk/1.2"), member(".wh..wh..opq", b"") + member("b")],
        [member("d", b"", tarfile.SYMTYPE, "nowhere") + member("d/new"), member("nowhere/.wh.new")],
    ],
)
def test_headers_that_say_different_things(tmp_path: Path, layers: list[bytes]) -> None:
    """Which of them counts: who reads them otherwise shows other files than clients unpack."""
    image = stacks.image_of(*(layer + bytes(1024) for layer in layers))
    image.layout(tmp_path / "layout", "1")
    assert compared_with_umoci(image, tmp_path, "made") == []
