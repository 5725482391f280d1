"""What a tag points to in a tree of files, be it a commit or a folder.

Reads only what the tag's folder names, so that a registry of many tags costs
nothing; what cannot be parsed counts by its bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from builder import frontmatter
from builder.errors import ContentError
from builder.git import Repository
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.layout import INDEX, REF_NAME
from builder.oci.manifest import Manifest
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, parse_manifest
from builder.pull_requests.base import Base
from builder.registry.folder import TAGS
from builder.registry.legacy import has_manifest, oci_manifest, parse_legacy
from builder.registry.recipe import MANIFEST
from builder.registry.scan import README
from builder.storage.local import blob_path, open_inside

Reader = Callable[[str], bytes | None]  # a path of the registry to its bytes, None for no file
_MAX_CHILDREN = 256  # manifests of one index that are looked into for its size


class Held(NamedTuple):
    """What a tag holds: a digest, and the bytes that a client could fetch for it."""

    digest: str
    size: int = 0


def committed(repository: Repository, commit: str, above: str) -> Reader:
    """Return the reader of a commit."""
    return lambda path: repository.read(commit, f"{above}{path}")


def on_disk(base: Base) -> Reader:
    """Return the reader of the work tree; what is reached through a link is not there."""

    def read(path: str) -> bytes | None:
        try:
            with open_inside(base.options.source, path, path) as stream:
                return stream.read(MAX_BYTES + 1)
        except (FileNotFoundError, ContentError):
            return None

    return read


def tag_at(read: Reader, folder: str, tag: str) -> Held | None:
    """Return what a tag of the collection's folder points to, None where it has no manifest."""
    inner = f"{folder}/{TAGS}/{tag}"
    if (raw := read(f"{inner}/{MANIFEST}")) is not None:
        return _held(read, folder, raw)
    if (raw := read(f"{inner}/{INDEX}")) is not None:
        entries = _entries(raw)
        return _entry(read, inner, entries[0]) if entries else Held(Digest.of(raw))
    raw = read(f"{inner}/{README}")
    return None if raw is None else _in_front_matter(raw, f"{inner}/{README}")


def layout_at(read: Reader, folder: str) -> dict[str, Held]:
    """Return the tags of a collection that is an image layout itself."""
    raw = read(f"{folder}/{INDEX}")
    entries = () if raw is None else _entries(raw)
    named = ((entry.annotations.get(REF_NAME, ""), entry) for entry in entries)
    return {tag: _entry(read, folder, entry) for tag, entry in named if tag}


def _entry(read: Reader, folder: str, entry: Descriptor) -> Held:
    raw = read(f"{folder}/{blob_path(entry.digest)}")
    return Held(entry.digest, _held(read, folder, raw).size if raw is not None else entry.size)


def _held(read: Reader, folder: str, raw: bytes) -> Held:
    try:
        manifest = parse_manifest(raw, allow_foreign=True)
    except ManifestError:
        return Held(Digest.of(raw))
    sizes: dict[Digest, int] = {}
    waiting = [manifest]
    looked = 0
    while waiting:
        item = waiting.pop()
        sizes.update({child.digest: child.size for child in item.children()})
        for child in item.manifests:
            looked += 1
            if looked <= _MAX_CHILDREN and (found := _child(read, folder, child)) is not None:
                waiting.append(found)
    return Held(manifest.digest, sum(sizes.values()))


def _child(read: Reader, folder: str, descriptor: Descriptor) -> Manifest | None:
    raw = read(f"{folder}/{blob_path(descriptor.digest)}")
    try:
        return None if raw is None else parse_manifest(raw, allow_foreign=True)
    except ManifestError:
        return None


def _entries(raw: bytes) -> tuple[Descriptor, ...]:
    try:
        return parse_manifest(raw, allow_foreign=True).manifests
    except ManifestError:
        return ()


def _in_front_matter(raw: bytes, label: str) -> Held | None:
    """Return the manifest that a README describes, as the original static registry wrote them."""
    try:
        matter = frontmatter.parse(raw, label)
        if not has_manifest(matter):
            return None
        legacy = parse_legacy(matter)
        manifest = oci_manifest(legacy)
    except (ContentError, ManifestError):
        return Held(Digest.of(raw))
    digest = manifest.digest if manifest is not None else Digest.of(legacy.raw)
    return Held(digest, sum(layer.size for layer in legacy.layers))
