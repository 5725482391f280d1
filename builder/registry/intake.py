"""Bringing an image in: its content first, the tag that names it last.

Everything is verified while it is copied, and a run that fails takes back
what it stored: a tag never points to something that is not there. Call with
`edit.lock` held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder import frontmatter
from builder.errors import ContentError
from builder.oci.content import ContentReader
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import Node, Referrers, select_platform, walk, walk_referrers
from builder.oci.manifest import Manifest
from builder.oci.platform import Platform
from builder.oci.reference import Reference
from builder.registry.folder import CollectionFolder, new_readme
from builder.registry.keep import Keeper, Part, Progress
from builder.registry.model import RegistryOptions


@dataclass(frozen=True, slots=True)
class Added:
    """What came in; `changed` is false when all of it was here before.

    `tag` is empty for a referrer. `manifests` are the digests of the image,
    its children and all that refers to them.
    """

    name: str
    tag: str
    digest: Digest
    parts: tuple[Part, ...]
    manifests: tuple[Digest, ...]
    referrers: int
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
    referrers: Referrers | None = None,
    facts: Mapping[str, str] | None = None,
    streams: int = 1,
    allow_foreign: bool = False,
    platform: Platform | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> Added:
    """Store the image that `descriptor` names in `source`, and let a tag point to it.

    `label` names the source in messages; `created` is the tag's date, ISO
    8601; `referrers` brings along what refers to the image; `facts` are
    further keys of the tag's front matter. Layers over `options.commit_below`
    bytes go to the content store, everything else into the collection. Raises
    ContentError for content that is not what it says, a move of an immutable
    tag without `force`; LocalError; RemoteError.
    """
    folder = CollectionFolder(options, reference.name)
    folder.check()
    folder.check_tag(reference.tag)
    if platform is not None:
        descriptor = select_platform(descriptor, source, label, platform)
    image = tuple(walk(descriptor, source, label, allow_foreign=allow_foreign))
    top = _top(image, label)
    attached: tuple[Node, ...] = ()
    if referrers is not None:
        attached = walk_referrers(image, source, label, referrers, allow_foreign=allow_foreign)
    before = folder.raw_manifest(reference.tag)
    moved = before != top.raw
    if before is not None and moved and not force:
        folder.refuse_immutable(reference.tag, change="point to another image")
    keeper = Keeper(options, folder, source, label, streams=streams)
    nodes = (*image[:-1], *attached)
    parts = tuple(map(keeper.place, nodes))
    added = _added(reference, top, (*image, *attached), parts, moved=moved)
    if dry_run:
        return added
    try:
        folder.sweep()
        if keeper.is_new:
            folder.write_readme(new_readme(top, folder.name))
        keeper.store(nodes, parts, progress)
        _write_tag(folder, reference.tag, top, created, facts or {}, moved=moved)
    except BaseException:
        if folder.raw_manifest(reference.tag) != top.raw:
            keeper.undo()
        raise
    return added


def add_referrer(
    options: RegistryOptions,
    source: ContentReader,
    descriptor: Descriptor,
    name: str,
    *,
    label: str,
    progress: Progress | None = None,
    dry_run: bool = False,
) -> Added:
    """Store a manifest that refers to another, and its content, without a tag.

    Raises ContentError when there is no such collection, or when the manifest
    names no subject: nothing would ever find it again.
    """
    folder = CollectionFolder(options, name)
    folder.require()
    folder.check()
    nodes = tuple(walk(descriptor, source, label))
    top = _top(nodes, label)
    if top.subject is None:
        raise ContentError.at(label, "names no subject, so that nothing would refer to it")
    keeper = Keeper(options, folder, source, label)
    parts = tuple(map(keeper.place, nodes))
    added = _added(Reference(name), top, nodes, parts, moved=False)
    if dry_run:
        return added
    try:
        folder.sweep()
        keeper.store(nodes, parts, progress)
    except BaseException:
        keeper.undo()
        raise
    return added


def companions_of(manifests: Iterable[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return which of `names` hold what cosign signed or described some manifests with.

    `manifests` are digests. Before there were referrers, `sha256-<hex>.sig`,
    `.att` and `.sbom` named them by the digest of their subject.
    """
    stems = {digest.replace(":", "-", 1) for digest in manifests}
    suffixes = (".sig", ".att", ".sbom")
    return tuple(
        name
        for name in names
        if name.endswith(suffixes) and name.rpartition(".")[0].rpartition(":")[2] in stems
    )


def _top(nodes: Sequence[Node], label: str) -> Manifest:
    top = nodes[-1]
    if top.manifest is None:
        media_type = top.descriptor.media_type
        raise ContentError.at(label, f"{media_type} is not an image or an index")
    return top.manifest


def _added(
    reference: Reference,
    top: Manifest,
    nodes: Sequence[Node],
    parts: tuple[Part, ...],
    *,
    moved: bool,
) -> Added:
    manifests = tuple(node.manifest for node in nodes if node.manifest is not None)
    new = any(not part.kept for part in parts)
    return Added(
        reference.name,
        reference.tag,
        top.digest,
        parts,
        tuple(manifest.digest for manifest in manifests),
        sum(manifest.subject is not None and manifest is not top for manifest in manifests),
        tuple(dict.fromkeys(_warnings(nodes))),
        moved or new,
    )


def _warnings(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        yield from node.warnings


def _write_tag(
    folder: CollectionFolder,
    tag: str,
    top: Manifest,
    created: str,
    facts: Mapping[str, str],
    *,
    moved: bool,
) -> None:
    """Let a tag point to the stored image; its date is that of its last move."""
    before = folder.readme(tag)
    text = before or ""
    if moved or before is None:
        text = frontmatter.set_key(text, "created", created)
    for key, value in facts.items():
        text = frontmatter.set_key(text, key, value)
    if moved or text != before:
        folder.write_tag(tag, top.raw, text)
