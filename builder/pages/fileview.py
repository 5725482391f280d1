"""The files of an image, as far as its layers have listings: the largest, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.layers.listing import FileEntry, Listing, merged
from builder.oci.manifest import Manifest
from builder.registry.model import Collection

SHOWN = 100
CHANGES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file on a page; `layer` counts from 1, size in bytes."""

    path: str
    size: int
    layer: int


@dataclass(frozen=True, slots=True)
class Files:
    """The files of an image: how many, how large together, and the largest of them.

    `links` lead to the whole listings; `cut` tells that a listing is not whole.
    """

    count: int
    size: int
    lines: tuple[FileLine, ...]
    links: tuple[str, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What files came, went and changed between two images; the first few paths of each."""

    added: int
    removed: int
    changed: int
    lines: tuple[tuple[str, str], ...]


def files_of(collection: Collection, manifest: Manifest) -> Files | None:
    """Return the files of an image; None unless every layer has a listing."""
    listings = _listings(collection, manifest)
    if not listings:
        return None
    found = [(number, entry) for number, entry in merged(listings).values() if entry.kind in "fh"]
    largest = sorted(found, key=lambda item: (-item[1].size, item[1].path))[:SHOWN]
    return Files(
        len(found),
        sum(entry.size for _, entry in found),
        tuple(FileLine(entry.path, entry.size, number + 1) for number, entry in largest),
        tuple(f"/{collection.name}/blobs/{layer.digest}/files.json" for layer in manifest.layers),
        any(listing.cut for listing in listings),
    )


def file_changes(collection: Collection, old: Manifest, new: Manifest) -> FileChanges | None:
    """Return which files differ between two images; None unless both have listings."""
    before, after = _listings(collection, old), _listings(collection, new)
    if not before or not after:
        return None
    one, two = _identified(before), _identified(after)
    added = sorted(two.keys() - one.keys())
    removed = sorted(one.keys() - two.keys())
    changed = sorted(path for path in one.keys() & two.keys() if one[path] != two[path])
    lines = [
        *(("added", path) for path in added),
        *(("removed", path) for path in removed),
        *(("changed", path) for path in changed),
    ]
    return FileChanges(len(added), len(removed), len(changed), tuple(lines[:CHANGES_SHOWN]))


def _identified(listings: Sequence[Listing]) -> dict[str, tuple[str, FileEntry]]:
    """Return each path with what tells its content: the layer it is in, and its entry there."""
    found = merged(listings)
    return {
        path: (listings[number].digest, entry)
        for path, (number, entry) in found.items()
        if entry.kind != "d"
    }


def _listings(collection: Collection, manifest: Manifest) -> list[Listing]:
    known = collection.listings
    if not known or not manifest.layers:
        return []
    found = [known[layer.digest] for layer in manifest.layers if layer.digest in known]
    return found if len(found) == len(manifest.layers) else []
