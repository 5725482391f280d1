"""Copying an image from any source to any sink: content, then children, then names."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from builder.errors import ContentError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import DigestError, VerifiedReader
from builder.oci.graph import Node, walk, walk_referrers
from builder.storage.parallel import Stopped, run_parallel
from builder.transports.base import ImageSource
from builder.transports.sink import ImageSink

# Given the bytes to come, opens what is told of each chunk.
Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: sizes in bytes; `changed` is false when all was there before."""

    descriptor: Descriptor
    name: str
    total: int
    sent: int
    manifests: tuple[str, ...]
    referrers: int
    changed: bool


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """An image and what refers to it, and the blobs that the sink does not have."""

    image: tuple[Node, ...]
    attached: tuple[Node, ...]
    missing: tuple[Node, ...]

    @property
    def sent(self) -> int:
        """The bytes that will be sent."""
        return sum(node.descriptor.size for node in self.missing)

    @property
    def manifests(self) -> tuple[str, ...]:
        """The digests of all manifests."""
        nodes = (*self.image, *self.attached)
        return tuple(node.descriptor.digest for node in nodes if node.manifest is not None)


def plan_copy(
    source: ImageSource, sink: ImageSink, top: Descriptor, *, referrers: bool
) -> CopyPlan:
    """Return what copying `top` would take; raises ContentError for an image with faults."""
    image = tuple(walk(top, source, source.label, allow_foreign=True))
    attached: tuple[Node, ...] = ()
    if referrers:
        attached = walk_referrers(image, source, source.label, source.referrers, allow_foreign=True)
    blobs = [node for node in (*image, *attached) if node.manifest is None]
    missing = tuple(node for node in blobs if not sink.has(node.descriptor))
    return CopyPlan(image, attached, missing)


def copy_image(
    source: ImageSource,
    sink: ImageSink,
    plan: CopyPlan,
    name: str,
    *,
    progress: Progress,
) -> Copied:
    """Carry a plan out; the sink shows the image under `name` when all of it is there."""
    stop = threading.Event()
    with progress(plan.sent) as advance:
        put = partial(_put, source, sink, advance, stop)
        threads = min(source.streams, sink.streams)
        largest_first = sorted(plan.missing, key=lambda node: -node.descriptor.size)
        run_parallel(largest_first, put, threads=threads, stop=stop)
    *children, top = plan.image
    changed = bool(plan.missing)
    for node in (*children, *plan.attached):
        if node.manifest is not None:
            changed |= sink.put_manifest(node.manifest)
    if top.manifest is None:
        message = f"{top.descriptor.media_type} is not an image or an index"
        raise ContentError.at(source.label, message)
    changed |= sink.put_manifest(top.manifest, name)
    referrers = sum(node.manifest is not None for node in plan.attached)
    total = sum(node.descriptor.size for node in (*plan.image, *plan.attached))
    return Copied(
        top.descriptor, name, total, plan.sent, plan.manifests, referrers, changed
    )  # fmt: skip


def _put(
    source: ImageSource,
    sink: ImageSink,
    advance: Callable[[int], None],
    stop: threading.Event,
    node: Node,
) -> None:
    def opener() -> BinaryIO:
        return io.BufferedReader(_Checked(source, node, advance, stop), 1 << 20)

    sink.put(node.descriptor, opener)


class _Checked(io.RawIOBase):
    """Content that raises ContentError unless it is what its descriptor says."""

    def __init__(
        self,
        source: ImageSource,
        node: Node,
        advance: Callable[[int], None],
        stop: threading.Event,
    ) -> None:
        super().__init__()
        self._where = source.label, f"{node.place}: " if node.place else ""
        descriptor = node.descriptor
        try:
            self._stream = source.open(descriptor)
        except FileNotFoundError:
            raise self._fault(f"{descriptor.digest} is missing") from None
        self._verified = VerifiedReader(self._stream, descriptor.digest, descriptor.size)
        self._advance = advance
        self._stop = stop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._stop.is_set():
            raise Stopped
        try:
            chunk = self._verified.read(len(buffer))
        except DigestError as error:
            raise self._fault(error.message) from None
        buffer[: len(chunk)] = chunk
        self._advance(len(chunk))
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def _fault(self, message: str) -> ContentError:
        label, place = self._where
        return ContentError.at(label, f"{place}{message}")
