"""What tags point to, before a proposal and with it.

The loader says it of both, and nothing else does: what it does not read hides
no change, and what it reads is shown.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from builder.errors import ContentError
from builder.git import LINK, SUBMODULE, File
from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.offsite.web import WebFolder
from builder.pull_requests.base import Base, tag_of
from builder.registry.legacy import oci_manifest
from builder.registry.load import Loaded, load_collection
from builder.registry.model import RegistryOptions, Tag
from builder.storage.cache import Cache

_ELSEWHERE = WebFolder("https://invalid")  # a layer that was left out is somewhere
_MAX_FILE = 1 << 20  # bytes; larger ones are layers, which say nothing of what a tag points to
Touched = Names[tuple[str, str]]  # names and tags


class Held(NamedTuple):
    """What a tag holds: a digest, and the bytes that a client could fetch for it."""

    digest: str
    size: int = 0


def load_all(options: RegistryOptions, names: Iterable[str]) -> dict[str, Loaded]:
    """Return those of some collections that are there."""
    found = {}
    for name in names:
        try:
            found[name] = load_collection(options, name, Cache(None))
        except (ContentError, FileNotFoundError):
            continue
    return found


def load_at(base: Base, commit: str, names: Names[str], touched: Touched) -> dict[str, Loaded]:
    """Return collections as they are in a commit, of their tag folders those that were touched.

    Layers are taken to be somewhere.
    """
    files = [file for file in base.files(commit) if _counts(base, file, names, touched)]
    with TemporaryDirectory(prefix="builder-base-") as folder:
        for file, raw in zip(files, base.repository.contents(files), strict=True):
            path = Path(folder, base.path(file.path))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        options = replace(base.options, source=Path(folder), offsite=_ELSEWHERE)
        return load_all(options, names)


def held_by(loaded: Loaded | None, touched: Touched) -> dict[str, Held]:
    """Return what the tags of a collection hold: those of an image layout, and what was touched."""
    if loaded is None:
        return {}
    seen = loaded.seen
    index = f"{seen.origin}/index.json"
    wanted = [tag for tag in seen.tags if tag.origin == index or (seen.name, tag.name) in touched]
    found = ((tag.name, _held(tag, seen.manifests)) for tag in wanted)
    return {name: held for name, held in found if held is not None}


def _counts(base: Base, file: File, names: Names[str], touched: Touched) -> bool:
    path = base.path(file.path)
    name = base.collection(path)
    if name not in names or file.size > _MAX_FILE or file.mode in (LINK, SUBMODULE):
        return False
    tag = tag_of(path, name, base.options.collections)
    return not tag or (name, tag) in touched


def _held(tag: Tag, manifests: Mapping[Digest, Manifest]) -> Held | None:
    manifest = tag.manifest
    if manifest is None and tag.legacy is not None:
        size = sum(layer.size for layer in tag.legacy.layers)
        manifest = oci_manifest(tag.legacy)
        return Held(Digest.of(tag.legacy.raw) if manifest is None else manifest.digest, size)
    return None if manifest is None else Held(manifest.digest, _size(manifest, manifests))


def _size(manifest: Manifest, manifests: Mapping[Digest, Manifest]) -> int:
    """Return the bytes of all that a manifest leads to, each once."""
    sizes: dict[Digest, int] = {}
    waiting = [manifest]
    while waiting:
        for child in waiting.pop().children():
            if child.digest not in sizes and child.digest in manifests:
                waiting.append(manifests[child.digest])
            sizes[child.digest] = child.size
    return sum(sizes.values())
