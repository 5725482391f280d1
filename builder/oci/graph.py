"""Walking an image: every manifest and blob below a descriptor, each once.

The walk reads manifests and image configs (verified, bounded) and no layers.
A digest cannot contain itself, so a real graph has no cycle; depth and number
are limited for what only claims to be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from builder.errors import ContentError
from builder.oci import mediatype
from builder.oci.content import ContentReader, read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.image import parse_config
from builder.oci.manifest import Manifest
from builder.oci.platform import Platform, choose
from builder.oci.validate import ManifestError, parse_manifest

MAX_DEPTH = 8  # indexes within indexes
MAX_INDEXES = 200  # in one index, at all depths, whose entries are listed
MAX_NODES = 50_000
MAX_ATTACHED = 10_000  # pieces of all that refers to one image, in turn

# Given the digest of a manifest, returns what refers to it.
Referrers = Callable[[Digest], Sequence[Descriptor]]
# Given an entry of an index, returns its manifest; None where it is not held.
Find = Callable[[Descriptor], Manifest | None]


@dataclass(frozen=True, slots=True)
class Node:
    """One piece of content of an image.

    `manifest` is set for manifests and indexes. `place` says which document
    points here and where in it, `sha256:... /layers/0`; it is empty for the
    top. `warnings` are what its users may stumble on.
    """

    descriptor: Descriptor
    place: str = ""
    manifest: Manifest | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_layer(self) -> bool:
        """Whether this is a layer: neither a manifest nor a manifest's config."""
        return self.manifest is None and not self.place.endswith("/config")


def walk(
    top: Descriptor, reader: ContentReader, label: str, *, allow_foreign: bool = False
) -> Iterator[Node]:
    """Yield everything that `top` needs, children before their parents.

    `label` names the source in messages. Raises ContentError for the first
    document with faults, with all of its faults as JSON pointers.
    """
    yield from _Walk(reader, label, allow_foreign=allow_foreign).visit(top, "", 0)


def walk_referrers(
    image: Sequence[Node],
    reader: ContentReader,
    label: str,
    referrers: Referrers,
    *,
    allow_foreign: bool = False,
) -> tuple[Node, ...]:
    """Return all content of what refers to an image or to a part of it, in turn.

    Raises ContentError as `walk` does, and for more than `MAX_ATTACHED` pieces.
    """
    found: dict[Digest, Node] = {}
    seen = {node.descriptor.digest for node in image}
    waiting = [node.descriptor.digest for node in image if node.manifest is not None]
    while waiting:
        for descriptor in referrers(waiting.pop(0)):
            if descriptor.digest in seen:
                continue
            for node in walk(descriptor, reader, label, allow_foreign=allow_foreign):
                if node.descriptor.digest not in seen:
                    seen.add(node.descriptor.digest)
                    found[node.descriptor.digest] = node
                    waiting += [node.descriptor.digest] if node.manifest is not None else []
        if len(found) > MAX_ATTACHED:
            message = f"what refers to the image has more than {MAX_ATTACHED} parts"
            raise ContentError.at(label, message, "copy it without its referrers")
    return tuple(found.values())


@dataclass(slots=True)
class _Walk:
    reader: ContentReader
    label: str
    allow_foreign: bool
    seen: dict[Digest, Descriptor] = field(default_factory=dict)

    def visit(self, descriptor: Descriptor, place: str, depth: int) -> Iterator[Node]:
        if not self._is_new(descriptor, place):
            return
        if descriptor.media_type not in mediatype.MANIFESTS:
            yield Node(descriptor, place)
            return
        if depth > MAX_DEPTH:
            raise ContentError.at(
                self.label, f"{place}: indexes are nested deeper than {MAX_DEPTH}"
            )
        manifest = self._manifest(descriptor, place)
        warnings = [*filter(None, [descriptor.warning]), *manifest.warnings]
        if manifest.config is not None:
            warnings.extend(self._check_config(manifest, manifest.config))
        for pointer, child in _children(manifest):
            yield from self.visit(child, f"{manifest.digest} {pointer}", depth + 1)
        yield Node(descriptor, place, manifest, tuple(warnings))

    def _is_new(self, descriptor: Descriptor, place: str) -> bool:
        """Tell whether a digest comes up for the first time; it must always have one size."""
        known = self.seen.setdefault(descriptor.digest, descriptor)
        if known.size != descriptor.size:
            message = f"{place}/size: says {descriptor.size} where another says {known.size}"
            raise ContentError.at(self.label, f"{message} for {descriptor.digest}")
        if len(self.seen) > MAX_NODES:
            raise ContentError.at(self.label, f"the image has more than {MAX_NODES} parts")
        return known is descriptor

    def _manifest(self, descriptor: Descriptor, place: str) -> Manifest:
        """Return a manifest under the digest that it is asked for by, of either algorithm."""
        raw = read_verified(self.reader, descriptor, self.label, place)
        try:
            found = parse_manifest(raw, descriptor.media_type, allow_foreign=self.allow_foreign)
        except ManifestError as error:
            raise error.located(self.label, descriptor.digest) from None
        return replace(found, digest=descriptor.digest)

    def _check_config(self, manifest: Manifest, config: Descriptor) -> Iterator[str]:
        """Check an image's config against its manifest; yield what is worth a warning."""
        if config.media_type not in mediatype.IMAGE_CONFIGS:
            return
        raw = read_verified(self.reader, config, self.label, f"{manifest.digest} /config")
        try:
            found = parse_config(raw, manifest)
        except ManifestError as error:
            raise error.located(self.label, config.digest) from None
        yield from found.warnings
        for name in found.secrets:
            yield f"the image sets {name} in its environment, which everyone who pulls can read"


def _children(manifest: Manifest) -> Iterator[tuple[str, Descriptor]]:
    if manifest.config is not None:
        yield "/config", manifest.config
    for number, layer in enumerate(manifest.layers):
        yield f"/layers/{number}", layer
    for number, child in enumerate(manifest.manifests):
        yield f"/manifests/{number}", child


@dataclass(frozen=True, slots=True)
class Entry:
    """What an index holds at some depth; `manifest` is None where that is not held.

    `platform` is its own, else that of the index around it.
    """

    descriptor: Descriptor
    platform: Platform | None
    manifest: Manifest | None

    @property
    def is_image(self) -> bool:
        """Whether this is something that runs or is fetched: no index, no attestation, no blob."""
        if self.manifest is None:
            is_manifest = self.descriptor.media_type in mediatype.IMAGE_MANIFESTS
        else:
            is_manifest = not self.manifest.is_index
        return is_manifest and (self.platform is None or self.platform.is_known)


def entries(index: Manifest, find: Find) -> Iterator[Entry]:
    """Yield what is in an index, in order and at any depth, each index before its own entries.

    What is in an index that stands in several others comes once.
    """
    yield from _entries(index, find, None, {index.digest})


def _entries(
    index: Manifest, find: Find, platform: Platform | None, seen: set[Digest]
) -> Iterator[Entry]:
    for descriptor in index.manifests:
        is_manifest = descriptor.media_type in mediatype.MANIFESTS
        manifest = find(descriptor) if is_manifest else None
        its = descriptor.platform or platform
        yield Entry(descriptor, its, manifest)
        is_deeper = manifest is not None and manifest.is_index and len(seen) < MAX_INDEXES
        if manifest is not None and is_deeper and descriptor.digest not in seen:
            seen.add(descriptor.digest)
            yield from _entries(manifest, find, its, seen)


def select_platform(
    top: Descriptor, reader: ContentReader, label: str, wanted: Platform
) -> Descriptor:
    """Return the image for a platform in the index `top`, or `top` where it is such an image.

    Raises ContentError naming the platforms that are there: when none fits,
    or more than one does. What says no platform fits all.
    """

    def read(descriptor: Descriptor) -> Manifest:
        raw = read_verified(reader, descriptor, label)
        try:
            return parse_manifest(raw, descriptor.media_type, allow_foreign=True)
        except ManifestError as error:
            raise error.located(label, descriptor.digest) from None

    def find(descriptor: Descriptor) -> Manifest | None:
        return read(descriptor) if descriptor.media_type in mediatype.INDEXES else None

    manifest = read(top)
    if top.media_type in mediatype.INDEXES:
        images = [item for item in entries(manifest, find) if item.is_image]
        return only_one(images, wanted, label).descriptor
    found = _platform_of(manifest, reader, label)
    if found is not None and not choose([(found, top)], wanted):
        raise ContentError.at(label, f"has no image for {wanted}", f"it is for {found}")
    return top


def _platform_of(manifest: Manifest, reader: ContentReader, label: str) -> Platform | None:
    """Return the platform that an image's config says; None for what is no image."""
    config = manifest.config
    if config is None or config.media_type not in mediatype.IMAGE_CONFIGS:
        return None
    try:
        return parse_config(read_verified(reader, config, label), manifest).platform
    except ManifestError:  # whoever copies it says what is wrong
        return None


def only_one(images: Sequence[Entry], wanted: Platform, label: str) -> Entry:
    """Return the image that fits a platform; raises ContentError as `select_platform` does.

    One that says just what is asked for, no version for instance, counts first.
    """
    named = [(item.platform, item) for item in images]
    fitting = {item.descriptor.digest: item for item in choose(named, wanted)}
    exact = {digest: item for digest, item in fitting.items() if item.platform == wanted}
    if len(fitting := exact or fitting) == 1:
        return next(iter(fitting.values()))
    there = dict.fromkeys(str(platform) for platform, _ in named if platform)
    if not fitting:
        hint = f"it has: {', '.join(there)}" if there else "none of its entries says a platform"
        raise ContentError.at(label, f"has no image for {wanted}", hint)
    names = dict.fromkeys(str(item.platform) for item in fitting.values())
    hint = f"say which: {', '.join(map(repr, names))}"
    if len(names) == 1:
        hint = f"choose by digest: {', '.join(fitting)}"
    raise ContentError.at(label, f"has {len(fitting)} images for {wanted}", hint)
