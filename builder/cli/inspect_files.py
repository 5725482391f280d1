"""`builder inspect --files` and `--file`: what is inside an image."""

from __future__ import annotations

import sys

from builder.cli.add import parse_platform
from builder.cli.options import Console
from builder.errors import ContentError, printable
from builder.layers.extract import read_file
from builder.layers.listing import Listing, merged
from builder.layers.record import read_index
from builder.oci.graph import only_one
from builder.oci.manifest import Manifest
from builder.registry.model import Collection, Tag
from builder.storage.local import open_regular


def show_files(
    console: Console, collection: Collection, tag: Tag, path: str | None, platform: str | None
) -> None:
    """Print the files of an image, or the bytes of one of them.

    Raises ContentError for an image without listings, and a path it has not.
    """
    manifest = _image(collection, tag, platform)
    listings = _listings(collection, tag, manifest)
    found = merged(listings)
    if path is None:
        lines = [
            f"{entry.kind}{entry.mode:05o} {entry.size:>12} {number + 1:>3} {entry.path}"
            + (f" -> {entry.target}" if entry.target else "")
            for number, entry in found.values()
        ]
        value = [
            {"path": entry.path, "type": entry.kind, "size": entry.size, "mode": entry.mode,
             "layer": number + 1, "target": entry.target or None}
            for number, entry in found.values()
        ]  # fmt: skip
        console.result(value, "\n".join(map(printable, lines)))
        return
    if path.strip("/") not in found:
        raise ContentError.at(f"{collection.name}:{tag.name}", f"has no file {path}", "see --files")
    number, entry = found[path.strip("/")]
    layer = manifest.layers[number]
    place = collection.blobs[layer.digest]
    if place.file is None:
        raise ContentError.at(tag.origin, f"the layer {layer.digest} lies elsewhere: {place.url}")
    data = read_index(collection.folder, layer.digest, collection.origin)
    with open_regular(place.file, str(layer.digest)) as stream:
        for chunk in read_file(listings[number], entry, data, stream, tag.origin):
            sys.stdout.buffer.write(chunk)


def _image(collection: Collection, tag: Tag, platform: str | None) -> Manifest:
    """Return the image manifest of a tag: the only one, or that of a platform."""
    manifest = tag.manifest
    if manifest is None:
        raise ContentError.at(tag.origin, "the tag has no manifest")
    images = collection.images(manifest)
    if platform and manifest.is_index:
        images = (only_one(images, parse_platform(platform), tag.origin),)
    found = [item.manifest for item in images if item.manifest is not None]
    if len(found) != 1:
        there = ", ".join(repr(str(item.platform)) for item in images if item.platform)
        raise ContentError.at(tag.origin, "holds several images", f"--platform: one of {there}")
    return found[0]


def _listings(collection: Collection, tag: Tag, manifest: Manifest) -> list[Listing]:
    found = [collection.listings.get(layer.digest) for layer in manifest.layers]
    if not all(found):
        hint = "add the image again with --files"
        raise ContentError.at(tag.origin, "its layers have no listings", hint)
    return [listing for listing in found if listing is not None]
