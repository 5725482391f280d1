"""Bringing layers from the content store to the place that `registry.blobs` names.

What a machine without a login there has stored is brought by one that has it:
CI builds recipes without any token. Call with `edit.lock` held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.errors import ContentError, Problem, UsageError
from builder.oci import mediatype
from builder.oci.content import is_held
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.registry.model import RegistryOptions
from builder.registry.scan import scan
from builder.storage import LocalStorage
from builder.storage.base import OffsiteStorage
from builder.storage.local import blob_path
from builder.upkeep.gc import reached


@dataclass(frozen=True, slots=True)
class Offloaded:
    """A layer that was brought away, or would be; size in bytes, `url` is where it is now."""

    digest: str
    size: int
    url: str


def offload(options: RegistryOptions, *, dry_run: bool = False) -> Iterator[Offloaded]:
    """Bring every blob of the content store that a tag needs to its place, one by one.

    A blob leaves the store when it can be had there. Raises UsageError where
    no such place is configured, ContentError for collections that cannot be
    read and for a blob that is not what its name says, RemoteError.
    """
    place = options.offsite
    if not isinstance(place, OffsiteStorage):
        hint = "set it to s3://BUCKET/PREFIX, github-release://OWNER/REPO/TAG or docker://HOST/NAME"
        raise UsageError("registry.blobs does not name a place to upload layers to", hint)
    needed = _needed(options)
    store = LocalStorage(options.source / options.store, options.store)
    for digest, size in [item for item in store.list() if item.digest in needed]:
        if not is_held(store, Descriptor(mediatype.OCTET_STREAM, Digest(digest), size)):
            where = f"{options.store}/{blob_path(digest)}"
            raise ContentError.at(where, "the file's bytes do not have the digest of its name")
        if not dry_run:
            if not place.holds(digest, size):
                place.put(digest, size, store.path(digest))
            store.delete(digest)
        yield Offloaded(digest, size, place.url(digest))


def _needed(options: RegistryOptions) -> set[str]:
    """Return the digests of all that tags reach; raises ContentError with every problem."""
    found = scan(options.source, options.collections)
    problems: list[Problem] = list(found.problems)
    needed: set[str] = set()
    for name, folder in found.folders.items():
        if not folder.is_collection:
            continue
        try:
            needed |= reached(options, name)
        except ContentError as error:
            problems += error.problems
    if problems:
        raise ContentError(problems)
    return needed
