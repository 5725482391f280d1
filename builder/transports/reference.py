"""`https://HOST/FILE` and `s3://BUCKET/KEY`: a file that stays where it is.

It is read once, to know its digest and size, and not kept: the layer says by
`urls` where clients get it. Source: image-spec `descriptor.md`, "urls".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit

from builder.errors import ContentError, RemoteError, UsageError
from builder.oci.descriptor import TITLE, Descriptor
from builder.oci.digest import Digest
from builder.oci.mediatype import SIF_CONFIG, SIF_LAYER, UNKNOWN_ARTIFACT
from builder.remote.fetch import open_url
from builder.storage.objects import open_objects, parse_object
from builder.transports.artifact import Artifact, ArtifactSource, Piece
from builder.transports.base import SourceOptions
from builder.transports.files import media_type_of

WEB = ("https://", "http://")
BUCKETS = ("s3://", "gs://", "az://")
_CHUNK = 1 << 20
_MAGIC = b"SIF_MAGIC"


def is_reference(text: str) -> bool:
    """Tell whether a source is a file elsewhere that stays there."""
    return text.startswith((*WEB, *BUCKETS))


def open_reference(text: str, options: SourceOptions) -> ArtifactSource:
    """Return the source of an artifact whose one layer is the file at an address.

    Raises UsageError for what is no address of a file, or where nobody knows
    from where clients get it; RemoteError.
    """
    if text.startswith(WEB):
        address, chunks = text, _downloaded(text, options)
    else:
        parse_object(text)
        address, chunks = public_address(text, options.addresses), _stored(text)
    name = unquote(urlsplit(address).path).rpartition("/")[2]
    if not name or not name.isprintable():
        raise UsageError(f"{text}: names no file", "write https://HOST/FILE")
    total, size, head = hashlib.sha256(), 0, b""
    with options.progress(None) as advance:
        for chunk in chunks:
            head = head or chunk[:64]
            total.update(chunk)
            size += len(chunk)
            advance(len(chunk))
    if not size:
        raise ContentError.at(text, "is empty")
    is_sif = head[32:41] == _MAGIC
    kind = SIF_LAYER if is_sif else media_type_of(name)
    digest = Digest(f"sha256:{total.hexdigest()}")
    layer = Descriptor(kind, digest, size, {TITLE: name}, urls=(address,))
    pieces, notes = [Piece(layer, None, text)], options.annotations
    if is_sif and not options.artifact_type:
        artifact = Artifact(pieces, "", (SIF_CONFIG, b"{}"), notes)
    else:
        artifact = Artifact(pieces, options.artifact_type or UNKNOWN_ARTIFACT, annotations=notes)
    return ArtifactSource(artifact, text)


def _downloaded(url: str, options: SourceOptions) -> Iterator[bytes]:
    with open_url(url, options.remote, named=True) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _stored(text: str) -> Iterator[bytes]:
    scheme, bucket, key = parse_object(text)
    try:
        yield from open_objects(f"{scheme}://{bucket}").open(key)
    except FileNotFoundError:
        raise RemoteError(f"{text}: there is no such object") from None


def public_address(text: str, known: Mapping[str, str]) -> str:
    """Return from where clients get an object; `known` are public addresses of buckets."""
    for place, address in known.items():
        if text.startswith(f"{place.rstrip('/')}/"):
            return address.rstrip("/") + quote(text.removeprefix(place.rstrip("/")))
    scheme, bucket, key = parse_object(text)
    path = quote(key)
    if scheme == "gs":
        return f"https://storage.googleapis.com/{bucket}/{path}"
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if scheme == "s3" and own:
        return f"{own.rstrip('/')}/{bucket}/{path}"
    if scheme == "s3" and region:
        return f"https://{bucket}.s3.{region}.amazonaws.com/{path}"
    if scheme == "az" and account:
        return f"https://{account}.blob.core.windows.net/{bucket}/{path}"
    hint = "set registry.blobs and registry.blobs_url, or AWS_REGION, or AZURE_STORAGE_ACCOUNT_NAME"
    raise UsageError(f"{text}: its public address is not known", hint)
