"""`builder add --files`: listings of what the layers hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from builder.layers.record import record_listings
from builder.oci.descriptor import Descriptor
from builder.oci.digest import VerifiedReader
from builder.registry.folder import CollectionFolder
from builder.registry.intake import Added
from builder.registry.model import RegistryOptions
from builder.remote.fetch import open_url
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError
from builder.storage import LocalStorage


def list_files(
    options: RegistryOptions, found: Sequence[Added], remote: RemoteOptions
) -> list[str]:
    """Make the listings of all layers that were added, or were there, and have none.

    Layers that are kept elsewhere are fetched for it, one at a time. Returns
    the digests of those that were listed.
    """
    folder = CollectionFolder(options, found[0].name)
    store = LocalStorage(options.source / options.store, options.store)
    layers = [part.descriptor for added in found for part in added.parts if part.is_layer]
    cache = options.source / ".builder-cache"
    cache.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="layers-", dir=cache) as spool:
        fetched = LocalStorage(Path(spool))

        def find(layer: Descriptor) -> Path | None:
            for storage in (folder.blobs, store):
                if storage.size(layer.digest) is not None:
                    return storage.path(layer.digest)
            for old in list(fetched.list()):
                fetched.delete(old.digest)
            return _fetch(layer, fetched, options, remote)

        return record_listings(folder.path, layers, find, folder.origin)


def _fetch(
    layer: Descriptor, into: LocalStorage, options: RegistryOptions, remote: RemoteOptions
) -> Path | None:
    """Return a file of a layer that `registry.blobs` has; None where it has it not."""
    if options.offsite is None:
        return None
    url = options.offsite.url(layer.digest)
    try:
        with open_url(url, remote, size=layer.size, named=True) as stream:
            into.put(layer.digest, VerifiedReader(stream, layer.digest, layer.size))
    except NotFoundError:
        return None
    return into.path(layer.digest)
