"""Finding and checking the content of one collection.

A blob is looked for in the collection's own `blobs/`, then in the content
store, then at the descriptor's `urls`, then at the configured remote place.
Every file that will be served is hashed once; a cache remembers that it was,
by path, size, times and inode.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from builder.errors import ContentError, Problem
from builder.oci import mediatype
from builder.oci.content import read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, DigestError
from builder.oci.graph import MAX_DEPTH, entries
from builder.oci.image import ImageConfig, parse_config
from builder.oci.manifest import Manifest
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, UnverifiableError, parse_manifest
from builder.registry.model import BlobPlace, RegistryOptions
from builder.storage import LocalStorage, Storage
from builder.storage.cache import Cache, CacheItem
from builder.storage.local import blob_path, changed_at, open_regular
from builder.storage.parallel import run_parallel

ALWAYS_HASHED = 64 << 10  # bytes; to hash less takes no longer than to look whether it was done
_SLOW = 16 << 20  # bytes; to hash more takes longer than to write down that it was done


class Missing(Exception):  # noqa: N818 - a fact about a tag, reported by who knows the tag
    """Content that is found nowhere."""

    def __init__(self, descriptor: Descriptor) -> None:
        super().__init__(str(descriptor.digest))
        self.descriptor = descriptor


class Unverifiable(Exception):  # noqa: N818 - a fact about a tag, reported by who knows the tag
    """Content that nobody here can verify."""


class ContentIndex:
    """All content of one collection, gathered while its tags are read.

    `manifests`, `configs` and `blobs` fill as `complete` is called; `elsewhere`
    holds the place of each piece, manifests included, that was found out of the
    collection's own folder. Faults of content go to `problem`.
    """

    def __init__(
        self,
        options: RegistryOptions,
        name: str,
        cache: Cache,
        problem: Callable[[Problem], None],
    ) -> None:
        self.manifests: dict[Digest, Manifest] = {}
        self.configs: dict[Digest, ImageConfig] = {}
        self.blobs: dict[str, BlobPlace] = {}
        self.elsewhere: dict[str, str] = {}
        self._store = options.store
        self._origin = f"{options.collections}/{name}"
        self._offsite = options.offsite
        self._cache = cache
        self._problem = problem
        staged = options.staged
        folders = [options.folder(name)]
        stores = [options.source / options.store]
        if staged is not None and staged.name == name:
            folders.append(options.source / self._origin)
            stores += [staged.store] if staged.store else []
        self._stores = [
            *((LocalStorage(folder, self._origin), self._origin) for folder in folders),
            *((LocalStorage(store, options.store), options.store) for store in stores),
        ]
        self._checked: dict[str, bool] = {}

    def add_layout(self, folder: Path, origin: str) -> None:
        """Also look for content in an image layout's `blobs/`."""
        self._stores.insert(1, (LocalStorage(folder, origin), origin))

    def read(self, descriptor: Descriptor) -> bytes:
        """Return small content, verified; raises Missing, ContentError."""
        for storage, origin in self._stores:
            if storage.size(descriptor.digest) is not None:
                label = f"{origin}/{blob_path(descriptor.digest)}"
                if origin == self._store:
                    self.elsewhere[descriptor.digest] = label
                return read_verified(StorageReader(storage), descriptor, label)
        raise Missing(descriptor)

    def complete(self, manifest: Manifest, origin: str, depth: int = 0) -> None:
        """Gather everything `manifest` needs.

        Raises Missing for the first piece that is nowhere, Unverifiable, ContentError.
        """
        if manifest.digest in self.manifests:
            return
        if depth > MAX_DEPTH:
            raise ContentError.at(origin, f"indexes are nested deeper than {MAX_DEPTH}")
        self._hash_large(manifest.blobs)
        for descriptor in manifest.blobs:
            self._place(descriptor)
        if manifest.is_image and manifest.config:
            self.configs[manifest.digest] = self._config(manifest, manifest.config, origin)
        for descriptor in manifest.manifests:
            if descriptor.media_type in mediatype.MANIFESTS:
                self.complete(self._child(descriptor, origin), origin, depth + 1)
            else:
                self._place(descriptor)
        self.manifests[manifest.digest] = manifest

    def warnings(self, manifest: Manifest) -> Iterator[str]:
        """Yield what is odd about a manifest that is complete, and about all in it."""
        children = entries(manifest, lambda entry: self.manifests.get(entry.digest))
        inner = [item.manifest for item in children if item.manifest is not None]
        for found in (manifest, *inner):
            about = f"{found.digest}: " if found is not manifest else ""
            config = self.configs.get(found.digest)
            for text in (*found.warnings, *(config.warnings if config else ())):
                yield f"{about}{text}"

    def unreached(self) -> Iterator[Manifest]:
        """Yield the manifests in the collection's own blobs that nothing has named yet."""
        storage, origin = self._stores[0]
        for stored in storage.list():
            digest = stored.digest
            if digest in self.blobs or digest in self.manifests or stored.size > MAX_BYTES:
                continue
            if (found := self._referrer(storage, digest, stored.size, origin)) is not None:
                yield found

    def _referrer(
        self, storage: LocalStorage, text: str, size: int, origin: str
    ) -> Manifest | None:
        with storage.open(text) as stream:
            raw = stream.read(size + 1)
        if (manifest := referrer(raw, text)) is None:
            return None
        if not manifest.digest.matches(raw):
            message = "the file's bytes do not have the digest that its name says"
            self._problem(Problem(f"{origin}/{blob_path(text)}", message=message))
            return None
        return manifest

    def _child(self, descriptor: Descriptor, origin: str) -> Manifest:
        """Return an entry of an index, under the digest that clients will ask for."""
        raw = self.read(descriptor)
        try:
            manifest = parse_manifest(raw, descriptor.media_type, allow_foreign=True)
            return replace(manifest, digest=descriptor.digest)
        except UnverifiableError as error:
            raise Unverifiable(f"{descriptor.digest}: {error.message}") from None
        except ManifestError as error:
            raise error.located(origin, f"{descriptor.digest}:") from None

    def _config(self, manifest: Manifest, descriptor: Descriptor, origin: str) -> ImageConfig:
        try:
            return parse_config(self.read(descriptor), manifest)
        except ManifestError as error:
            raise error.located(origin, f"{descriptor.digest}:") from None

    def _hash_large(self, descriptors: Sequence[Descriptor]) -> None:
        """Hash several large files at once, for `_verify` to find them hashed.

        It comes to those that are not what they should be once more, and says so.
        """
        large = {item.digest for item in descriptors if item.size > _SLOW} - self.blobs.keys()
        sound: list[CacheItem] = []

        def look(file: Path) -> None:
            with suppress(OSError, ContentError):
                digest, before = digests[file], os.lstat(file)
                if _encoded(file, digest, str(file)) == digest.partition(":")[2]:
                    sound.append((hashed_key(digest, before), b""))

        digests = {file: digest for digest in large if (file := self._unhashed(digest))}
        if len(digests) > 1:
            threads = os.cpu_count() or 1
            run_parallel(sorted(digests), look, threads=threads, stop=threading.Event())
            self._cache.save(sound)

    def _unhashed(self, digest: Digest) -> Path | None:
        """Return the file of a blob that is here and that nobody has hashed."""
        here = (storage for storage, _ in self._stores if storage.size(digest) is not None)
        storage = next(here, None)
        if storage is None or was_hashed(self._cache, storage, digest):
            return None
        return storage.path(digest)

    def _place(self, descriptor: Descriptor) -> None:
        if descriptor.digest in self.blobs:
            return
        place = self.blobs[descriptor.digest] = self._find(descriptor)
        if place.file is None:
            self.elsewhere[descriptor.digest] = place.url

    def _find(self, descriptor: Descriptor) -> BlobPlace:
        digest, size, kind = descriptor.digest, descriptor.size, descriptor.media_type
        for storage, origin in self._stores:
            if storage.size(digest) is not None:
                file = storage.path(digest)
                self._verify(file, descriptor, f"{origin}/{blob_path(digest)}")
                if origin == self._store:
                    self.elsewhere[digest] = str(file)
                return BlobPlace(digest, size, kind, file)
        # What has addresses of its own was never brought to the other place.
        if descriptor.urls:
            return BlobPlace(digest, size, kind, None, descriptor.urls[0])
        if self._offsite is not None:
            return BlobPlace(digest, size, kind, None, self._offsite.url(digest))
        raise Missing(descriptor)

    def _verify(self, file: Path, descriptor: Descriptor, label: str) -> None:
        """Check a blob's size and digest; a file already checked is not read again."""
        found = os.lstat(file)
        if stat.S_ISREG(found.st_mode) and found.st_size != descriptor.size:
            message = f"is {found.st_size} bytes; the manifest says {descriptor.size}"
            raise ContentError.at(label, message, "add the image again")
        actual = encoded_digest(file, descriptor.digest, found, self._cache, label)
        if actual != descriptor.digest.encoded:
            message = "the file's bytes do not have the digest that its name says"
            raise ContentError.at(label, message, "add the image again")


def encoded_digest(
    file: str | Path, digest: str, found: os.stat_result, cache: Cache, label: str
) -> str:
    """Return the hexadecimal digits of the digest that a blob's file has, which `digest` may be.

    `found` is how the file is now: one that is known to have that digest is not
    read again. Raises as `open_regular` does.
    """
    encoded = digest.partition(":")[2]
    key = hashed_key(digest, found)
    is_quick = found.st_size <= ALWAYS_HASHED
    if not is_quick and cache.get(key) is not None:
        return encoded
    actual = _encoded(file, digest, label)
    if actual == encoded and found.st_size > _SLOW:
        cache.save([(key, b"")])  # whatever becomes of this run, it is not hashed again
    elif actual == encoded and not is_quick:
        cache.put(key, b"")
    return actual


def _encoded(file: str | Path, digest: str, label: str) -> str:
    with open_regular(file, label) as stream:
        return hashlib.file_digest(stream, digest.partition(":")[0]).hexdigest()


def hashed_key(digest: str, found: os.stat_result) -> str:
    """Return what remembers that a file, as it is now, has the bytes of a digest."""
    return f"hashed {digest} {found.st_dev} {found.st_ino} {found.st_mtime_ns} {changed_at(found)}"


def was_hashed(cache: Cache, storage: LocalStorage, digest: str) -> bool:
    """Tell whether a blob's file, as it is now, was seen to have the bytes of its digest."""
    return cache.get(hashed_key(digest, os.lstat(storage.path(digest)))) is not None


class StorageReader:
    """A storage read by descriptor; see `oci.content.ContentReader`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open content; raises FileNotFoundError."""
        return self._storage.open(descriptor.digest)


def referrer(raw: bytes, digest: str) -> Manifest | None:
    """Return the manifest in a blob, under the blob's name, if it refers to another."""
    if not raw.lstrip().startswith(b"{") or b'"subject"' not in raw:
        return None
    try:
        manifest = replace(parse_manifest(raw, allow_foreign=True), digest=Digest(digest))
    except (ManifestError, DigestError):
        return None
    return manifest if manifest.subject else None


def referrers_of(manifests: Sequence[Manifest]) -> dict[Digest, tuple[Digest, ...]]:
    """Return which of `manifests` refer to which subject, in byte order of their digests."""
    found: dict[Digest, list[Digest]] = {}
    for manifest in manifests:
        if manifest.subject is not None:
            found.setdefault(manifest.subject.digest, []).append(manifest.digest)
    return {subject: tuple(sorted(items)) for subject, items in sorted(found.items())}
