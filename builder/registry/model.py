"""The registry's nouns: collections, their tags, and where each blob is.

A `Collection` is what `registry.load` reads from one folder below
`collections/`, checked and complete; a `Row` is the little that lists,
search and other collections' pages need of it. Every value is frozen and
picklable. Nothing here touches a disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builder.layers.listing import Listing
from builder.layers.tarstream import Part
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import Entry, entries
from builder.oci.image import ImageConfig
from builder.oci.manifest import Manifest
from builder.oci.platform import Platform
from builder.storage.base import Offsite


@dataclass(frozen=True, slots=True)
class CompanionOptions:
    """What is published beside tags, for hosts that serve less than clients ask for.

    `schema1` is the suffix of Docker schema 1 companions, empty for none, and
    `platform` what they take from an index. `host` is the first part of image
    names in archives. `max_file` is the most bytes that the site's host takes
    in one file (0: any), `redirects` whether it can send clients elsewhere.
    """

    schema1: str = ""
    platform: Platform = field(default_factory=lambda: Platform("linux", "amd64"))
    platform_tags: bool = False
    archives: bool = False
    host: str = ""
    max_file: int = 0
    redirects: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is published beside tags, which names of other tags can clash with."""
        return bool(self.schema1 or self.platform_tags or self.archives)


@dataclass(frozen=True, slots=True)
class Staged:
    """The next state of the collection `name`, not yet in its place.

    `folder` holds its text and the tags to be judged. Blobs may also lie in
    the hidden content store `store`, and where the collection is now. `files`
    are the paths in it of other files, such as pictures.
    """

    name: str
    folder: Path
    store: Path | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """What of the configuration concerns content.

    `source` is the registry's folder; `offsite` is where layers are that are
    not in it; `allow_missing` lets a tag whose blobs are nowhere stay out of
    `/v2/` instead of being a problem. `staged` is what is read in place of
    one collection's folder.
    """

    source: Path
    collections: str = "collections"
    store: str = "_blobs"
    offsite: Offsite | None = None
    commit_below: int = 8 << 20
    immutable: tuple[str, ...] = ()
    allow_missing: bool = False
    companions: CompanionOptions = field(default_factory=CompanionOptions)
    staged: Staged | None = None

    def folder(self, name: str) -> Path:
        """Return where a collection is read from."""
        if self.staged is not None and self.staged.name == name:
            return self.staged.folder
        return self.source / self.collections / name


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """Where a blob of this collection is: a verified file, or a URL clients are sent to."""

    digest: str
    size: int
    media_type: str
    file: Path | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class LegacyLayer:
    """A layer of the original static registry: any digest, and where it can be fetched."""

    digest: str
    size: int
    media_type: str
    url: str


@dataclass(frozen=True, slots=True)
class LegacyManifest:
    """A manifest written in a tag's front matter, as the original static registry had it.

    `raw` are the JSON bytes that are published.
    """

    raw: bytes
    media_type: str
    layers: tuple[LegacyLayer, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a tag is made: the recipe's file, and its state.

    `state` is `pending`, `stale` or `current`; `text` is the recipe itself.
    """

    path: str
    state: str
    text: str = ""

    @property
    def name(self) -> str:
        """The recipe's file name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag folder, or one named entry of an image layout.

    `manifest` is what the tag points to; it is None for a tag that is only
    pending, and for one that exists at the friendly endpoints only, which
    then has `legacy`; with both, the image was made of what `legacy` names.
    `available` is false where blobs are missing and the
    run allows that, and where a tag was left out; `warnings` say why, and all
    else that is odd about it.
    """

    name: str
    origin: str
    manifest: Manifest | None = None
    legacy: LegacyManifest | None = None
    recipe: Recipe | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""  # Markdown
    notes_line: int = 1
    created: str = ""  # when it was published here: ISO 8601, or empty when nobody said
    yanked: str = ""
    available: bool = True
    warnings: tuple[str, ...] = ()
    notes_path: str = ""
    built: str = ""  # when the image says that it was made: ISO 8601, or empty

    @property
    def date(self) -> str:
        """What tags are ordered by: when it was published, else when it was built."""
        return self.created or self.built

    @property
    def in_v2(self) -> bool:
        """Whether OCI clients can pull it."""
        return self.manifest is not None and self.available

    @property
    def has_manifest(self) -> bool:
        """Whether it stands in the friendly list of tags."""
        return self.in_v2 or self.legacy is not None


def with_same_yank(tags: Sequence[Tag]) -> Iterator[Tag]:
    """Yield tags, those of a yanked digest yanked too: whatever the name, it is the same image."""
    reasons = {tag.manifest.digest: tag.yanked for tag in tags if tag.manifest and tag.yanked}
    for tag in tags:
        reason = reasons.get(tag.manifest.digest, "") if tag.manifest else ""
        yield replace(tag, yanked=reason) if reason and not tag.yanked else tag


@dataclass(frozen=True, slots=True)
class Companion:
    """A tag that nobody wrote: one image of another tag, for clients that need it plainer.

    `schema1` is the unsigned Docker schema 1 rendering that is served in place
    of the manifest; empty where the manifest is served as it is. `platform` is
    empty where the other tag has one image only.
    """

    name: str
    manifest: Manifest
    platform: str = ""
    schema1: bytes = b""

    @property
    def digest(self) -> Digest:
        """What clients know it by."""
        return Digest.of(self.schema1) if self.schema1 else self.manifest.digest


@dataclass(frozen=True, slots=True)
class Archive:
    """A Docker archive of one image of a tag, published at `path` below the site's base."""

    path: str
    parts: tuple[Part, ...]
    size: int
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """One repository.

    `manifests` holds every manifest that is served by digest: what tags point
    to, the children of indexes, referrers. `blobs` holds configs and layers
    under their digest text. `configs` holds the image config of each image
    manifest by the manifest's digest. `referrers` maps a subject's digest to
    the digests that refer to it. `companions` and `archives` are published
    beside the tags they are under. `elsewhere` holds the digest and the place of
    what lies in no folder of its own. `warnings` say what of its folder is left
    out, and why.
    """

    name: str
    origin: str
    keys: Mapping[str, Any]
    readme: str  # Markdown, without front matter
    readme_line: int
    readme_path: str
    tags: tuple[Tag, ...] = ()
    manifests: Mapping[Digest, Manifest] = field(default_factory=dict)
    configs: Mapping[Digest, ImageConfig] = field(default_factory=dict)
    blobs: Mapping[str, BlobPlace] = field(default_factory=dict)
    referrers: Mapping[Digest, tuple[Digest, ...]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)  # images its README shows
    listings: Mapping[str, Listing] = field(default_factory=dict)  # of layers, by digest
    folder: Path = Path()  # where all this was read from
    companions: Mapping[str, tuple[Companion, ...]] = field(default_factory=dict)
    archives: Mapping[str, tuple[Archive, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """The name without its last part; empty at the top."""
        return self.name.rpartition("/")[0]

    @property
    def title(self) -> str:
        """The front matter's title, else the name."""
        return str(self.keys.get("title") or self.name)

    def tag(self, name: str) -> Tag | None:
        """Return the tag of that name, if any."""
        return next((tag for tag in self.tags if tag.name == name), None)

    def find(self, descriptor: Descriptor) -> Manifest | None:
        """Return the manifest that a descriptor names, if it is held."""
        return self.manifests.get(descriptor.digest)

    def listings_of(self, image: Manifest) -> tuple[Listing | None, ...]:
        """Return the listing of each layer of an image, None for a layer that has none."""
        return tuple(self.listings.get(layer.digest) for layer in image.layers)

    def images(self, manifest: Manifest) -> tuple[Entry, ...]:
        """Return the images of an index at any depth, or the only one, in order.

        A platform that the index leaves out is the config's. What is not an image
        (attestations, blobs, further indexes) is left out.
        """
        if not manifest.is_index:
            return (Entry(manifest.descriptor, self._platform(manifest.digest), manifest),)
        found = [item for item in entries(manifest, self.find) if item.is_image]
        return tuple(
            item
            if item.platform
            else replace(item, platform=self._platform(item.descriptor.digest))
            for item in found
        )

    def _platform(self, digest: Digest) -> Platform | None:
        config = self.configs.get(digest)
        return config.platform if config and config.platform.os else None

    def platforms(self, manifest: Manifest) -> tuple[Platform, ...]:
        """Return what an image or an index runs on, in its own order."""
        return tuple(item.platform for item in self.images(manifest) if item.platform)

    def image_size(self, manifest: Manifest) -> int:
        """Return the compressed bytes a client could fetch for a manifest, each blob once."""
        sizes = {manifest.digest: manifest.size}
        stack = [manifest]
        while stack:
            for child in stack.pop().children():
                if child.digest not in sizes and child.digest in self.manifests:
                    stack.append(self.manifests[child.digest])
                sizes[child.digest] = child.size
        return sum(sizes.values()) - manifest.size


@dataclass(frozen=True, slots=True)
class Row:
    """One line of every list: what other pages know of a collection.

    JSON-shaped on purpose (texts, integers, lists), because the last build's
    record keeps it: `Row(**row.to_json()) == row`. Sizes are bytes, dates
    ISO 8601 days.
    """

    name: str
    title: str
    description: str = ""
    keywords: tuple[str, ...] = ()
    license: str = ""
    maintainers: tuple[str, ...] = ()
    kind: str = "image"  # one of plan.KINDS
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()  # newest first, version-aware
    tag_dates: tuple[str, ...] = ()  # beside `tags`; empty text where unknown
    newest: str = ""  # no yanked one
    updated: str = ""
    size: int = 0  # of the newest tag; where all are yanked, of what would be
    digest: str = ""  # of the same
    deprecated: str = ""
    hidden: bool = False
    listed: bool = True  # in /v2/_catalog: at least one tag is in /v2/
    blobs: tuple[tuple[str, int], ...] = ()  # unique within the collection
    redirect_from: tuple[str, ...] = ()
    origin: str = ""
    tag_digests: tuple[str, ...] = ()  # beside `tags`: hexadecimal, cut; empty where unknown
    yanked: tuple[str, ...] = ()  # names of tags
    previous: str = ""  # the version before the newest
    previous_size: int = 0
    chain: tuple[str, ...] = ()  # of the newest tag: chain IDs of its first layer ... of all, cut
    tag_chains: tuple[str, ...] = ()  # beside `tags`: chain IDs of all layers, cut; empty: none
    _identity: bytes = field(default=b"", init=False, repr=False, compare=False)

    @property
    def url(self) -> str:
        """The page's URL below the site's base."""
        return f"/{self.name}/"

    @property
    def all_yanked(self) -> bool:
        """Whether there are tags and each is yanked."""
        return 0 < len(self.tags) == len(self.yanked)

    @property
    def namespace(self) -> str:
        """The name without its last part; empty at the top."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Namespace:
    """A folder above collections, with the text of its README if it has one."""

    name: str
    origin: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    readme: str = ""
    readme_line: int = 1
    readme_path: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)  # pictures its README may show

    @property
    def title(self) -> str:
        """The front matter's title, else the name."""
        return str(self.keys.get("title") or self.name)
