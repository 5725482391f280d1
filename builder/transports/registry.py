"""A collection of this registry, read as any other medium: what `push` and `export` copy from."""

from __future__ import annotations

import io
from typing import BinaryIO, Self

from builder.errors import ContentError, one_of
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.registry.load import load_collection
from builder.registry.model import Collection, RegistryOptions
from builder.remote.fetch import open_url
from builder.remote.options import RemoteOptions
from builder.storage.base import Offsite
from builder.storage.cache import Cache
from builder.storage.local import open_regular
from builder.transports.base import Entered


class RegistrySource(Entered):
    """An `ImageSource` over a loaded collection.

    Its own blobs were hashed when it was loaded. Those that lie in `offsite`,
    the place that the configuration names, are fetched; those that only a
    manifest's `urls` tell of, with `allow_foreign` alone.
    """

    streams = 2
    suggested_tag = ""

    def __init__(
        self,
        collection: Collection,
        remote: RemoteOptions,
        *,
        offsite: Offsite | None,
        allow_foreign: bool,
    ) -> None:
        self.label = collection.origin
        self.collection = collection
        self._remote = remote
        self._offsite = offsite
        self._allow_foreign = allow_foreign

    @classmethod
    def load(
        cls,
        options: RegistryOptions,
        name: str,
        remote: RemoteOptions,
        *,
        allow_foreign: bool = False,
    ) -> Self:
        """Return the source for the collection `name`.

        Raises ContentError when it is not there, with every problem it has.
        """
        origin = f"{options.collections}/{name}"
        if not (options.source / origin).is_dir():
            raise ContentError.at(origin, "there is no such collection", "see 'builder list'")
        cache = Cache(options.source / ".builder-cache" / "cache.sqlite")
        loaded = load_collection(options, name, cache)
        cache.save(cache.drain())
        cache.close()
        if loaded.collection is None:
            raise ContentError(problem for problem in loaded.problems if not problem.warning)
        return cls(loaded.collection, remote, offsite=options.offsite, allow_foreign=allow_foreign)

    def names(self) -> tuple[str, ...]:
        """Return the tags that clients can pull."""
        return tuple(tag.name for tag in self.collection.tags if tag.in_v2)

    def resolve(self, reference: str = "") -> Descriptor:
        """Return what a tag or a digest names."""
        for tag in self.collection.tags:
            if tag.name == reference and tag.manifest is not None and tag.in_v2:
                return tag.manifest.descriptor
        for digest, manifest in self.collection.manifests.items():
            if digest == reference:
                return manifest.descriptor
        message = f"{self.collection.name} has no {reference!r} that can be pulled"
        hint = one_of(reference, self.names(), "its tags")
        raise ContentError.at(self.label, message, hint)

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return what refers to a manifest of the collection."""
        found = self.collection.referrers.get(digest, ())
        return tuple(self.collection.manifests[item].descriptor for item in found)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a manifest's bytes, a blob's file, or what its URL leads to.

        Raises FileNotFoundError, RemoteError; ContentError for a blob that
        only a foreign URL leads to, unless that is allowed.
        """
        manifest = self.collection.manifests.get(descriptor.digest)
        if manifest is not None:
            return io.BytesIO(manifest.raw)
        place = self.collection.blobs.get(descriptor.digest)
        if place is None:
            raise FileNotFoundError(descriptor.digest)
        if place.file is not None:
            return open_regular(place.file, f"{self.label}: {descriptor.digest}")
        named = self._offsite is not None and place.url == self._offsite.url(place.digest)
        if not named and not self._allow_foreign:
            message = f"{descriptor.digest} is not here; its manifest says {place.url}"
            raise ContentError.at(self.label, message, "fetch it from there with --allow-foreign")
        return open_url(place.url, self._remote, size=descriptor.size, named=named)
