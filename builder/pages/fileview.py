"""The files of an image, as far as its layers have listings: the largest, and what changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from builder.layers.listing import FileEntry, Listing
from builder.layers.rootfs import RootFS
from builder.oci.manifest import Manifest
from builder.pages.downloads import blob_url
from builder.pages.model import PageOptions
from builder.registry.model import Collection

SHOWN = 50
CHANGES_SHOWN = 50
_WAYS = ("added", "removed", "changed")


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file on a page; `layer` counts from 1, size in bytes."""

    path: str
    size: int
    layer: int


@dataclass(frozen=True, slots=True)
class ListedLayer:
    """A layer whose files are known: where its listing is, and where its own bytes are.

    `size` is packed and `unpacked` is not, both in bytes; `url` is empty where
    the layer is not to be had.
    """

    digest: str
    size: int
    unpacked: int
    listing: str
    url: str


@dataclass(frozen=True, slots=True)
class Files:
    """The files of an image: how many, how large together, and the largest of them.

    `cut` tells that a listing is not whole. Of the other images of an index
    only the layers are known.
    """

    platform: str
    layers: tuple[ListedLayer, ...]
    cut: bool
    count: int = 0
    size: int = 0
    lines: tuple[FileLine, ...] = ()


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What files came, went and changed between two images; the first few paths of each."""

    added: int
    removed: int
    changed: int
    lines: tuple[tuple[str, str], ...]


def files_of(
    collection: Collection, main: Manifest, others: Mapping[str, Manifest], options: PageOptions
) -> Iterator[Files]:
    """Yield the files of an image, then of the others by platform, where all layers are listed."""
    if listings := _listings(collection, main):
        image = _merged(tuple(listings), collection.origin, os.getpid())
        largest = image.largest(SHOWN)
        lines = tuple(FileLine(entry.path, entry.size, layer + 1) for layer, entry in largest)
        count, size = image.total()
        listed = _listed("", collection, listings, options)
        yield replace(listed, count=count, size=size, lines=lines)
    for platform, manifest in others.items():
        if listings := _listings(collection, manifest):
            yield _listed(platform, collection, listings, options)


def _listed(
    platform: str, collection: Collection, listings: Sequence[Listing], options: PageOptions
) -> Files:
    layers = tuple(_layers(collection, listings, options))
    return Files(platform, layers, any(listing.facts.cut for listing in listings))


def _layers(
    collection: Collection, listings: Sequence[Listing], options: PageOptions
) -> Iterator[ListedLayer]:
    for listing in listings:
        digest = listing.digest
        place = collection.blobs.get(digest)
        url = blob_url(collection, digest, options)
        size, unpacked = place.size if place is not None else 0, listing.facts.unpacked
        path = f"/{collection.name}/blobs/{digest}/files.json"
        yield ListedLayer(digest, size, unpacked, path, url)


@lru_cache(maxsize=2)
def _merged(listings: tuple[Listing, ...], label: str, process: int) -> RootFS:
    """Return the files of an image; it is asked for again when the next version is compared.

    Of each process its own: a database is not shared with who was forked.
    """
    del process
    return RootFS.of(listings, label)


def file_changes(collection: Collection, old: Manifest, new: Manifest) -> FileChanges | None:
    """Return which files differ between two images; None unless both have listings."""
    before, after = _listings(collection, old), _listings(collection, new)
    if not before or not after:
        return None
    counts = dict.fromkeys(_WAYS, 0)
    lines: dict[str, list[str]] = {way: [] for way in _WAYS}
    one, two = (
        _identified(_merged(tuple(found), collection.origin, os.getpid()), found)
        for found in (before, after)
    )
    for way, path in _compared(one, two):
        counts[way] += 1
        if len(lines[way]) < CHANGES_SHOWN:
            lines[way].append(path)
    shown = [(way, path) for way in _WAYS for path in lines[way]]
    added, removed, changed = counts.values()
    return FileChanges(added, removed, changed, tuple(shown[:CHANGES_SHOWN]))


_Identified = tuple[str, str, FileEntry]


def _identified(image: RootFS, listings: Sequence[Listing]) -> Iterator[_Identified]:
    """Yield each path with what tells its content: the layer it is in, and its entry there."""
    for layer, entry in image.entries():
        if entry.kind != "d":
            yield entry.path, listings[layer].digest, entry


def _compared(one: Iterator[_Identified], two: Iterator[_Identified]) -> Iterator[tuple[str, str]]:
    """Yield each path that differs and how; both sides are in byte order of the paths."""
    old, new = next(one, None), next(two, None)
    while old or new:
        if new is None or (old is not None and old[0].encode() < new[0].encode()):
            yield "removed", (old or ("",))[0]
            old = next(one, None)
        elif old is None or new[0].encode() < old[0].encode():
            yield "added", new[0]
            new = next(two, None)
        else:
            if old != new:
                yield "changed", new[0]
            old, new = next(one, None), next(two, None)


def _listings(collection: Collection, manifest: Manifest) -> list[Listing]:
    found = [listing for listing in collection.listings_of(manifest) if listing is not None]
    return found if len(found) == len(manifest.layers) else []
