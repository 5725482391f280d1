"""Reading a whole registry, believing no cache, here and in the bucket that has its layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from builder.errors import ContentError, Problem
from builder.oci.content import opened
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.registry.content import StorageReader
from builder.registry.load import Loaded, load_collection
from builder.registry.model import Collection, RegistryOptions
from builder.registry.scan import scan
from builder.storage import CloudStorage
from builder.storage.cache import Cache
from builder.storage.local import blob_path


def load_all(options: RegistryOptions) -> tuple[tuple[Problem, ...], Iterator[Loaded]]:
    """Return the problems of the walk, and every collection in order of its name."""
    found = scan(options.source, options.collections)
    names = sorted(name for name, folder in found.folders.items() if folder.is_collection)
    cache = Cache(None)
    return tuple(found.problems), (load_collection(options, name, cache) for name in names)


def check_offsite(
    options: RegistryOptions, collection: Collection, storage: CloudStorage
) -> Iterator[Problem]:
    """Yield a problem for every blob of a collection that its bucket has not, or has wrongly.

    Blobs with addresses of their own were never brought there. Raises
    RemoteError when the bucket cannot be read.
    """
    for place in collection.blobs.values():
        if options.offsite is None or place.url != options.offsite.url(place.digest):
            continue
        label = f"{storage.label}/{blob_path(place.digest)}"
        descriptor = Descriptor(place.media_type, Digest(place.digest), place.size)
        try:
            with opened(StorageReader(storage), descriptor, label) as verified:
                while verified.read():
                    pass
        except ContentError as error:
            hint = f"{collection.origin} needs it: add the image again"
            yield from (replace(fault, hint=hint) for fault in error.problems)
