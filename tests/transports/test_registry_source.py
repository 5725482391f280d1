"""Layers that lie elsewhere: in storage that the configuration names, or where manifests say."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from builder.cli import run
from tests.images import LAYER, Image
from tests.remote.hostile import Behaviour, Server, hostile

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def image() -> Image:
    return Image.of("elsewhere")


@pytest.fixture
def storage(image: Image, tmp_path: Path) -> Iterator[Server]:
    """An https server that has the layer, below a path of its own."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    layer = Image(b"", {key: raw for key, raw in image.blobs.items() if raw[:1] == b"\x1f"})
    with hostile(Behaviour(image=layer), context) as server:
        yield server


def url(server: Server) -> str:
    return f"https://localhost:{server.server_address[1]}/far"


def without_its_layer(registry: Path, image: Image) -> None:
    collection = registry / "collections/x/y"
    image.tag(collection, "latest")
    (layer,) = json.loads(image.manifest)["layers"]
    (collection / "blobs" / layer["digest"].replace(":", "/")).unlink()


def export(registry: Path, tmp_path: Path, *flags: str) -> int:
    flags = ("-q", "-s", str(registry), "--ca", str(tmp_path / "ca.pem"), *flags)
    return run(["export", *flags, "x/y", f"oci:{tmp_path}/out"])


def test_storage_is_fetched_from(
    registry: Path, image: Image, storage: Server, tmp_path: Path, capsys: Capture
) -> None:
    (registry / "_config.yml").write_text(f"registry:\n  blobs: {url(storage)}\n")
    without_its_layer(registry, image)
    assert export(registry, tmp_path) == 0, capsys.readouterr().err
    (digest,) = storage.behaviour.image.blobs
    path = digest.replace(":", "/")
    assert (tmp_path / "out/blobs" / path).read_bytes() == storage.behaviour.image.blobs[digest]
    assert storage.log.paths() == [f"/far/blobs/{path}"]


def test_foreign_layers_are_not_fetched_unasked_nor_from_near(
    registry: Path, image: Image, storage: Server, tmp_path: Path, capsys: Capture
) -> None:
    document = json.loads(image.manifest)
    document["layers"][0] |= {"urls": [f"{url(storage)}/layer"], "mediaType": LAYER}
    without_its_layer(registry, Image(json.dumps(document).encode(), image.blobs))
    assert export(registry, tmp_path) == 1
    assert "--allow-foreign" in capsys.readouterr().err
    assert export(registry, tmp_path, "--allow-foreign") == 4
    assert "no server may send us to" in capsys.readouterr().err
    assert storage.log.requests == []
