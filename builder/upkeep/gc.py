"""Finding blobs that nothing needs any more.

Kept is what a tag reaches (an index's children, configs, layers), every
referrer of what is kept, and what those need. A collection that cannot be
read keeps nothing from being found missing, so it stops the whole search:
better no gc than one that guesses.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from builder import frontmatter
from builder.errors import ContentError, Problem
from builder.layers.listing import FILES
from builder.oci import mediatype
from builder.oci.content import read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, DigestError
from builder.oci.layout import MARKER, ImageLayout
from builder.oci.manifest import Manifest
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, parse_manifest
from builder.registry.content import StorageReader, referrer
from builder.registry.folder import TAGS, CollectionFolder
from builder.registry.legacy import has_manifest, oci_manifest, parse_legacy
from builder.registry.model import RegistryOptions
from builder.registry.scan import README, scan
from builder.storage import CloudStorage, LocalStorage
from builder.storage.local import blob_path, sweep_folder


@dataclass(frozen=True, slots=True, order=True)
class Unreachable:
    """A blob that nothing needs; `folder` is the source path of what holds it, size in bytes."""

    folder: str
    digest: Digest
    size: int

    @property
    def path(self) -> str:
        """The blob's source path."""
        return f"{self.folder}/{blob_path(self.digest)}"


@dataclass(frozen=True, slots=True)
class Needs:
    """What the tags of each collection reach, by its name, and the blobs here that none does."""

    digests: Mapping[str, AbstractSet[Digest]]
    unreachable: tuple[Unreachable, ...]

    @property
    def all(self) -> set[Digest]:
        """What some collection needs."""
        return set().union(*self.digests.values())


def needs_of_all(options: RegistryOptions) -> Needs:
    """Return what all collections need, and what lies here and in the store for nothing.

    Raises ContentError when some collection cannot be read. An image layout's
    own blobs are left alone.
    """
    found: list[Unreachable] = []
    needed: dict[str, AbstractSet[Digest]] = {}
    problems: list[Problem] = []
    for name in _collections(options, problems):
        try:
            reached = _Reached(options, name)
        except ContentError as error:
            problems.extend(error.problems)
            continue
        found.extend(reached.unneeded())
        needed[name] = reached.digests
    if problems:
        raise ContentError(problems)
    store = LocalStorage(options.source / options.store, options.store)
    found.extend(_others(store, options.store, Needs(needed, ()).all))
    return Needs(needed, tuple(sorted(found)))


def unreachable_offsite(
    options: RegistryOptions, storage: CloudStorage, before: datetime
) -> tuple[Unreachable, ...]:
    """Return the blobs of a bucket that nothing here needs and that were written before a time.

    What is younger may belong to an image that is about to be added. Raises
    ContentError when some collection cannot be read, RemoteError.
    """
    needed = needs_of_all(options).all
    found = []
    for stored, written in storage.dated():
        digest = _digest(stored.digest)
        if digest is not None and digest not in needed and written < before:
            found.append(Unreachable(storage.label, digest, stored.size))
    return tuple(found)


def delete(options: RegistryOptions, blobs: Iterable[Unreachable]) -> None:
    """Delete blobs that nothing needs; call with the registry's lock held."""
    for blob in blobs:
        LocalStorage(options.source / blob.folder, blob.folder).delete(blob.digest)
    found = scan(options.source, options.collections).folders
    for name, folder in found.items():
        sweep_folder((options.source / options.collections / name).parent)
        if folder.is_collection:
            CollectionFolder(options, name).sweep()
            _drop_listings(options, name)


def _drop_listings(options: RegistryOptions, name: str) -> None:
    """Remove the listings of layers that the collection no longer needs."""
    needed = {digest.encoded for digest in reached(options, name)}
    folder = options.source / options.collections / name / "blobs" / FILES
    for path in folder.glob("*/*"):
        if path.name.partition(".")[0] not in needed:
            path.unlink(missing_ok=True)


def _collections(options: RegistryOptions, problems: list[Problem]) -> Iterator[str]:
    found = scan(options.source, options.collections)
    problems.extend(found.problems)
    yield from (name for name, folder in found.folders.items() if folder.is_collection)


def _others(
    storage: LocalStorage, folder: str, needed: AbstractSet[Digest]
) -> Iterator[Unreachable]:
    """Yield the blobs of a storage that are not needed; other files are nobody's business."""
    for stored in storage.list():
        digest = _digest(stored.digest)
        if digest is not None and digest not in needed:
            yield Unreachable(folder, digest, stored.size)


def _digest(text: str) -> Digest | None:
    """Return a stored blob's name as a digest; None for a name that is none."""
    try:
        return Digest(text)
    except DigestError:
        return None


def reached(options: RegistryOptions, name: str) -> set[Digest]:
    """Return all that the tags of a collection reach; raises ContentError."""
    return _Reached(options, name).digests


class _Reached:
    """What the tags of one collection reach; `digests` is all of it."""

    def __init__(self, options: RegistryOptions, name: str) -> None:
        self.digests: set[Digest] = set()
        self._folder = CollectionFolder(options, name)
        self._is_layout = (self._folder.path / MARKER).exists()
        self._storages = [
            self._folder.blobs,
            LocalStorage(options.source / options.store, options.store),
        ]
        for _, manifest in self._folder.manifests():
            self._keep(manifest)
        for tag in self._folder.tags():
            self._front_matter(tag)
            self._layout(self._folder.path / TAGS / tag, f"{self._folder.origin}/{TAGS}/{tag}")
        self._layout(self._folder.path, self._folder.origin)
        self._referrers()

    def unneeded(self) -> Iterator[Unreachable]:
        """Yield the collection's own blobs that are not reached."""
        if not self._is_layout:
            yield from _others(self._folder.blobs, self._folder.origin, self.digests)

    def _keep(self, manifest: Manifest) -> None:
        """Note a manifest and all that it needs, as far as it is here."""
        self.digests.add(manifest.digest)
        for child in manifest.children():
            known = child.digest in self.digests
            self.digests.add(child.digest)
            if not known and child.media_type in mediatype.MANIFESTS:
                self._child(child)

    def _child(self, descriptor: Descriptor) -> None:
        for storage in self._storages:
            if storage.size(descriptor.digest) is None:
                continue
            raw = read_verified(StorageReader(storage), descriptor, self._folder.origin)
            self._keep(self._parsed(raw, descriptor))
            return

    def _parsed(self, raw: bytes, descriptor: Descriptor) -> Manifest:
        try:
            return parse_manifest(raw, descriptor.media_type, allow_foreign=True)
        except ManifestError as error:
            raise error.located(self._folder.origin, descriptor.digest) from None

    def _front_matter(self, tag: str) -> None:
        """Keep what the front matter of a tag names by a digest that can be stored."""
        text = self._folder.readme(tag)
        if text is None:
            return
        matter = frontmatter.parse(text.encode(), f"{self._folder.origin}/{TAGS}/{tag}/{README}")
        if has_manifest(matter):
            manifest = oci_manifest(parse_legacy(matter))
            if manifest is not None:
                self._keep(manifest)

    def _layout(self, folder: Path, origin: str) -> None:
        """Keep all that an image layout's index names, with or without a tag."""
        if not os.path.lexists(folder / MARKER):
            return
        self._storages.insert(1, LocalStorage(folder, origin))
        for entry in ImageLayout(folder, origin).entries().entries:
            self.digests.add(entry.digest)
            if entry.media_type in mediatype.MANIFESTS:
                self._child(entry)

    def _referrers(self) -> None:
        """Keep manifests whose subject is kept, and their own referrers in turn."""
        waiting: dict[Digest, list[Manifest]] = {}
        for stored in self._folder.blobs.list():
            found = self._subject(stored)
            if found is not None and found.subject is not None:
                waiting.setdefault(found.subject.digest, []).append(found)
        kept = self.digests & waiting.keys()
        while kept:
            for subject in sorted(kept):
                for manifest in waiting.pop(subject):
                    self._keep(manifest)
            kept = self.digests & waiting.keys()

    def _subject(self, stored: tuple[str, int]) -> Manifest | None:
        """Return the manifest in a blob if it refers to another."""
        digest, size = stored
        if digest in self.digests or size > MAX_BYTES:
            return None
        with self._folder.blobs.open(digest) as stream:
            raw = stream.read(MAX_BYTES + 1)
        return referrer(raw, digest)
