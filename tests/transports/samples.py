"""Image layouts and archives as tests need them: right, or wrong in one place."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.images import CONFIG, INDEX, LAYER, MANIFEST, as_json, descriptor, layer_of, sha256

Edit = Callable[[dict[str, Any]], object]
Raw = Callable[[bytes], bytes]
REF_NAME = "org.opencontainers.image.ref.name"


def unchanged(raw: bytes) -> bytes:
    return raw


def put_blob(folder: Path, data: bytes, digest: str = "") -> Path:
    file = folder / "blobs" / (digest or sha256(data)).replace(":", "/", 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def write_layout(
    folder: Path,
    *,
    config: Edit = bool,
    manifest: Edit = bool,
    index: Edit = bool,
    raw_config: Raw = unchanged,
    raw_manifest: Raw = unchanged,
    wrap: Callable[[Path, dict[str, Any]], dict[str, Any]] | None = None,
    layer: bytes = b"",
) -> Path:
    """Write a layout of one image called 'latest'; return the file of its layer.

    Documents are edited from the bottom up, so that digests above fit what
    was edited; `wrap` makes the top from the manifest's descriptor.
    """
    packed, diff_id = layer_of("hello")
    packed = layer or packed
    image = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/hello"], "Labels": {}},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    config(image)
    image_raw = raw_config(as_json(image))
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, image_raw),
        "layers": [descriptor(LAYER, packed)],
        "annotations": {},
    }
    manifest(document)
    raw = raw_manifest(as_json(document))
    for data in (image_raw, raw):
        put_blob(folder, data)
    file = put_blob(folder, packed)
    top = descriptor(MANIFEST, raw)
    if wrap is not None:
        top = wrap(folder, top)
    top["annotations"] = {REF_NAME: "latest"}
    entries = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}
    index(entries)
    (folder / "index.json").write_bytes(as_json(entries))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return file


def index_of(folder: Path, children: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Store an index; return its descriptor."""
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children), **more}
    raw = as_json(document)
    put_blob(folder, raw)
    return descriptor(INDEX, raw)


def set_in(*path: str | int, to: Any) -> Edit:
    """Return an edit that sets one value."""

    def edit(document: dict[str, Any]) -> None:
        at: Any = document
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = to

    return edit


def drop(*path: str | int) -> Edit:
    """Return an edit that removes one value."""

    def edit(document: dict[str, Any]) -> None:
        at: Any = document
        for key in path[:-1]:
            at = at[key]
        del at[path[-1]]

    return edit


def tar_of(folder: Path) -> bytes:
    """Return a tar of the files in a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.add(file, file.relative_to(folder).as_posix())
    return buffer.getvalue()


class DockerArchive:
    """What `docker save` writes: change its attributes, then ask for `raw()`."""

    def __init__(self) -> None:
        packed, diff_id = layer_of("hello")
        self.layer = gzip.decompress(packed)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
        self.config = as_json(config)
        self.config_name = f"{hashlib.sha256(self.config).hexdigest()}.json"
        self.images: list[dict[str, Any]] = [
            {"Config": self.config_name, "RepoTags": ["x:latest"], "Layers": ["l1/layer.tar"]}
        ]
        self.members: list[tuple[tarfile.TarInfo, bytes]] = [member("l1/layer.tar", self.layer)]
        self.last: list[tuple[tarfile.TarInfo, bytes]] = []

    def raw(self) -> bytes:
        manifest = json.dumps(self.images).encode()
        own = [member(self.config_name, self.config), member("manifest.json", manifest)]
        return tar_of_members([*self.members, *own, *self.last])


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, target: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(data)
    return info, data


def tar_of_members(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
