"""What the page layouts of a collection and of a tag are given.

Each value here is made for one page, frozen, and complete: a fact that is
not known is empty, so that a layout leaves it out instead of printing that
it is undefined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from builder.oci.manifest import Manifest
from builder.oci.reference import name_fault
from builder.pages import attached, charts, imageview, jsonhtml, mirrored, plan, statement, versions
from builder.pages.chartfiles import chart_files
from builder.pages.difference import Difference, difference
from builder.pages.downloads import Download, downloads
from builder.pages.fileview import Files, files_of
from builder.pages.headerless import ArchiveLine, CompanionLine, archive_lines, companion_lines
from builder.pages.model import PageOptions
from builder.pages.pull import Pull, pull_of
from builder.pages.tagtable import TagLine, TagTable, tag_table
from builder.registry.model import Collection, Row, Tag
from builder.text.markdown import Rendered

_MAX_MANIFEST = 64 << 10  # bytes of JSON that a page still shows
_MAX_NOTES = 20  # warnings of one page, annotations of one entry
_MAX_SLUG = 60  # characters; a file name ends at 255 bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A text and where it leads, a path below the site's base or a web address."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class CollectionView:
    """Everything a collection's page shows beside its README."""

    name: str
    url: str
    title: str
    description: str
    kind: str
    logo: str
    deprecated: str
    replacement: str
    yanked: str
    newest: str
    updated: str
    size: int
    platforms: tuple[str, ...]
    attached: tuple[str, ...]
    tags: tuple[TagLine, ...]
    table: TagTable
    sizes: charts.Curve | None
    pull: Pull | None
    license: str
    license_url: str
    links: tuple[Link, ...]
    maintainers: tuple[plan.Person, ...]
    keywords: tuple[Link, ...]
    distinct_bytes: int
    app_url: str
    warnings: tuple[str, ...]
    _identity: bytes = field(default=b"", init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PlatformLine:
    """One image of an index; `shown` says that it has a section of its own.

    `platform` tells it from the others, with its version; `short` does not.
    """

    platform: str
    short: str
    digest: str
    size: int
    layers: int
    shown: bool
    annotations: tuple[imageview.Pair, ...]  # of its entry in the index


@dataclass(frozen=True, slots=True)
class TagView:
    """Everything a tag's page shows beside its notes."""

    name: str
    url: str
    collection: Link
    title: str
    kind: str
    digest: str
    media_type: str
    artifact_type: str
    size: int
    created: str
    built: str
    state: str
    yanked: str
    deprecated: str
    replacement: str
    description: str
    note: str
    aliases: tuple[Link, ...]
    platforms: tuple[PlatformLine, ...]
    images: tuple[imageview.Image, ...]
    legacy_layers: tuple[imageview.Layer, ...]
    attached: tuple[attached.Group, ...]
    difference: Difference | None
    files: tuple[Files, ...]
    downloads: tuple[Download, ...]
    chart: tuple[imageview.Pair, ...]  # names and texts of files
    recipe_name: str
    recipe_state: str
    recipe_text: str
    manifest_json: Markup
    manifest_url: str
    api_url: str
    app_url: str
    app_packed: bool
    companions: tuple[CompanionLine, ...]
    archives: tuple[ArchiveLine, ...]
    pull: Pull | None
    warnings: tuple[str, ...]
    annotations: tuple[imageview.Pair, ...]  # of an index
    mirror: str
    comparable: bool  # whether another tag of the collection holds something else
    moves: tuple[mirrored.Moved, ...]
    log: str
    _identity: bytes = field(default=b"", init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PageContext:
    """One collection with all that its pages share, worked out once."""

    collection: Collection
    row: Row
    options: PageOptions
    texts: Mapping[str, Rendered]
    known: plan.Facts
    named: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)
    apps: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        collection: Collection,
        row: Row,
        options: PageOptions,
        texts: Mapping[str, Rendered],
        apps: Mapping[str, str],
    ) -> PageContext:
        """Return the collection made ready for its pages.

        `apps` are URLs by tag, empty for what is not unpacked.
        """
        known = plan.facts(collection)
        named = attached.named_after_digests(collection.tags)
        return cls(collection, row, options, texts, known, named, apps)

    def groups(self, tag: Tag) -> tuple[attached.Group, ...]:
        """Return what is attached to a tag, by kind."""
        if tag.manifest is None or not (
            self.collection.referrers or self.named or tag.manifest.manifests
        ):
            return ()
        return attached.groups(self.collection, tag.manifest, self.named)


def tag_url(name: str, tag: str) -> str:
    """Return the path of a tag's page below the site's base."""
    return f"/{name}/tags/{tag}/"


def state_of(tag: Tag) -> str:
    """Return what keeps a tag from being simply there.

    `pending`, `stale`, `unavailable`, or `left out` where nothing in its folder is one image.
    """
    if not tag.available:
        return "unavailable" if tag.manifest is not None else "left out"
    if tag.recipe is not None and tag.recipe.state in {"pending", "stale"}:
        return tag.recipe.state
    return ""


def replacement_of(deprecated: str) -> str:
    """Return the path of the collection that a deprecation names, or empty."""
    if "/" not in deprecated or name_fault(deprecated):
        return ""
    return f"/{deprecated}/"


def collection_view(about: PageContext) -> CollectionView:
    """Return what the page of a collection shows."""
    collection, row, known = about.collection, about.row, about.known
    keys = collection.keys
    lines = tuple(_line(about, tag) for tag in plan.without_tools(known.order))
    pull_tag = _pull_tag(about)
    newest = collection.tag(known.newest)
    return CollectionView(
        name=collection.name,
        url=row.url,
        title=row.title,
        description=row.description,
        kind=row.kind,
        logo=_logo(collection),
        deprecated=row.deprecated,
        replacement=replacement_of(row.deprecated),
        yanked=pull_tag.yanked if pull_tag is not None else "",
        newest=row.newest,
        updated=row.updated,
        size=row.size,
        platforms=row.platforms,
        attached=_kinds(about, newest) if newest is not None else (),
        tags=lines,
        table=tag_table(lines),
        sizes=charts.curve(_sizes(lines)),
        pull=pull_of(collection, pull_tag, about.options) if pull_tag is not None else None,
        license=row.license,
        license_url="" if row.hidden else browse_url("license", row.license),
        links=tuple(_links(keys)),
        maintainers=tuple(plan.people(keys.get("maintainers"))),
        keywords=tuple(
            Link(word, "" if row.hidden else browse_url("keyword", word)) for word in row.keywords
        ),
        distinct_bytes=sum(size for _, size in row.blobs),
        app_url=about.apps.get(row.newest) or about.apps.get("latest", ""),
        warnings=_shown(collection.warnings),
    )


def _shown(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """Return warnings as a page has room for them."""
    return tuple(map(imageview.bounded, warnings[:_MAX_NOTES]))


def browse_url(kind: str, value: str) -> str:
    """Return the path of the list of all collections that share a keyword, licence or platform."""
    return f"/browse/{kind}/{slug(value)}/"


def slug(text: str) -> str:
    """Return `text` as one part of a path: lower-case letters, digits, dots and dashes."""
    shown = "".join(char if char.isalnum() or char in ".+_" else "-" for char in text.lower())
    part = "-".join(filter(None, shown.split("-"))).strip(".")[:_MAX_SLUG]
    return f"{part}-" if part.startswith("index.") else part or "other"


def _pull_tag(about: PageContext) -> Tag | None:
    """Return the tag to pull by default: `latest`, else the newest."""
    latest = about.collection.tag("latest")
    if latest is not None and latest.has_manifest and not latest.yanked:
        return latest
    return about.collection.tag(about.known.newest)


def _logo(collection: Collection) -> str:
    logo = plan.one_line(collection.keys.get("logo"))
    if logo.removeprefix("./") in collection.files:
        return f"/{collection.name}/{logo.removeprefix('./')}"
    return ""


def _links(keys: Mapping[str, object]) -> Iterator[Link]:
    titles = {"url": "Website", "source": "Source", "documentation": "Documentation"}
    for key, title in titles.items():
        url = plan.one_line(keys.get(key))
        if url.startswith(("https://", "http://")):
            yield Link(title, url)


def _line(about: PageContext, tag: Tag) -> TagLine:
    digest = plan.digest_of(tag)
    manifest = tag.manifest
    platforms = about.collection.platforms(manifest) if manifest is not None else ()
    return TagLine(
        name=tag.name,
        url=tag_url(about.collection.name, tag.name),
        digest=digest,
        aliases=_others(about.known.aliases.get(digest, ()), tag.name),
        platforms=tuple(dict.fromkeys(item.short for item in platforms)),
        size=about.known.sizes.get(tag.name, 0),
        created=tag.created,
        built=tag.built,
        yanked=tag.yanked,
        state=state_of(tag),
        attached=_kinds(about, tag),
        description=plan.one_line(tag.keys.get("description")),
        app_url=about.apps.get(tag.name, ""),
    )


def _others(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return at most six of the other names; a thousand tags may share one digest."""
    return tuple(other for other in names[:7] if other != name)[:6] if len(names) > 1 else ()


def _kinds(about: PageContext, tag: Tag) -> tuple[str, ...]:
    return tuple(group.kind for group in about.groups(tag))


def _sizes(lines: Sequence[TagLine]) -> list[tuple[str, int]]:
    """Return `(tag, bytes)` of releases but for variants, the lowest first, each digest once."""
    releases = (
        line
        for line in reversed(lines)
        if versions.is_version(line.name)
        and not versions.is_pre_release(line.name)
        and not versions.variant(line.name)
    )
    best = {
        line.digest: line
        for line in sorted(releases, key=lambda line: versions.precision(line.name))
    }
    shown = sorted(best.values(), key=lambda line: versions.key(line.name))
    return [(line.name, line.size) for line in shown if line.digest and line.size]


def tag_view(about: PageContext, tag: Tag) -> TagView:
    """Return what the page of a tag shows."""
    collection, row, known = about.collection, about.row, about.known
    name, digest = collection.name, plan.digest_of(tag)
    manifest = tag.manifest
    images = tuple(_images(about, manifest)) if manifest is not None else ()
    recipe = tag.recipe
    raw = manifest.raw if manifest is not None else tag.legacy.raw if tag.legacy else b""
    kind = plan.tag_kind(collection, tag)
    v2 = f"{about.options.api_url}/v2/{name}/manifests/{tag.name}"
    return TagView(
        name=tag.name,
        url=tag_url(name, tag.name),
        collection=Link(row.title, row.url),
        title=f"{name}:{tag.name}",
        kind=kind,
        digest=digest,
        media_type=manifest.media_type if manifest is not None else "",
        artifact_type=images[0].artifact_type if images else "",
        size=known.sizes.get(tag.name, 0),
        created=tag.created,
        built=tag.built,
        state=state_of(tag),
        yanked=tag.yanked,
        deprecated=row.deprecated,
        replacement=replacement_of(row.deprecated),
        description=plan.one_line(tag.keys.get("description")),
        note=plan.one_line(tag.keys.get("platforms-note")),
        aliases=tuple(
            Link(other, tag_url(name, other))
            for other in _others(known.aliases.get(digest, ()), tag.name)
        ),
        platforms=tuple(_platform_lines(about, manifest)) if manifest is not None else (),
        images=images,
        legacy_layers=_legacy_layers(tag),
        attached=statement.read(collection, about.groups(tag), about.options.api_root),
        difference=difference(collection, tag, known),
        files=tuple(_files(about, manifest)) if manifest is not None else (),
        downloads=_downloads(about, tag, kind),
        chart=chart_files(collection, manifest) if manifest and kind == "chart" else (),
        recipe_name=recipe.name if recipe is not None else "",
        recipe_state=recipe.state if recipe is not None else "",
        recipe_text=recipe.text if recipe is not None else "",
        manifest_json=_json(about, raw),
        manifest_url=f"/{name}/manifests/{tag.name}/" if tag.has_manifest else "",
        api_url=v2 if tag.in_v2 and about.options.api_url else "",
        app_url=about.apps.get(tag.name, ""),
        app_packed=about.apps.get(tag.name) == "",
        companions=companion_lines(collection, tag),
        archives=archive_lines(collection, tag),
        pull=pull_of(collection, tag, about.options),
        warnings=_shown(tag.warnings),
        annotations=_index_annotations(manifest),
        mirror=mirrored.mirror_of(tag),
        comparable=digest in known.aliases and len(known.aliases) > 1,
        moves=tuple(mirrored.moves_of(collection, tag)),
        log="/moves.json" if tag.in_v2 and about.options.keeps_log else "",
    )


def _files(about: PageContext, manifest: Manifest) -> Iterator[Files]:
    collection = about.collection
    main = plan.main_image(collection, manifest)
    others = {
        str(item.platform or ""): item.manifest
        for item in collection.images(manifest)
        if item.manifest is not None and item.manifest is not main
    }
    return files_of(collection, main, others, about.options)


def _downloads(about: PageContext, tag: Tag, kind: str) -> tuple[Download, ...]:
    """Return the files of what is no image and no cache of a builder."""
    if tag.manifest is None or tag.manifest.is_index or kind in {"image", "cache"}:
        return ()
    return tuple(downloads(about.collection, tag, tag.manifest, kind, about.options))


def _index_annotations(manifest: Manifest | None) -> tuple[imageview.Pair, ...]:
    """Return what an index says of itself; its images say theirs where they are shown."""
    if manifest is None or not manifest.is_index:
        return ()
    return tuple(imageview.pairs(manifest.annotations))


def _legacy_layers(tag: Tag) -> tuple[imageview.Layer, ...]:
    """Return the layers of an original manifest, unless an image was made of them."""
    if tag.legacy is None or (tag.manifest and tag.manifest.raw != tag.legacy.raw):
        return ()
    return imageview.legacy_layers(tag.legacy.layers)


def _images(about: PageContext, manifest: Manifest) -> Iterator[imageview.Image]:
    collection = about.collection
    if not manifest.is_index:
        yield imageview.image_view(collection, manifest, about.known)
        return
    main = plan.main_image(collection, manifest)
    found = [
        imageview.image_view(collection, item.manifest, about.known, str(item.platform or ""))
        for item in collection.images(manifest)
        if item.manifest is not None
    ]
    yield from sorted(found, key=lambda image: image.digest != main.digest)


def _platform_lines(about: PageContext, manifest: Manifest) -> Iterator[PlatformLine]:
    if not manifest.is_index:
        return
    for item in about.collection.images(manifest):
        image = item.manifest
        yield PlatformLine(
            str(item.platform or ""),
            item.platform.short if item.platform else "",
            item.descriptor.digest,
            about.collection.image_size(image) if image is not None else 0,
            len(image.layers) if image is not None else 0,
            shown=image is not None,
            annotations=tuple(imageview.pairs(item.descriptor.annotations))[:_MAX_NOTES],
        )


def _json(about: PageContext, raw: bytes) -> Markup:
    if not raw or len(raw) > _MAX_MANIFEST:
        return Markup()
    collection = about.collection
    base = f"{about.options.baseurl.rstrip('/')}/{collection.name}"

    def link(digest: str) -> str:
        if digest in collection.manifests:
            return f"{base}/manifests/{digest}/"
        return f"{base}/blobs/{digest}/" if digest in collection.blobs else ""

    return jsonhtml.readable(raw, link)
