"""The files of an artifact, as a list to download from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.oci.manifest import Manifest
from builder.pages.model import PageOptions
from builder.registry.model import Collection, Tag

_ENDINGS = {"chart": "tgz", "sif": "sif", "wasm": "wasm", "app": "tar.gz"}


@dataclass(frozen=True, slots=True)
class Download:
    """One file: `url` is empty where it is not to be had, `size` in bytes."""

    name: str
    media_type: str
    size: int
    digest: str
    url: str


def downloads(
    collection: Collection, tag: Tag, manifest: Manifest, kind: str, options: PageOptions
) -> Iterator[Download]:
    """Yield the files of an artifact, those without a name by that of the collection and tag."""
    stem = f"{collection.name.rpartition('/')[2]}-{tag.name}"
    for layer in manifest.blobs:
        if manifest.config is not None and layer.digest == manifest.config.digest:
            continue
        title = layer.title.rpartition("/")[2]
        ending = _ENDINGS.get(kind, "bin")
        name = title or (stem if len(manifest.layers) == 1 else layer.digest[-12:]) + f".{ending}"
        url = blob_url(collection, layer.digest, options)
        yield Download(name, layer.media_type, layer.size, layer.digest, url)


def blob_url(collection: Collection, digest: str, options: PageOptions) -> str:
    """Return where the bytes of a blob are, as a page of this site sees it; empty for nowhere."""
    place = collection.blobs.get(digest)
    if place is None or place.file is None:
        return place.url if place is not None else ""
    return f"{options.api_root}/v2/{collection.name}/blobs/{digest}"
