"""What an artifact is attached to: the manifest that a reference names in a collection."""

from __future__ import annotations

from typing import BinaryIO

from builder.errors import ContentError, one_of
from builder.oci.content import read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import select_platform
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.oci.validate import ManifestError, parse_manifest
from builder.registry.content import StorageReader
from builder.registry.folder import CollectionFolder
from builder.registry.model import RegistryOptions


def find_subject(
    options: RegistryOptions, reference: Reference, platform: Platform | None
) -> Descriptor:
    """Return the manifest that `reference` names, or one platform's of an index.

    Raises ContentError when it is not there.
    """
    folder = CollectionFolder(options, reference.name)
    folder.require()
    folder.check()
    top = _by_digest(folder, reference.digest) if reference.digest else _by_tag(folder, reference)
    if platform is None:
        return top
    return select_platform(top, _Reader(folder), str(reference), platform)


class _Reader:
    """What a collection holds itself; see `oci.content.ContentReader`."""

    def __init__(self, folder: CollectionFolder) -> None:
        self._folder = folder

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a blob, or the manifest of a tag; raises FileNotFoundError."""
        if self._folder.blobs.size(descriptor.digest) is None:
            for tag, manifest in self._folder.manifests():
                if manifest.digest == descriptor.digest:
                    return self._folder.open_manifest(tag)
        return self._folder.blobs.open(descriptor.digest)


def _by_tag(folder: CollectionFolder, reference: Reference) -> Descriptor:
    raw = folder.raw_manifest(reference.tag)
    if raw is None:
        message = f"there is no tag {reference.tag!r} with a manifest"
        hint = one_of(reference.tag, folder.tags(), "its tags")
        raise ContentError.at(str(reference), message, hint)
    return _described(raw, str(reference))


def _by_digest(folder: CollectionFolder, digest: Digest) -> Descriptor:
    for _, manifest in folder.manifests():
        if manifest.digest == digest:
            return manifest.bare
    size = folder.blobs.size(digest)
    if size is None or not folder.holds_manifest(digest):
        raise ContentError.at(f"{folder.name}@{digest}", "there is no such manifest")
    descriptor = Descriptor("", digest, size)
    return _described(read_verified(StorageReader(folder.blobs), descriptor, folder.origin), digest)


def _described(raw: bytes, label: str) -> Descriptor:
    try:
        manifest = parse_manifest(raw, allow_foreign=True)
    except ManifestError as error:
        raise error.located(label) from None
    return manifest.bare
