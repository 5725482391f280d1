"""`oci-archive:FILE` and `docker-archive:FILE` as places to write to.

Both are made as an image layout first, in a folder of their own, and packed
when that is whole: sorted, without times or owners, so that equal images give
equal files. `-` as FILE is standard output.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from builder.errors import ContentError, LocalError, UsageError
from builder.layers.compression import CompressionError, Unpacked
from builder.layers.docker_archive import docker_archive
from builder.layers.tarstream import Part, tar_chunks
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import Node
from builder.oci.manifest import Manifest
from builder.storage import LocalStorage
from builder.storage.local import hidden_beside, sync_folder
from builder.transports.archive import unpacked_limit
from builder.transports.base import Entered
from builder.transports.layout_sink import LayoutSink
from builder.transports.sink import Opener

_CHUNK = 1 << 20


class ArchiveSink(Entered):
    """An `ImageSink` over a tar; `spool` is a folder for what waits to be packed."""

    streams = 2

    def __init__(self, path: str, label: str, spool: Path) -> None:
        _check_place(path, label)
        self.label = label
        self._path = path
        spool.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="export-", dir=spool))
        self._layout = LayoutSink(self._folder / "layout", label)

    def has(self, node: Node) -> bool:
        """Tell whether the blob was put before."""
        return self._layout.has(node)

    def put(self, node: Node, opener: Opener) -> None:
        """Keep a blob until the end."""
        self._layout.put(node, opener)

    def put_manifest(self, manifest: Manifest, name: str = "") -> bool:
        """Keep a manifest until the end."""
        return self._layout.put_manifest(manifest, name)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Pack what was put, and forget it."""
        try:
            self._layout.__exit__(kind, error, trace)
            if error is None:
                with _written(self._path, self.label) as file:
                    self._pack(file, self._folder / "layout")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _pack(self, file: BinaryIO, layout: Path) -> None:
        """Write the image layout as it is."""
        names = sorted(path.relative_to(layout).as_posix() for path in layout.rglob("*"))
        file.writelines(tar_chunks(_part(name, layout / name) for name in names))


class DockerArchiveSink(ArchiveSink):
    """What `docker save` writes: one image, its layers as plain tars.

    `repo_tag` is the name that `docker load` gives it.
    """

    def __init__(self, path: str, label: str, spool: Path, repo_tag: str) -> None:
        super().__init__(path, label, spool)
        self._repo_tag = repo_tag
        self._image: Manifest | None = None

    def put_manifest(self, manifest: Manifest, name: str = "") -> bool:
        """Keep the image; raises ContentError for what the format cannot hold."""
        if manifest.is_index:
            hint = "choose one with --platform OS/ARCH"
            raise ContentError.at(self.label, "a Docker archive holds one platform", hint)
        if not manifest.is_image:
            hint = "use oci: or oci-archive: for artifacts"
            raise ContentError.at(self.label, "a Docker archive holds images only", hint)
        self._image = manifest
        return super().put_manifest(manifest, name)

    def _pack(self, file: BinaryIO, layout: Path) -> None:
        image = self._image
        if image is None or image.config is None:
            raise ContentError.at(self.label, "no image was written")
        storage = LocalStorage(layout)
        with storage.open(image.config.digest) as stream:
            config = stream.read()
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        layers: dict[Digest, Path] = {}
        for layer, diff_id in zip(image.layers, map(Digest, diff_ids), strict=True):
            if not mediatype.is_filesystem_layer(layer.media_type):
                raise ContentError.at(self.label, f"a layer is {layer.media_type}, no tar")
            if diff_id not in layers:
                layers[diff_id] = self._unpacked(storage, layer, diff_id)
        found = [
            (item, layers[item], layers[item].stat().st_size) for item in map(Digest, diff_ids)
        ]
        file.writelines(tar_chunks(docker_archive(config, found, self._repo_tag)))

    def _unpacked(self, storage: LocalStorage, layer: Descriptor, diff_id: Digest) -> Path:
        """Return a file of the layer's plain tar, checked against its diff ID."""
        path = self._folder / diff_id.encoded
        found = hashlib.new(diff_id.algorithm)
        packed = Unpacked(storage.open(layer.digest), unpacked_limit(layer.size))
        with packed, path.open("wb") as file:
            try:
                while chunk := packed.read(_CHUNK):
                    found.update(chunk)
                    file.write(chunk)
            except CompressionError as error:
                message = f"the layer {layer.digest} {error.message}"
                raise ContentError.at(self.label, message) from None
        if found.hexdigest() != diff_id.encoded:
            message = f"the layer {layer.digest} does not unpack to its diff ID {diff_id}"
            raise ContentError.at(self.label, message)
        return path


def _part(name: str, path: Path) -> Part:
    if path.is_dir():
        return Part(name, 0, None)
    return Part(name, path.stat().st_size, path)


def _check_place(path: str, label: str) -> None:
    """Raise UsageError for what is no regular file: it would be replaced, /dev/stdout too."""
    if path != "-" and os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        hint = "name another file, or '-' for standard output"
        raise UsageError(f"{label}: is there already, and is not a regular file", hint)


@contextmanager
def _written(path: str, label: str) -> Iterator[BinaryIO]:
    """Give a file that appears under its name when all of it is on the disk."""
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    final = Path(path)
    temporary = hidden_beside(final)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
        sync_folder(final.parent)
    except OSError as error:
        raise LocalError.of(error, label) from error
    finally:
        temporary.unlink(missing_ok=True)
