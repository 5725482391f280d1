"""A repository while it is pushed to: what waits for a tag, and what the registry has already."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import BinaryIO, Self

from builder.errors import ContentError
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, DigestError
from builder.oci.manifest import Manifest
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, parse_manifest
from builder.receive.spool import Spool
from builder.registry.content import was_hashed
from builder.registry.folder import CollectionFolder
from builder.registry.model import RegistryOptions
from builder.storage import LocalStorage
from builder.storage.base import OffsiteStorage
from builder.storage.cache import Cache
from builder.storage.local import LINK_ABOVE


class Repository:
    """The repository `name` as an `ImageSource`: of what waits, then of what is here.

    `waiting` is its part of the spool, `folder` its collection, `offered` the
    manifest that is about to come in.
    """

    streams = 1
    suggested_tag = ""

    def __init__(self, options: RegistryOptions, spool: Spool, name: str) -> None:
        self.label = name
        self.offered: Manifest | None = None
        self.waiting = spool.of(name)
        self.folder = CollectionFolder(options, name)
        self.store = LocalStorage(options.source / options.store, options.store)
        self._offsite = options.offsite
        self._cache = options.source / ".builder-cache/cache.sqlite"

    def names(self) -> tuple[str, ...]:
        """Return nothing: whoever pushes gives the name."""
        return ()

    def resolve(self, reference: str = "") -> Descriptor:
        """Raise ContentError: whoever pushes knows the digest."""
        raise ContentError.at(self.label, f"{reference or 'a push'} must be requested by digest")

    def referrers(self, digest: str) -> tuple[Descriptor, ...]:
        """Return the waiting manifests whose subject is `digest`."""
        found = []
        for waiting in _digests(self.waiting.manifests):
            manifest = self.waiting_manifest(waiting)
            if manifest and manifest.subject and manifest.subject.digest == digest:
                found.append(manifest.descriptor)
        return tuple(found)

    def waiting_manifest(self, digest: Digest) -> Manifest | None:
        """Return a manifest that no tag leads to yet, under the digest that it was sent by."""
        return _parsed(self.waiting.manifests, digest)

    def child(self, digest: Digest) -> Manifest | None:
        """Return a manifest among the collection's blobs: a part of an index, or a referrer."""
        return _parsed(self.folder.blobs, digest)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open content, wherever it is; raises FileNotFoundError."""
        if self.offered is not None and self.offered.digest == descriptor.digest:
            return io.BytesIO(self.offered.raw)
        for storage in self._storages():
            if storage.size(descriptor.digest) is not None:
                return storage.open(descriptor.digest)
        if descriptor.media_type in mediatype.MANIFESTS:
            for tag, manifest in self.folder.manifests():
                if manifest.digest == descriptor.digest:
                    return self.folder.open_manifest(tag)
        raise FileNotFoundError(descriptor.digest)

    def holds_verified(self, descriptor: Descriptor) -> bool:
        """Tell whether content waits here that was hashed as it came, and is worth a link."""
        size = self.waiting.blobs.size(descriptor.digest)
        return size == descriptor.size and size > LINK_ABOVE

    def lacks(self, descriptor: Descriptor) -> bool:
        """Tell whether content is nowhere that this registry could serve it from."""
        self.waiting.drop_damaged(descriptor.digest, descriptor.size)
        try:
            self.open(descriptor).close()
        except FileNotFoundError:
            place = self._offsite
            is_far = isinstance(place, OffsiteStorage) and place.holds(
                descriptor.digest, descriptor.size
            )
            return not (is_far or descriptor.urls)
        return False

    def open_blob(self, digest: Digest) -> tuple[BinaryIO, bool] | None:
        """Open a blob that this repository has, for another; tell whether its digest is known."""
        if self.waiting.blobs.size(digest) is not None:
            return self.waiting.blobs.open(digest), True
        for storage in (self.folder.blobs, self.store):
            if storage.size(digest) is None:
                continue
            if storage is self.folder.blobs or digest in self.needed():
                with closing(Cache(self._cache)) as cache:
                    return storage.open(digest), was_hashed(cache, storage, digest)
        return None

    def needed(self) -> set[Digest]:
        """Return what the manifests of this repository name, whether or not a tag leads to them."""
        found: set[Digest] = set()
        for manifest in self._manifests():
            found.update(child.digest for child in manifest.children())
        return found

    def _manifests(self) -> Iterator[Manifest]:
        yield from (manifest for _, manifest in self.folder.manifests())
        for storage in (self.folder.blobs, self.waiting.manifests):
            for digest in _digests(storage):
                if (manifest := _parsed(storage, digest)) is not None:
                    yield manifest

    def _storages(self) -> tuple[LocalStorage, ...]:
        return self.waiting.manifests, self.waiting.blobs, self.folder.blobs, self.store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None: ...


def _digests(storage: LocalStorage) -> Iterator[Digest]:
    """Yield the digests of a storage's blobs; files of other names are none."""
    for stored in storage.list():
        with suppress(DigestError):
            yield Digest(stored.digest)


def _parsed(storage: LocalStorage, digest: Digest) -> Manifest | None:
    """Return the manifest that a blob is, if it is one."""
    size = storage.size(digest)
    if size is None or not 0 < size <= MAX_BYTES:
        return None
    try:
        with storage.open(digest) as stream:
            raw = stream.read()
        return replace(parse_manifest(raw, allow_foreign=True), digest=digest)
    except (ManifestError, FileNotFoundError):
        return None
