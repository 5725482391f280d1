"""Storing the content of images: verified, several pieces at once, all of it or nothing.

Pieces are read by as many threads as their source allows. When one fails, or
the user interrupts, the others stop at their next chunk and what was stored
is taken back.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from builder.errors import LocalError
from builder.oci.content import ContentReader, is_held, opened
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, VerifiedReader
from builder.oci.graph import Node
from builder.registry.folder import CollectionFolder
from builder.registry.model import RegistryOptions
from builder.registry.scan import README
from builder.storage import LocalStorage
from builder.storage.base import OffsiteStorage
from builder.storage.parallel import Stopped, run_parallel

# Given the bytes to come, opens what is told of each chunk; may be told from any thread.
Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an image and its place: `collection`, `store`, `offsite` or `urls`.

    `kept` tells that it was there before.
    """

    descriptor: Descriptor
    place: str
    is_layer: bool
    kept: bool


class Keeper:
    """Stores content in a collection and the content store; forgets it when told to.

    `label` names the source in messages, `streams` is how many pieces it can
    be read for at once.
    """

    def __init__(
        self,
        options: RegistryOptions,
        folder: CollectionFolder,
        source: ContentReader,
        label: str,
        *,
        streams: int = 1,
    ) -> None:
        self._folder = folder
        self._source = source
        self._label = label
        self._streams = streams
        self._options = options
        store = LocalStorage(options.source / options.store, options.store)
        self._storages = {"collection": folder.blobs, "store": store}
        outgoing = options.source / ".builder-cache/outgoing"
        self._outgoing = LocalStorage(outgoing, ".builder-cache/outgoing")
        self._offsite = options.offsite if isinstance(options.offsite, OffsiteStorage) else None
        self._fresh: list[tuple[LocalStorage, Digest]] = []
        self._stop = threading.Event()
        self.is_new = folder.readme() is None and not folder.tags()

    def place(self, node: Node) -> Part:
        """Decide where a piece of content belongs, and see whether it is there."""
        descriptor = node.descriptor
        is_large = node.is_layer and descriptor.size > self._options.commit_below
        far = self._offsite if is_large else None
        places = ["store", "collection"] if is_large and far is None else ["collection"]
        for place in places:
            if is_held(self._storages[place], descriptor):
                return Part(descriptor, place, node.is_layer, kept=True)
        if far is not None and not descriptor.urls:
            kept = far.holds(descriptor.digest, descriptor.size)
            return Part(descriptor, "offsite", node.is_layer, kept=kept)
        if descriptor.urls and not self._is_in_source(descriptor):
            return Part(descriptor, "urls", node.is_layer, kept=True)
        return Part(descriptor, places[0], node.is_layer, kept=False)

    def store(
        self, nodes: Sequence[Node], parts: Sequence[Part], progress: Progress | None
    ) -> None:
        """Store every part that is not there; on return all of it survives a power cut.

        Raises what the first piece that failed raised: ContentError,
        LocalError, RemoteError.
        """
        wanted = [pair for pair in zip(nodes, parts, strict=True) if not pair[1].kept]
        total = sum(part.descriptor.size for _, part in wanted)
        self._check_space(total)
        for _, part in wanted:
            storage, digest = self._storage(part), part.descriptor.digest
            if storage.size(digest) is None:
                self._fresh.append((storage, digest))
        with (progress or _nobody)(total) as advance:
            keep = partial(self._keep, advance)
            if self._streams == 1 or len(wanted) == 1:
                for piece in wanted:
                    keep(piece)
            else:
                largest_first = sorted(wanted, key=lambda piece: -piece[1].descriptor.size)
                run_parallel(largest_first, keep, threads=self._streams, stop=self._stop)

    def undo(self) -> None:
        """Forget what was stored."""
        for storage, digest in self._fresh:
            storage.delete(digest)
        for storage in self._storages.values():
            storage.sweep()
        if self.is_new:
            (self._folder.path / README).unlink(missing_ok=True)
        self._folder.prune()

    def _is_in_source(self, descriptor: Descriptor) -> bool:
        try:
            self._source.open(descriptor).close()
        except FileNotFoundError:
            return False
        return True

    def _keep(self, advance: Callable[[int], None], piece: tuple[Node, Part]) -> None:
        node, part = piece
        storage, descriptor = self._storage(part), node.descriptor

        def watched(reader: VerifiedReader) -> _Watched:
            return _Watched(reader, advance, self._stop)

        with opened(self._source, descriptor, self._label, node.place) as verified:
            if not storage.clone(
                descriptor.digest,
                verified.stream,
                descriptor.size,
                lambda copy: watched(verified.over(copy)),
            ):
                storage.put(descriptor.digest, watched(verified))
        if part.place == "offsite" and self._offsite is not None:
            self._offsite.put(descriptor.digest, descriptor.size, storage.path(descriptor.digest))
            storage.delete(descriptor.digest)

    def _storage(self, part: Part) -> LocalStorage:
        """Return where a part is written: what goes offsite is verified in the cache first."""
        return self._outgoing if part.place == "offsite" else self._storages[part.place]

    def _check_space(self, total: int) -> None:
        """Refuse at once what the disk cannot hold."""
        free = shutil.disk_usage(self._options.source).free
        if total > free:
            message = f"needs {total} bytes of disk, {free} are free"
            raise LocalError(f"{self._label}: {message}", "make room, or add a smaller image")


def _nobody(_: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


class _Watched:
    """A source that tells how many bytes were read from it, and ends when told to."""

    def __init__(
        self, source: VerifiedReader, advance: Callable[[int], None], stop: threading.Event
    ) -> None:
        self._source = source
        self._advance = advance
        self._stop = stop

    def read(self, count: int = 1 << 20, /) -> bytes:
        """Return up to `count` bytes; empty at the verified end."""
        if self._stop.is_set():
            raise Stopped
        chunk = self._source.read(count)
        self._advance(len(chunk))
        return chunk
