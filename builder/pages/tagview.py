"""What the page of a tag is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from markupsafe import Markup

from builder.oci.manifest import Manifest
from builder.pages import attached, imageview, jsonhtml, mirrored, plan
from builder.pages.chartfiles import chart_files
from builder.pages.difference import Difference, difference
from builder.pages.downloads import Download, downloads
from builder.pages.fileview import Files, files_of
from builder.pages.headerless import ArchiveLine, CompanionLine, archive_lines, companion_lines
from builder.pages.pull import Pull
from builder.pages.views import (
    MAX_NOTES,
    Link,
    PageContext,
    few,
    other_names,
    replacement_of,
    state_of,
    tag_url,
)
from builder.registry.model import Tag

_MAX_MANIFEST = 64 << 10  # bytes of JSON that a page still shows


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
            for other in other_names(known.aliases.get(digest, ()), tag.name)
        ),
        platforms=tuple(_platform_lines(about, manifest)) if manifest is not None else (),
        images=images,
        legacy_layers=_legacy_layers(tag),
        attached=attached.read(collection, about.groups(tag), about.options),
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
        pull=about.pull(tag),
        warnings=few(tag.warnings),
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
            annotations=tuple(imageview.pairs(item.descriptor.annotations))[:MAX_NOTES],
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
