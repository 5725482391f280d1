"""Copying an image from any source to any sink: content, then children, then names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from builder.errors import ContentError, MissingError
from builder.oci import mediatype
from builder.oci.content import opened, read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import Node, entries, walk, walk_referrers
from builder.oci.manifest import Manifest
from builder.oci.validate import ManifestError, parse_manifest
from builder.storage.parallel import Progress, Stopped, run_parallel, silent
from builder.transports.base import ImageSource
from builder.transports.sink import ImageSink


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """An image and what refers to it, and the blobs that the sink does not have."""

    manifest: Manifest
    image: tuple[Node, ...]
    attached: tuple[Node, ...]
    missing: tuple[Node, ...]

    @property
    def top(self) -> Descriptor:
        """The image itself."""
        return self.image[-1].descriptor

    @property
    def total(self) -> int:
        """The bytes of all of it."""
        return sum(node.descriptor.size for node in (*self.image, *self.attached))

    @property
    def sent(self) -> int:
        """The bytes that will be sent."""
        return sum(node.descriptor.size for node in self.missing)

    @property
    def manifests(self) -> tuple[Digest, ...]:
        """The digests of all manifests."""
        nodes = (*self.image, *self.attached)
        return tuple(node.descriptor.digest for node in nodes if node.manifest is not None)

    @property
    def referrers(self) -> int:
        """How many manifests refer to the image, or to what does."""
        return sum(node.manifest is not None for node in self.attached)


def plan_copy(
    source: ImageSource,
    sink: ImageSink,
    top: Descriptor,
    *,
    referrers: bool = False,
    allow_foreign: bool = True,
) -> CopyPlan:
    """Return what copying `top` would take; raises ContentError for an image with faults.

    `allow_foreign` accepts layers whose `urls` send clients elsewhere.
    """
    label = source.label
    with _naming_platforms(source, top):
        image = tuple(walk(top, source, label, allow_foreign=allow_foreign))
    if (manifest := image[-1].manifest) is None:
        raise ContentError.at(label, f"{top.media_type} is not an image or an index")
    attached: tuple[Node, ...] = ()
    if referrers:
        attached = walk_referrers(
            image, source, label, source.referrers, allow_foreign=allow_foreign
        )
    blobs = [node for node in (*image, *attached) if node.manifest is None]
    missing = tuple(node for node in blobs if not sink.has(node))
    return CopyPlan(manifest, image, attached, missing)


@contextmanager
def _naming_platforms(source: ImageSource, top: Descriptor) -> Iterator[None]:
    """Say with what is missing of an index which of its platforms are whole."""
    try:
        yield
    except MissingError as error:
        if not (here := _platforms_here(source, top)):
            raise
        hint = f"part of the index is here; take one with --platform: {', '.join(here)}"
        problems = (replace(item, hint=item.hint or hint) for item in error.problems)
        raise ContentError(problems) from None


def _platforms_here(source: ImageSource, top: Descriptor) -> list[str]:
    """Return the platforms in an index, at any depth, whose images a source holds whole."""
    if top.media_type not in mediatype.INDEXES or (index := _manifest(source, top)) is None:
        return []
    images = [item for item in entries(index, lambda item: _manifest(source, item))
              if item.is_image and item.platform is not None]  # fmt: skip
    whole = [item.platform for item in images if _is_whole(source, item.descriptor)]
    return list(dict.fromkeys(map(str, whole)))


def _manifest(source: ImageSource, descriptor: Descriptor) -> Manifest | None:
    """Return a manifest, or None where it is not here or not to be read."""
    try:
        raw = read_verified(source, descriptor, source.label)
        return parse_manifest(raw, descriptor.media_type, allow_foreign=True)
    except (ContentError, ManifestError):
        return None


def _is_whole(source: ImageSource, image: Descriptor) -> bool:
    """Tell whether all of an image is here, but for what lies elsewhere on purpose."""
    try:
        for node in walk(image, source, source.label, allow_foreign=True):
            if not node.descriptor.urls:
                source.open(node.descriptor).close()
    except (ContentError, FileNotFoundError):
        return False
    return True


def check_there(source: ImageSource, plan: CopyPlan) -> None:
    """Raise ContentError where copying would not find a blob; nothing of it is read."""
    with _naming_platforms(source, plan.top):
        for node in plan.missing:
            opened(source, node.descriptor, source.label, node.place).close()


def copy_image(
    source: ImageSource,
    sink: ImageSink,
    plan: CopyPlan,
    name: str = "",
    *,
    progress: Progress = silent,
) -> bool:
    """Carry a plan out; the sink shows the image under `name` when all of it is there.

    Tells whether anything was new, or another before.
    """
    stop = threading.Event()
    with progress(plan.sent) as advance:

        def heard(count: int) -> None:
            if stop.is_set():
                raise Stopped
            advance(count)

        def put(node: Node) -> None:
            where = source, node.descriptor, source.label, node.place
            sink.put(node, lambda: opened(*where, heard))

        threads = min(source.streams, sink.streams)
        largest_first = sorted(plan.missing, key=lambda node: -node.descriptor.size)
        with _naming_platforms(source, plan.top):
            run_parallel(largest_first, put, threads=threads, stop=stop)
    changed = bool(plan.missing)
    for node in (*plan.image[:-1], *plan.attached):
        if node.manifest is not None:
            changed |= sink.put_manifest(replace(node.manifest, digest=node.descriptor.digest))
    return sink.put_manifest(plan.manifest, name) or changed
