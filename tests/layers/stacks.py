"""Images of a few random layers, the same for the same seed, that get in each other's way.

Few names, so that what is written meets what is there: folders where files
were, links to folders, whiteouts before and after, hard links to what goes.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from builder.layers.listing import entry_of
from builder.layers.rootfs import LinkError, RootFS
from builder.layers.tarwalk import Member
from tests.images import CONFIG, LAYER, MANIFEST, Image, as_json, descriptor, sha256

PLAIN = "application/vnd.oci.image.layer.v1.tar"
NAMES = [
    "a",
    "b",
    "c",
    "lib",
    "usr",
    "é",
    "x y",
    "back\\slash",
    "like\\xe9",
    "caf\udce9",
    "q" * 110,
]
FORMATS = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def image_of(*layers: bytes, pack: Callable[[int], bool] = bool) -> Image:
    """Return an image of some tars; `pack` tells which are compressed."""
    blobs = [gzip.compress(data, 1) if pack(number) else data for number, data in enumerate(layers)]
    types = [LAYER if pack(number) else PLAIN for number in range(len(layers))]
    config = as_json(
        {"architecture": "amd64", "os": "linux", "config": {},
         "rootfs": {"type": "layers", "diff_ids": [sha256(data) for data in layers]}}
    )  # fmt: skip
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(kind, blob) for kind, blob in zip(types, blobs, strict=True)],
        }
    )
    return Image(manifest, {sha256(blob): blob for blob in (config, *blobs)})


class Stack:
    """The layers of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same every time
        self._names = self._random.sample(NAMES, 5)
        self._files: list[str] = []
        self._there = RootFS("generated")
        self.layers = [self._layer() for _ in range(self._random.randint(1, 4))]

    def image(self) -> Image:
        packed = [self._random.random() < 0.5 for _ in self.layers]
        return image_of(*self.layers, pack=packed.__getitem__)

    def _layer(self) -> bytes:
        out = io.BytesIO()
        form = self._random.choice(FORMATS)
        with tarfile.open(
            fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            for _ in range(self._random.randint(1, 14)):
                self._member(archive)
        return out.getvalue()

    def _path(self) -> str:
        parts = self._random.choices(self._names, k=self._random.choice((1, 1, 2, 2, 3, 4)))
        return self._random.choice(("", "", "", "./", "/", "b/../")) + "/".join(parts)

    def _member(self, archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(self._path())
        info.mode = self._random.choice((0o644, 0o755, 0o4755, 0o600))
        info.uid = info.gid = 0
        made: Any = self._random.choices(
            (self._file, self._folder, self._symlink, self._hard_link, self._whiteout,
             self._opaque, self._sparse, self._pipe),
            (8, 4, 4, 2, 3, 1, 1, 0.3),
        )[0](info)  # fmt: skip
        if made is not None and self._can_be(info):
            archive.addfile(info, io.BytesIO(made))

    def _can_be(self, info: tarfile.TarInfo) -> bool:
        """Tell whether anybody can unpack a member: where it goes are folders, or nothing yet.

        What is there is only nearly known here, where each member is a layer.
        """
        name = os.fsencode(info.pax_headers.get("GNU.sparse.name", info.name))
        entry = entry_of(Member(name, info.type, 0, 0, 1024, os.fsencode(info.linkname)))
        if entry is None:
            return False
        try:
            folder = self._there.resolve(entry.path.rpartition("/")[0])
            parts = folder.split("/") if folder else []
            above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
            if any((found := self._there.at(path)) and found.entry.kind != "d" for path in above):
                return False
            if entry.kind == "h":
                target = self._there.at(self._there.place(entry.target))
                if target is None or target.entry.kind == "d":
                    return False
        except LinkError:
            return False
        self._there.apply([entry])
        return True

    def _file(self, info: tarfile.TarInfo) -> bytes:
        self._files.append(info.name)
        info.size = self._random.choice((0, 1, 500, 512, 3000))
        return self._random.randbytes(info.size)

    def _folder(self, info: tarfile.TarInfo) -> bytes:
        info.type, info.mode = tarfile.DIRTYPE, self._random.choice((0o755, 0o700, 0o1777))
        return b""

    def _symlink(self, info: tarfile.TarInfo) -> bytes:
        info.type = tarfile.SYMTYPE
        info.linkname = self._random.choice(("", "/", "../", "../../", "./")) + self._path()
        return b""

    def _hard_link(self, info: tarfile.TarInfo) -> bytes | None:
        if not self._files:
            return None
        info.type, info.linkname = tarfile.LNKTYPE, self._random.choice(self._files)
        return b""

    def _whiteout(self, info: tarfile.TarInfo) -> bytes:
        folder, slash, name = info.name.rpartition("/")
        info.name = f"{folder}{slash}.wh.{name}"
        return b""

    def _opaque(self, info: tarfile.TarInfo) -> bytes:
        info.name += "/.wh..wh..opq"
        return b""

    def _pipe(self, info: tarfile.TarInfo) -> bytes:
        info.type = tarfile.FIFOTYPE
        return b""

    def _sparse(self, info: tarfile.TarInfo) -> bytes | None:
        """Make a sparse file in one of the two formats that fit into a mapping of records."""
        pieces, at = [], 0
        for _ in range(self._random.randint(0, 30)):
            at += self._random.randint(1, 2000)
            length = self._random.randint(1, 900)
            pieces.append((at, length))
            at += length
        data = self._random.randbytes(sum(length for _, length in pieces))
        size = at + self._random.choice((0, 5000))
        numbers = [str(number) for piece in pieces for number in piece]
        if not pieces or "\udce9" in info.name:
            return None
        self._files.append(info.name)
        info.pax_headers = {"GNU.sparse.name": info.name, "GNU.sparse.major": "0",
                            "GNU.sparse.minor": "1", "GNU.sparse.size": str(size),
                            "GNU.sparse.numblocks": str(len(pieces)),
                            "GNU.sparse.map": ",".join(numbers)}  # fmt: skip
        if self._random.random() < 0.5:
            info.pax_headers |= {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
            info.pax_headers["GNU.sparse.realsize"] = info.pax_headers.pop("GNU.sparse.size")
            del info.pax_headers["GNU.sparse.map"]
            table = "\n".join([str(len(pieces)), *numbers, ""]).encode()
            data = table + bytes(-len(table) % 512) + data
        info.size = len(data)
        info.name = "GNUSparseFile.0/" + info.name
        return data


def write(seed: int, folder: Path) -> Image:
    """Write the image of a seed as an image layout, with the tag `1`."""
    image = Stack(seed).image()
    image.layout(folder, "1")
    return image
