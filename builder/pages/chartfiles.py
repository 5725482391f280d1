"""What people ask of a chart before they install it: its values, and its README."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from builder.errors import BuilderError
from builder.layers.compression import CompressionError, Unpacked
from builder.layers.tarwalk import Forward, walk
from builder.oci.manifest import Manifest
from builder.pages.imageview import Pair
from builder.registry.model import BlobPlace, Collection
from builder.storage.local import open_regular

_CONTENT = "application/vnd.cncf.helm.chart.content."
_SHOWN = ("values.yaml", "README.md", "Chart.yaml")  # of the chart itself, not of what it needs
_MAX_PACKED, _MAX_UNPACKED, _MAX_FILE, _MAX_MEMBERS = 1 << 20, 8 << 20, 64 << 10, 2_000


def chart_files(collection: Collection, manifest: Manifest) -> tuple[Pair, ...]:
    """Return names and texts of a chart's own files; none of one that is not here, or is odd."""
    for layer in manifest.layers:
        place = collection.blobs.get(layer.digest)
        if layer.media_type.startswith(_CONTENT) and place is not None:
            return _files(place)
    return ()


@lru_cache(maxsize=256)
def _files(place: BlobPlace) -> tuple[Pair, ...]:
    if place.file is None or place.size > _MAX_PACKED:
        return ()
    try:
        found = dict(_read(place.file, str(place.digest)))
    except (BuilderError, CompressionError, OSError):
        return ()
    return tuple(Pair(name, found[name]) for name in _SHOWN if name in found)


def _read(file: Path, label: str) -> Iterator[tuple[str, str]]:
    with open_regular(file, label) as stream:
        tar = Forward(Unpacked(stream, _MAX_UNPACKED), label)
        for path, member in walk(tar, label, limit=_MAX_MEMBERS):
            _, _, name = path.partition("/")
            if (
                name in _SHOWN
                and not member.fault
                and not member.target
                and member.size <= _MAX_FILE
            ):
                yield name, tar.read(member.size).decode("utf-8", "replace")
