"""Bringing an image in: its content first, the tag that names it last.

Everything is verified while it is copied, and a run that fails takes back
what it stored: a tag never points to something that is not there. Call with
`edit.lock` held.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from builder import frontmatter
from builder.errors import ContentError, LocalError
from builder.oci.content import ContentReader, opened
from builder.oci.descriptor import Descriptor, Platform
from builder.oci.digest import Digest, DigestError, VerifiedReader
from builder.oci.graph import Node, select_platform, walk
from builder.oci.manifest import Manifest
from builder.oci.reference import Reference
from builder.registry.folder import CollectionFolder, new_readme
from builder.registry.model import RegistryOptions
from builder.registry.scan import README
from builder.storage import LocalStorage

# Given the bytes to come, opens what is told of each chunk.
Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an image and its place: `collection`, `store` or `urls`.

    `kept` tells that it was there before.
    """

    descriptor: Descriptor
    place: str
    is_layer: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class Added:
    """What `add_image` did; `changed` is false when the tag was the same image before."""

    name: str
    tag: str
    digest: Digest
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]
    changed: bool

    @property
    def new_bytes(self) -> int:
        """How many bytes were stored, or would be."""
        return sum(part.descriptor.size for part in self.parts if not part.kept)


def add_image(
    options: RegistryOptions,
    source: ContentReader,
    descriptor: Descriptor,
    reference: Reference,
    *,
    label: str,
    created: str,
    progress: Progress | None = None,
    allow_foreign: bool = False,
    platform: Platform | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> Added:
    """Store the image that `descriptor` names in `source`, and let a tag point to it.

    `label` names the source in messages; `created` is the tag's date, ISO
    8601. Layers over `options.commit_below` bytes go to the content store,
    everything else into the collection. Raises ContentError for content that
    is not what it says, a move of an immutable tag without `force`; LocalError.
    """
    folder = CollectionFolder(options, reference.name)
    folder.check()
    folder.check_tag(reference.tag)
    if platform is not None:
        descriptor = select_platform(descriptor, source, label, platform)
    nodes = tuple(walk(descriptor, source, label, allow_foreign=allow_foreign))
    top = nodes[-1].manifest
    if top is None:
        raise ContentError.at(label, f"{descriptor.media_type} is not an image or an index")
    before = folder.raw_manifest(reference.tag)
    changed = before != top.raw
    if before is not None and changed and not force:
        folder.refuse_immutable(reference.tag, change="point to another image")
    parts = tuple(_place(options, folder, source, node) for node in nodes[:-1])
    warnings = tuple(dict.fromkeys(text for node in nodes for text in node.warnings))
    added = Added(reference.name, reference.tag, top.digest, parts, warnings, changed)
    if not dry_run:
        keep = _Keeper(options, folder, source, label)
        try:
            keep.content(nodes[:-1], parts, top, progress or _nobody)
            keep.tag(reference.tag, top, created, changed=changed)
        except BaseException:
            if folder.raw_manifest(reference.tag) != top.raw:
                keep.undo()
            raise
    return added


def _nobody(_: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


def _place(
    options: RegistryOptions, folder: CollectionFolder, source: ContentReader, node: Node
) -> Part:
    """Decide where a piece of content belongs, and see whether it is there."""
    descriptor = node.descriptor
    is_large = node.is_layer and descriptor.size > options.commit_below
    places = [("collection", folder.blobs)]
    if is_large:
        places.insert(0, ("store", _store(options)))
    for place, storage in places:
        if _holds(storage, descriptor):
            return Part(descriptor, place, node.is_layer, kept=True)
    if descriptor.urls and not _is_in(source, descriptor):
        return Part(descriptor, "urls", node.is_layer, kept=True)
    return Part(descriptor, places[0][0], node.is_layer, kept=False)


def _holds(storage: LocalStorage, descriptor: Descriptor) -> bool:
    """Tell whether a storage has a blob, judged by its bytes and not by its name."""
    if storage.size(descriptor.digest) != descriptor.size:
        return False
    with storage.open(descriptor.digest) as stream:
        verified = VerifiedReader(stream, descriptor.digest, descriptor.size)
        try:
            while verified.read():
                pass
        except DigestError:
            return False
    return True


def _is_in(source: ContentReader, descriptor: Descriptor) -> bool:
    try:
        source.open(descriptor).close()
    except FileNotFoundError:
        return False
    return True


def _store(options: RegistryOptions) -> LocalStorage:
    return LocalStorage(options.source / options.store, options.store)


class _Keeper:
    """Stores one image; forgets what it stored when it fails."""

    def __init__(
        self,
        options: RegistryOptions,
        folder: CollectionFolder,
        source: ContentReader,
        label: str,
    ) -> None:
        self._folder = folder
        self._source = source
        self._label = label
        self._storages = {"collection": folder.blobs, "store": _store(options)}
        self._options = options
        self._fresh: list[tuple[LocalStorage, Digest]] = []
        self._is_new = folder.readme() is None and not folder.tags()

    def content(
        self, nodes: Sequence[Node], parts: Sequence[Part], top: Manifest, progress: Progress
    ) -> None:
        """Store every part that is not there, and the README of a new collection."""
        total = sum(part.descriptor.size for part in parts if not part.kept)
        self._check_space(total)
        self._folder.sweep()
        if self._is_new:
            self._folder.write_readme(new_readme(top, self._folder.name))
        with progress(total) as advance:
            for node, part in zip(nodes, parts, strict=True):
                if part.kept:
                    continue
                storage = self._storages[part.place]
                if storage.size(part.descriptor.digest) is None:
                    self._fresh.append((storage, part.descriptor.digest))
                self._keep(storage, node, advance)

    def tag(self, tag: str, top: Manifest, created: str, *, changed: bool) -> None:
        """Let a tag point to the stored image."""
        readme = self._folder.readme(tag)
        if changed or readme is None:
            text = frontmatter.set_key(readme or "", "created", created)
            self._folder.write_tag(tag, top.raw, text)

    def undo(self) -> None:
        """Forget what was stored."""
        for storage, digest in self._fresh:
            storage.delete(digest)
        if self._is_new:
            (self._folder.path / README).unlink(missing_ok=True)
        self._folder.prune()

    def _keep(self, storage: LocalStorage, node: Node, advance: Callable[[int], None]) -> None:
        with opened(self._source, node.descriptor, self._label, node.place) as verified:
            storage.put(node.descriptor.digest, _Counted(verified, advance))

    def _check_space(self, total: int) -> None:
        """Refuse at once what the disk cannot hold."""
        free = shutil.disk_usage(self._options.source).free
        if total > free:
            message = f"needs {total} bytes of disk, {free} are free"
            raise LocalError(f"{self._label}: {message}", "make room, or add a smaller image")


class _Counted:
    """A source that tells how many bytes were read from it."""

    def __init__(self, source: VerifiedReader, advance: Callable[[int], None]) -> None:
        self._source = source
        self._advance = advance

    def read(self, count: int = 1 << 20, /) -> bytes:
        """Return up to `count` bytes; empty at the verified end."""
        chunk = self._source.read(count)
        self._advance(len(chunk))
        return chunk
