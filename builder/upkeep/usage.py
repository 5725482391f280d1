"""How many bytes the registry takes on the disk, and who needs them.

Counted are regular files below the collections and the content store, each
inode once, by length. A collection's own bytes are those of its folder; of
the store it has what only it needs, and shares what others need too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.oci.digest import Digest
from builder.registry.model import RegistryOptions
from builder.storage import CloudStorage, LocalStorage
from builder.upkeep.gc import needs_of_all


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of one collection: in its folder, in the store alone, in the store with others."""

    name: str
    own: int
    unique: int
    shared: int

    @property
    def total(self) -> int:
        """All that the collection needs."""
        return self.own + self.unique + self.shared


@dataclass(frozen=True, slots=True)
class RegistryUsage:
    """Bytes of the whole registry.

    `collections` and `store` are what is on the disk; together they are
    `total`. `unreachable` is the part of it that nothing needs, `shared` the
    part of the store that more than one collection needs.
    """

    rows: tuple[Usage, ...]
    collections: int
    store: int
    shared: int
    unreachable: int

    @property
    def total(self) -> int:
        """What is on the disk."""
        return self.collections + self.store


@dataclass(frozen=True, slots=True)
class BucketUsage:
    """Bytes in the bucket of the registry's layers, and those of them that nothing here needs."""

    place: str
    total: int
    unreachable: int


def bucket_usage(options: RegistryOptions, storage: CloudStorage) -> BucketUsage:
    """Return what is in a bucket; raises ContentError as `usage` does, RemoteError."""
    needed = needs_of_all(options).all
    total = lost = 0
    for stored in storage.list():
        total += stored.size
        lost += 0 if stored.digest in needed else stored.size
    return BucketUsage(storage.label, total, lost)


def usage(options: RegistryOptions) -> RegistryUsage:
    """Return what every collection takes; raises ContentError when one cannot be read."""
    store = LocalStorage(options.source / options.store, options.store)
    sizes = {stored.digest: stored.size for stored in store.list()}
    found = needs_of_all(options)
    names = sorted(found.digests)
    needs = {name: found.digests[name] & sizes.keys() for name in names}
    count: dict[Digest, int] = {}
    for digests in needs.values():
        for digest in digests:
            count[digest] = count.get(digest, 0) + 1
    lost = sum(blob.size for blob in found.unreachable)
    root = options.source / options.collections
    seen: set[tuple[int, int]] = set()
    own = _own_bytes(root, names, seen)
    rows = tuple(
        Usage(
            name,
            own[name],
            sum(sizes[digest] for digest in needs[name] if count[digest] == 1),
            sum(sizes[digest] for digest in needs[name] if count[digest] > 1),
        )
        for name in names
    )
    shared = sum(sizes[digest] for digest, number in count.items() if number > 1)
    in_store = sum(size for _, size in _files(options.source / options.store, seen))
    return RegistryUsage(rows, sum(own.values()), in_store, shared, lost)


def _own_bytes(root: Path, names: list[str], seen: set[tuple[int, int]]) -> dict[str, int]:
    """Return the bytes of each collection's folder; what is in none counts under its top."""
    own = dict.fromkeys(names, 0)
    own[""] = 0
    for path, size in _files(root, seen):
        inner = path.relative_to(root).as_posix()
        while inner and inner not in own:
            inner = inner.rpartition("/")[0]
        own[inner] += size
    return own


def _files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[tuple[Path, int]]:
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base, name)
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                yield path, found.st_size
