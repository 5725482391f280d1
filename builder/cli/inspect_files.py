"""`builder inspect --files` and `--file`: what is inside an image."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence

from builder.cli.add import parse_platform
from builder.cli.console import Console, spelled
from builder.errors import ContentError, Problem, printable
from builder.layers.extract import read_file
from builder.layers.listing import FileEntry, Listing, as_text
from builder.layers.record import read_index
from builder.layers.rootfs import Found, LinkError, RootFS
from builder.oci import mediatype
from builder.oci.graph import only_one
from builder.oci.manifest import Manifest
from builder.registry.model import Collection, Tag
from builder.storage.local import open_regular

_WORDS = {
    "d": "is a folder", "p": "is a pipe", "c": "is a character device", "b": "is a block device",
}  # fmt: skip
_HINT = "add the image again with --files"


def show_files(
    console: Console, collection: Collection, tag: Tag, path: str | None, platform: str | None
) -> None:
    """Print the files of an image, or the bytes of one of them.

    Raises ContentError for an image without listings, a path it has not, and
    where a listing that is not whole leaves it open what is there.
    """
    manifest = _image(collection, tag, platform)
    listings = collection.listings_of(manifest)
    if not any(listings):
        raise ContentError.at(tag.origin, "its layers have no listings", _HINT)
    doubts = _doubts(manifest, listings)
    with RootFS.of(listings, tag.origin) as image:
        if path is None:
            for number, doubt in doubts.items():
                text = (
                    f"{tag.name}: the layer {number + 1}, {manifest.layers[number].digest}, {doubt}"
                )
                console.warn(Problem(tag.origin, message=text, hint=_HINT, warning=True))
            _list(image, as_json=console.as_json)
            return
        found = _find(image, path, tag, any_doubt=next(iter(doubts.values()), ""))
        doubt = next((text for number, text in doubts.items() if number >= found.layer), "")
        if doubt:
            message = f"{path}: cannot tell what it contains: a layer {doubt}"
            raise ContentError.at(tag.origin, message, _HINT)
    for chunk in _read(collection, manifest, listings[found.layer], found, tag):
        sys.stdout.buffer.write(chunk)


def _doubts(manifest: Manifest, listings: Sequence[Listing | None]) -> dict[int, str]:
    """Return why it is not known what some layers hold, by their number."""
    found: dict[int, str] = {}
    for number, (layer, listing) in enumerate(zip(manifest.layers, listings, strict=True)):
        if listing is not None and listing.facts.cut:
            found[number] = f"is not listed to its end: {listing.facts.cut}"
        elif listing is None and mediatype.is_filesystem_layer(layer.media_type):
            found[number] = "has no listing"
    return found


def _list(image: RootFS, *, as_json: bool) -> None:
    """Print every path, as they come: there can be millions."""
    if not as_json:
        for found in image.entries():
            sys.stdout.write(printable(_line(*found)) + "\n")
        return
    before = "[\n"
    for layer, entry in image.entries():
        value = {"path": entry.path, "type": entry.kind, "size": entry.size, "mode": entry.mode,
                 "layer": layer + 1, "target": entry.target or None}  # fmt: skip
        sys.stdout.write(before + spelled(json.dumps(value, ensure_ascii=False)))
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def _line(layer: int, entry: FileEntry) -> str:
    target = f" -> {entry.target}" if entry.target else ""
    return f"{entry.kind}{entry.mode:05o} {entry.size:>12} {layer + 1:>3} {entry.path}{target}"


def _find(image: RootFS, path: str, tag: Tag, *, any_doubt: str) -> Found:
    """Return the file that a path leads to, as bytes or as `--files` shows it.

    `any_doubt` says of a layer why it is not known what all of it holds.
    """
    named = as_text(os.fsencode(path))  # an argument may be no UTF-8 either
    try:
        found = image.find(named)
        if found is None and path.isprintable():
            found = image.find(path)  # as --files shows it
        there = image.resolve(named)
    except LinkError:
        raise ContentError.at(tag.origin, f"{path}: its links form a loop") from None
    if found is None and any_doubt:
        message = f"{path}: cannot tell whether it exists: a layer {any_doubt}"
        raise ContentError.at(tag.origin, message, _HINT)
    if found is None:
        way = f", where it leads: {there}" if there != named.strip("/") else ""
        raise ContentError.at(tag.origin, f"{tag.name} has no file {path}{way}", "see --files")
    if found.entry.kind == "h" and not found.entry.offset:
        message = f"{path} is a hard link to {found.entry.target}, which is not there"
        raise ContentError.at(tag.origin, message)
    if found.entry.kind not in "fh":
        message = f"{path} {_WORDS[found.entry.kind]}, no regular file"
        raise ContentError.at(tag.origin, message, "see --files")
    return found


def _read(
    collection: Collection, manifest: Manifest, listing: Listing | None, found: Found, tag: Tag
) -> Iterator[bytes]:
    layer = manifest.layers[found.layer]
    place = collection.blobs[layer.digest]
    if place.file is None or listing is None:
        raise ContentError.at(tag.origin, f"the layer {layer.digest} lies elsewhere: {place.url}")
    index = read_index(collection.folder, layer.digest, collection.origin)
    with open_regular(place.file, str(layer.digest)) as stream:
        yield from read_file(listing.facts, found.entry, index, stream, tag.origin)


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
