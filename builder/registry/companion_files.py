"""The files of companions and archives; see `registry.companions` for what they are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from builder.fingerprint import fingerprint
from builder.layers.tarstream import tar_chunks
from builder.oci import mediatype
from builder.oci.digest import DIGEST_HEADER, Digest
from builder.oci.schema1 import EMPTY_LAYER, EMPTY_LAYER_DIGEST, signed
from builder.output import Data, Output, Streamed
from builder.registry.model import Archive, Collection, Companion

TAR = mediatype.of_file("x.tar")


def companion_outputs(collection: Collection) -> Iterator[Output]:
    """Yield the companion tags, and the empty layer that schema 1 ones may name."""
    for companions in collection.companions.values():
        for companion in companions:
            yield from _companion(collection, companion)
    empty = str(EMPTY_LAYER_DIGEST).encode()
    found = (item for items in collection.companions.values() for item in items)
    if EMPTY_LAYER_DIGEST not in collection.blobs and any(empty in item.schema1 for item in found):
        body, digest = Data(EMPTY_LAYER), EMPTY_LAYER_DIGEST
        yield _output(collection, f"blobs/{digest}", mediatype.OCTET_STREAM, body, digest)


def _companion(collection: Collection, companion: Companion) -> Iterator[Output]:
    manifest, name, digest = companion.manifest, companion.name, companion.digest
    if not companion.schema1:
        kind, body = manifest.media_type, Data(manifest.raw)
        yield _output(collection, f"manifests/{name}", kind, body, digest)
        return
    # Also under the digest, which is the payload's alone: Docker asks for that.
    body = Data(signed(companion.schema1))
    yield _output(collection, f"manifests/{digest}", mediatype.SCHEMA1, body, digest)
    yield _output(collection, f"manifests/{name}", mediatype.SCHEMA1, body, digest)


def archive_outputs(collection: Collection) -> Iterator[Output]:
    """Yield the archives, streamed from their layers' files."""
    for tag, archives in collection.archives.items():
        for archive in archives:
            body = Streamed(partial(tar_chunks, archive.parts), archive.size)
            origin = f"{collection.origin}/manifests/{tag}"
            yield Output(archive.path, TAR, body, origin, _mark(archive))


def _mark(archive: Archive) -> str:
    """Return what identifies an archive's bytes: layers are named by their digests."""
    return fingerprint(
        "docker-archive",
        [
            (part.name, part.size, Digest.of(part.source) if isinstance(part.source, bytes) else "")
            for part in archive.parts
        ],
    )


def _output(collection: Collection, path: str, kind: str, body: Data, digest: Digest) -> Output:
    headers = ((DIGEST_HEADER, str(digest)),)
    place = f"v2/{collection.name}/{path}"
    return Output(place, kind, body, collection.origin, "", headers)
