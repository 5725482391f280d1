"""A collection of this registry as a place to write to: what `add` copies to.

Everything is staged; on the way out the judge sees it, and it is put in place
or forgotten. A dry run forgets it always, and takes the layers' bytes as read.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from builder import frontmatter
from builder.errors import LocalError
from builder.oci.content import ContentReader, is_held
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import Node
from builder.oci.manifest import Manifest
from builder.registry.content import ALWAYS_HASHED
from builder.registry.folder import CollectionFolder, new_readme
from builder.registry.model import RegistryOptions
from builder.registry.stage import OUTGOING, Judge, Stage, judge_collection
from builder.storage import LocalStorage
from builder.storage.base import OffsiteStorage
from builder.storage.local import make_folder
from builder.transports.sink import Opener, keep


@runtime_checkable
class VerifiedSource(ContentReader, Protocol):
    """A source that has hashed some of its files itself, and lets others have them."""

    def holds_verified(self, descriptor: Descriptor) -> bool:
        """Tell whether `open` gives a file with these very bytes, large enough to be linked."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an image and its place: `collection`, `store`, `offsite` or `urls`.

    `kept` tells that it was there before.
    """

    descriptor: Descriptor
    place: str
    is_layer: bool
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms images come in.

    `created` is the date that tags get, ISO 8601; `facts` are further keys of
    their front matter. `look` sees what was staged, and may add to it, before
    a tag names it. `judge` has the last word. `force` moves immutable tags,
    `dry_run` changes nothing, `allow_foreign` accepts layers that lie elsewhere.
    """

    created: str
    facts: Mapping[str, str] = field(default_factory=dict)
    look: Callable[[RegistrySink, str], None] | None = None
    judge: Judge = judge_collection
    force: bool = False
    dry_run: bool = False
    allow_foreign: bool = False


class RegistrySink:
    """An `ImageSink` over the collection `name`.

    `source` tells whether content with `urls` must be left where they point. `parts` says of each
    blob where it is. Layers over `commit_below` bytes go to the content
    store, or offsite.
    """

    streams = 4

    def __init__(
        self,
        options: RegistryOptions,
        name: str,
        source: ContentReader,
        terms: Terms,
    ) -> None:
        self.label = name
        self.parts: dict[Digest, Part] = {}
        self.moved_from: Digest | None = None
        self.folder = CollectionFolder(options, name)
        self.folder.check()
        self.stage = Stage(options, self.folder)
        self._options = options
        self._source = source
        self._terms = terms
        self._is_prepared = False
        self._store = LocalStorage(options.source / options.store, options.store)
        self._outbox = options.source / OUTGOING / self.stage.folder.name
        self._outgoing = LocalStorage(self._outbox, OUTGOING)
        self._offsite = options.offsite if isinstance(options.offsite, OffsiteStorage) else None

    def has(self, node: Node) -> bool:
        """Decide where a blob belongs, and tell whether it is there."""
        part = self._place(node)
        self.parts[node.descriptor.digest] = part
        return part.kept

    def put(self, node: Node, opener: Opener) -> None:
        """Stage a blob; what goes offsite waits in the cache until it was judged."""
        place, digest = self.parts[node.descriptor.digest].place, node.descriptor.digest
        stages = {"collection": self.stage.blobs, "store": self.stage.large}
        storage = stages.get(place, self._outgoing)
        if self._terms.dry_run and node.is_layer and node.descriptor.size > ALWAYS_HASHED:
            _reserve(storage.path(digest), node.descriptor.size)
        elif not self._link(storage, node):
            keep(storage, node, opener)
        self.stage.learn(storage, digest)

    def put_manifest(self, manifest: Manifest, name: str = "") -> bool:
        """Stage a manifest: as a tag under a name, else as a blob."""
        if name:
            return self._put_tag(manifest, name)
        if is_held(self.folder.blobs, manifest.descriptor):
            return False
        self.stage.blobs.put(manifest.digest, io.BytesIO(manifest.raw))
        if manifest.subject is not None:
            self.stage.show_last(manifest.digest)
        return True

    def check_tag(self, manifest: Manifest, tag: str) -> bool:
        """Tell whether a tag would move; raises ContentError when it may not, or cannot be."""
        self.folder.check_tag(tag)
        before = self.folder.raw_manifest(tag)
        moves = before != manifest.raw
        if before is not None and moves:
            self.moved_from = Digest.of(before)
            if not self._terms.force:
                self.folder.refuse_immutable(tag, change="point to another image")
        return moves

    def find(self, digest: str) -> Path | None:
        """Return the file of a blob that is staged, or here; None where it lies elsewhere."""
        storages = (self.stage.blobs, self.stage.large, self._outgoing, self.folder.blobs)
        for storage in (*storages, self._store):
            if storage.size(digest) is not None:
                return storage.path(digest)
        return None

    def check_space(self, nodes: Iterable[Node]) -> None:
        """Raise LocalError at once for what the disk cannot hold."""
        total = sum(node.descriptor.size for node in nodes if not self._is_verified(node))
        free = shutil.disk_usage(self._options.source).free
        if total > free:
            message = f"needs {total} bytes of disk, {free} are free"
            raise LocalError(f"{self.label}: {message}", "make room, or add a smaller image")

    def __enter__(self) -> Self:
        self.stage.__enter__()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Ask the judge, and put what was staged in place; or leave nothing behind."""
        try:
            if error is None:
                self.prepare()
                if not self.stage.is_empty and not self._terms.dry_run:
                    self.stage.commit()
        finally:
            shutil.rmtree(self._outbox, ignore_errors=True)
            self.stage.__exit__(kind, error, trace)

    def prepare(self) -> None:
        """Ask the judge, and send what goes offsite, once: all that is left is to show it.

        Raises ContentError for what the judge refuses, RemoteError.
        """
        if self._is_prepared:
            return
        if not self.stage.is_empty:  # else a layer that was damaged there is sent again
            self.stage.judge(self._terms.judge)
        for part in self.parts.values() if not self._terms.dry_run else ():
            item = part.descriptor
            if self._offsite is not None and part.place == "offsite" and not part.kept:
                self._offsite.put(item.digest, item.size, self._outgoing.path(item.digest))
        self._is_prepared = True

    def _put_tag(self, manifest: Manifest, tag: str) -> bool:
        """Stage a tag; its date is that of its last move."""
        moves = self.check_tag(manifest, tag)
        if self._terms.look is not None and not self._terms.dry_run:
            self._terms.look(self, tag)
        before = self.folder.readme(tag)
        text = before or ""
        if moves or before is None:
            text = frontmatter.set_key(text, "created", self._terms.created)
        for key, value in self._terms.facts.items():
            text = frontmatter.set_key(text, key, value)
        if moves or text != before or not self.stage.is_empty:
            if self.folder.readme() is None and not self.folder.tags():
                self.stage.write_readme(new_readme(manifest, self.folder.name))
            self.stage.write_tag(tag, manifest.raw, text)
        return moves

    def _place(self, node: Node) -> Part:
        descriptor, is_layer = node.descriptor, node.is_layer
        is_large = is_layer and descriptor.size > self._options.commit_below
        far = self._offsite if is_large else None
        places = ["collection"]
        if is_large and far is None:
            places.insert(0, "store")
        storages = {"store": self._store, "collection": self.folder.blobs}
        for place in places:
            if self.stage.holds(storages[place], descriptor):
                return Part(descriptor, place, is_layer, kept=True)
        if far is not None and not descriptor.urls:
            kept = far.holds(descriptor.digest, descriptor.size)
            return Part(descriptor, "offsite", is_layer, kept=kept)
        if descriptor.urls and not self._is_in_source(descriptor):
            return Part(descriptor, "urls", is_layer, kept=True)
        return Part(descriptor, places[0], is_layer, kept=False)

    def _is_verified(self, node: Node) -> bool:
        return isinstance(self._source, VerifiedSource) and self._source.holds_verified(
            node.descriptor
        )

    def _link(self, storage: LocalStorage, node: Node) -> bool:
        """Take over a file whose digest is known, under one more name; tell whether it could be."""
        descriptor = node.descriptor
        if not self._is_verified(node):
            return False
        with self._source.open(descriptor) as stream:
            return storage.link(descriptor.digest, stream, descriptor.size, lambda _: io.BytesIO())

    def _is_in_source(self, descriptor: Descriptor) -> bool:
        try:
            self._source.open(descriptor).close()
        except FileNotFoundError:
            return False
        return True


def _reserve(path: Path, size: int) -> None:
    """Let a file be as large as content that a dry run does not fetch; it takes no disk."""
    make_folder(path.parent)
    with path.open("wb") as file:
        file.truncate(size)
