"""A registry with one collection of each kind of image, for every client to try."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from backports import zstd

from tests.images import CONFIG, LAYER, MANIFEST, Image, as_json, descriptor, layer_of, sha256

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"


class Kind(NamedTuple):
    """A kind of image: its repository, what to ask for, and the digest of what must come."""

    name: str
    repository: str
    reference: str  # a tag with its colon, or a digest with its @
    digest: str


def write_registry(folder: Path) -> list[Kind]:
    """Write the registry; return its kinds in the order that tables show them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_config.yml").write_text("title: Matrix\n")
    single = Image.of("single")
    made = {
        "single": single,
        "index": Image.index(Image.of("amd64"), Image.of("arm64", architecture="arm64")),
        "docker": _docker(),
        "zstd": _zstd(),
        "artifact": _artifact(),
    }
    kinds = []
    for name, image in made.items():
        repository = f"kinds/{name}"
        image.tag(folder / "collections" / repository, "1.0")
        kinds.append(Kind(name, repository, ":1.0", image.digest))
    referrer = _artifact(subject=descriptor(MANIFEST, single.manifest))
    stored = Image(referrer.manifest, referrer.blobs | {referrer.digest: referrer.manifest})
    stored.store(folder / "collections/kinds/single")
    kinds.append(Kind("referrer", "kinds/single", f"@{referrer.digest}", referrer.digest))
    return kinds


def _docker() -> Image:
    """Return an image as Docker's schema 2 has it."""
    image = Image.of("docker")
    document = json.loads(image.manifest)
    document["mediaType"] = DOCKER_MANIFEST
    document["config"]["mediaType"] = DOCKER_CONFIG
    document["layers"][0]["mediaType"] = DOCKER_LAYER
    return Image(as_json(document), image.blobs, DOCKER_MANIFEST)


def _zstd() -> Image:
    """Return an image whose layer is compressed with zstd."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("hello.txt")
        info.size = 4
        archive.addfile(info, BytesIO(b"zstd"))
    layer = zstd.compress(buffer.getvalue())
    config = as_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(buffer.getvalue())]},
        }
    )
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(ZSTD_LAYER, layer)],
        }
    )
    return Image(manifest, {sha256(config): config, sha256(layer): layer})


def _artifact(**more: object) -> Image:
    """Return an artifact of one file; `subject` makes it a referrer."""
    layer, _ = layer_of("data", "data.txt")
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.example.data",
            "config": descriptor(EMPTY, b"{}"),
            "layers": [descriptor(LAYER, layer, annotations={TITLE: "data.tgz"})],
            **more,
        }
    )
    return Image(manifest, {sha256(b"{}"): b"{}", sha256(layer): layer})
