"""Layers that a proposal names and that lie elsewhere: fetched, hashed, forgotten."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from builder.remote.options import RemoteOptions
from tests.images import LAYER, Image, sha256
from tests.pull_requests.conftest import CONFIG, Judge, base_has, messages
from tests.remote.hostile import Behaviour, Server, hostile

IMAGE = Image.of("elsewhere")
(SOURCE,) = json.loads(IMAGE.manifest)["layers"]
DIGEST, SIZE = SOURCE["digest"], SOURCE["size"]
COLLECTION = "collections/vanessa/greeting"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def remote(authority: trustme.CA, tmp_path: Path) -> RemoteOptions:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return RemoteOptions(ca=str(tmp_path / "ca.pem"))


@pytest.fixture
def storage(authority: trustme.CA) -> Iterator[Server]:
    """An https server that has the layer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with hostile(Behaviour(image=Image(b"", {DIGEST: IMAGE.blobs[DIGEST]})), context) as server:
        yield server


def url(server: Server) -> str:
    return f"https://localhost:{server.server_address[1]}/far"


def propose(repository: Path, image: Image = IMAGE) -> None:
    """Add a tag whose layer is not in the registry."""
    image.tag(repository / COLLECTION, "far")
    (repository / COLLECTION / "blobs" / DIGEST.replace(":", "/")).unlink()


def with_urls(*urls: str) -> Image:
    document = json.loads(IMAGE.manifest)
    document["layers"][0] |= {"urls": list(urls), "mediaType": LAYER}
    return Image(json.dumps(document).encode(), IMAGE.blobs)


def test_what_is_in_storage_is_fetched_once_and_no_other(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions
) -> None:
    base_has(repository, {"_config.yml": f"{CONFIG}  blobs: {url(storage)}\n"})
    propose(repository)
    IMAGE.tag(repository / COLLECTION, "near")
    (repository / COLLECTION / "blobs" / DIGEST.replace(":", "/")).unlink()
    assert messages(judged(remote=remote)) == []
    assert storage.log.paths() == [f"/far/blobs/{DIGEST.replace(':', '/')}"]
    assert not list(repository.rglob(DIGEST.partition(":")[2]))


def test_what_is_not_there(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions
) -> None:
    base_has(repository, {"_config.yml": f"{CONFIG}  blobs: {url(storage)}\n"})
    storage.behaviour.blob_redirect = f"{url(storage)}/nothing"
    propose(repository)
    (message,) = messages(judged(remote=remote))
    what = f"{DIGEST} ({SIZE} bytes) cannot be fetched"
    assert message.startswith(f"{COLLECTION}/manifests/far: {what}")
    assert "404" in message


OTHER = {
    "the bytes have another digest": b"x" * SIZE,
    "more bytes than": b"x" * (SIZE + 1),
}


@pytest.mark.parametrize("words", OTHER)
def test_what_does_not_match(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions, words: str
) -> None:
    base_has(repository, {"_config.yml": f"{CONFIG}  blobs: {url(storage)}\n"})
    storage.behaviour.image.blobs[DIGEST] = OTHER[words]
    propose(repository)
    (message,) = messages(judged(remote=remote))
    assert words in message


def test_urls_lead_to_public_addresses_only(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions
) -> None:
    for address in (url(storage), "http://169.254.169.254/latest", "http://127.0.0.1:1/x"):
        propose(repository, with_urls(address))
        (message,) = messages(judged(remote=remote))
        assert "cannot be fetched" in message
    assert storage.log.requests == []


def test_a_proposal_does_not_say_where_storage_is(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions
) -> None:
    (repository / "_config.yml").write_text(f"{CONFIG}  blobs: {url(storage)}\n")
    propose(repository)
    first, second = messages(judged(remote=remote))
    assert "_config.yml: is the registry's configuration" in first
    assert "which is not here" in second
    assert storage.log.requests == []


def test_more_than_is_fetched(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions
) -> None:
    base_has(repository, {"_config.yml": f"{CONFIG}  blobs: {url(storage)}\n"})
    propose(repository)
    (message,) = messages(judged(remote=remote, fetch=SIZE - 1))
    assert f"names {SIZE} bytes that lie elsewhere" in message
    assert messages(judged(remote=None)) == []
    assert storage.log.requests == []


def test_the_layers_of_what_was_there_are_not_fetched(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions
) -> None:
    propose(repository)
    base_has(repository, {"_config.yml": f"{CONFIG}  blobs: {url(storage)}\n"})
    Image.of("two").tag(repository / COLLECTION, "2.0")
    assert messages(judged(remote=remote)) == []
    assert storage.log.requests == []


def test_a_layer_that_goes_must_be_elsewhere(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions
) -> None:
    IMAGE.tag(repository / COLLECTION, "v2")
    Image.of("two").tag(repository / COLLECTION, "2.0")
    base_has(repository, {"_config.yml": f"{CONFIG}  blobs: {url(storage)}\n"})
    layer = repository / COLLECTION / "blobs" / DIGEST.replace(":", "/")
    layer.unlink()
    assert messages(judged(remote=remote)) == []
    assert len(storage.log.requests) == 1
    storage.behaviour.image.blobs[DIGEST] = b"y" * SIZE
    (message,) = messages(judged(remote=remote))
    assert message.startswith(f"{COLLECTION}/manifests/v2: {DIGEST}")


def test_layers_of_an_index_are_fetched(
    repository: Path, judged: Judge, storage: Server, remote: RemoteOptions
) -> None:
    base_has(repository, {"_config.yml": f"{CONFIG}  blobs: {url(storage)}\n"})
    index = Image.index(IMAGE, Image.of("other", architecture="arm64"))
    index.tag(repository / COLLECTION, "many")
    (repository / COLLECTION / "blobs" / DIGEST.replace(":", "/")).unlink()
    assert messages(judged(remote=remote)) == []
    assert len(storage.log.requests) == 1


def test_a_blob_under_a_wrong_name_is_a_problem(repository: Path, judged: Judge) -> None:
    image = Image.of("two")
    image.tag(repository / COLLECTION, "2.0")
    layer = json.loads(image.manifest)["layers"][0]["digest"]
    path = repository / COLLECTION / "blobs" / layer.replace(":", "/")
    path.write_bytes(b"x" * path.stat().st_size)
    (message,) = messages(judged())
    assert "do not have the digest" in message
    assert sha256(path.read_bytes()) != layer
