"""What follows from a collection's content: order, sharing, and its line in every list.

Everything here is computed once for a collection and in time linear in its
tags and layers; the pages only show it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.oci import mediatype
from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.oci.platform import Platform, choose
from builder.oci.secrets import is_secret
from builder.pages import versions
from builder.pages.words import cut, search_words, whole_names
from builder.registry.model import Collection, Namespace, Row, Tag
from builder.text.markdown import Rendered

# What an artifact is, by what the types of its parts begin with; the first that fits counts.
_ARTIFACTS = (
    ("application/vnd.cncf.helm.", "chart"),
    ("application/vnd.sylabs.sif.", "sif"),
    ("application/vnd.alembic.app.", "app"),
    ("application/vnd.wasm.", "wasm"),
    ("application/wasm", "wasm"),
    ("application/vnd.cncf.model.", "model"),
    ("application/vnd.docker.ai.", "model"),
    ("application/vnd.ollama.", "model"),
    ("application/vnd.buildkit.cacheconfig.", "cache"),
    ("application/vnd.homebrew.", "bottle"),
)
_PREFIXES = tuple(prefix for prefix, _ in _ARTIFACTS)
_PACKAGE_TYPE, _BOTTLE = "com.github.package.type", "homebrew_bottle"
KINDS = frozenset({"image", "artifact", "recipe", "empty", *(kind for _, kind in _ARTIFACTS)})
_MAX_DESCRIPTION = 300
_CUT_DIGEST = 12  # of its hexadecimal digits
_CUT_CHAIN = 16
_DEFAULT = Platform("linux", "amd64")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the pages of one collection share.

    `order` holds the tags as lists show them; `newest` is no yanked one, `main` the
    newest, or where all are yanked what would be; `aliases` the names of all tags
    that point to a digest; `layer_tags` how many digests of
    tags hold a layer; `sizes`
    the compressed bytes of each tag; `previous` the version before each
    version.
    """

    order: tuple[Tag, ...]
    newest: str
    main: str
    aliases: Mapping[str, tuple[str, ...]]
    layer_tags: Mapping[str, int]
    sizes: Mapping[str, int]
    previous: Mapping[str, str]


def facts(collection: Collection) -> Facts:
    """Return what follows from all tags of a collection together."""
    order = sort_tags(collection.tags)
    aliases: defaultdict[str, list[str]] = defaultdict(list)
    layer_tags: Counter[str] = Counter()
    seen: set[str] = set()
    for tag in order:
        digest = digest_of(tag)
        if digest:
            aliases[digest].append(tag.name)
        if tag.manifest is not None and digest not in seen:
            seen.add(digest)
            layer_tags.update(set(_layers(collection, tag.manifest)))
    newest = newest_of([tag for tag in order if not tag.yanked])
    return Facts(
        order,
        newest,
        newest or newest_of(order),
        {digest: tuple(names) for digest, names in aliases.items()},
        layer_tags,
        _sizes(collection, order),
        _previous(order, aliases),
    )


def sort_tags(tags: Iterable[Tag]) -> tuple[Tag, ...]:
    """Return the tags newest first: `latest`, versions, names, pre-releases."""
    return tuple(sorted(tags, key=lambda tag: versions.key(tag.name), reverse=True))


def without_tools(order: Sequence[Tag]) -> tuple[Tag, ...]:
    """Return the tags without cosign's (`sha256-….sig`), unless there are no others."""
    return tuple(tag for tag in order if not versions.is_tool_tag(tag.name)) or tuple(order)


def moved_pages(redirects: Mapping[str, str], rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield the old and the new folder of every page of a collection that has another name now."""
    tags = {row.name: row.tags for row in rows}
    for old, new in sorted(redirects.items()):
        yield old, new
        yield from ((f"{old}/tags/{tag}", f"{new}/tags/{tag}") for tag in tags.get(new, ()))


def digest_of(tag: Tag) -> str:
    """Return the digest a tag points to; of a legacy tag its only layer's; else empty."""
    if tag.manifest is not None:
        return tag.manifest.digest
    if tag.legacy is not None and len(tag.legacy.layers) == 1:
        return tag.legacy.layers[0].digest
    return ""


def newest_of(order: Sequence[Tag]) -> str:
    """Return the name of the newest tag that can be had, or empty.

    That is the highest stable version, else the highest pre-release; where
    there are no versions, the name that came last.
    """
    candidates = [tag for tag in without_tools(order) if tag.has_manifest]
    found = [tag.name for tag in candidates if versions.is_version(tag.name)]
    stable = [name for name in found if not versions.is_pre_release(name)]
    if found:
        return (stable or found)[0]
    dated = sorted((tag.date, -place) for place, tag in enumerate(candidates) if tag.date)
    if dated:
        return candidates[-dated[-1][1]].name
    return candidates[0].name if candidates else ""


def _layers(collection: Collection, manifest: Manifest) -> Iterator[str]:
    for item in collection.images(manifest):
        yield from (layer.digest for layer in (item.manifest.layers if item.manifest else ()))


def _sizes(collection: Collection, order: Iterable[Tag]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    known: dict[Digest, int] = {}
    for tag in order:
        if tag.manifest is not None:
            digest = tag.manifest.digest
            if digest not in known:
                known[digest] = collection.image_size(tag.manifest)
            sizes[tag.name] = known[digest]
        elif tag.legacy is not None:
            sizes[tag.name] = sum(layer.size for layer in tag.legacy.layers)
    return sizes


def _previous(order: Sequence[Tag], aliases: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the version before each version, walking once from the oldest up.

    Of the tags on one digest only the most precise version counts (`1.2`, not
    `1`); the others share what is found for it. A release skips pre-releases.
    """
    before: dict[str, str] = {}
    releases: dict[str, str] = {}
    any_version = ""
    for tag in reversed(order):
        if tag.manifest is None or not tag.available or not versions.is_version(tag.name):
            continue
        names = aliases[tag.manifest.digest]
        if len(names) > 1 and tag.name != max(names, key=versions.precision):
            continue
        kind = versions.variant(tag.name)
        pre = versions.is_pre_release(tag.name)
        for name in names:
            before[name] = any_version if pre else releases.get(kind, "")
        if not kind:
            any_version = tag.name
        if not pre:
            releases[kind] = tag.name
    return {name: other for name, other in before.items() if other}


def kind_of(collection: Collection, main: str) -> str:
    """Return what a collection holds, judged by the tag that stands for it."""
    said = collection.keys.get("type")
    if said in KINDS:
        return str(said)
    tag = collection.tag(main)
    if tag is None:
        return "recipe" if any(tag.recipe for tag in collection.tags) else "empty"
    return tag_kind(collection, tag)


def tag_kind(collection: Collection, tag: Tag) -> str:
    """Return what one tag holds, one of `KINDS`."""
    if tag.manifest is None:
        if tag.legacy is not None:
            return "sif"
        return "recipe" if tag.recipe is not None else "empty"
    manifest = main_image(collection, tag.manifest)
    if found := _artifact_kind(tag.manifest, manifest):
        return found
    if manifest.is_container or (manifest.is_index and collection.images(manifest)):
        return "image"  # an index of none is a builder's cache, or nothing
    return "sif" if manifest.media_type == mediatype.SINGULARITY_MANIFEST else "artifact"


def _artifact_kind(top: Manifest, image: Manifest) -> str:
    """Return what no image is but may have the config of one, known by its types and marks."""
    if top.annotations.get(_PACKAGE_TYPE) == _BOTTLE:
        return "bottle"
    parts = (*image.blobs, *image.manifests)
    types = {image.effective_artifact_type, *(part.media_type for part in parts)}
    if not any(kind.startswith(_PREFIXES) for kind in types):
        return ""  # as nearly always
    found = (kind for prefix, kind in _ARTIFACTS if any(kind.startswith(prefix) for kind in types))
    return next(found, "")


def main_image(collection: Collection, manifest: Manifest) -> Manifest:
    """Return the image a page shows first: of an index its linux/amd64, else its first known."""
    if not manifest.is_index:
        return manifest
    found = [(item.platform, item.manifest) for item in collection.images(manifest)]
    held = [(platform, image) for platform, image in found if image is not None]
    chosen = choose(held, _DEFAULT) or [image for _, image in held]
    return chosen[0] if chosen else manifest


def row(collection: Collection, texts: Mapping[str, Rendered], known: Facts | None = None) -> Row:
    """Return what lists and other pages know of a collection.

    `texts` holds its rendered README under the empty name; its excerpt
    stands in for a missing description. `known` are its facts, where they have been found.
    """
    known = known or facts(collection)
    keys = collection.keys
    shown = [tag for tag in without_tools(known.order) if tag.has_manifest]
    main = collection.tag(known.main)
    previous = known.previous.get(known.main, "")
    chains = _chains(collection, shown)
    platforms = dict.fromkeys(
        platform.short
        for tag in shown
        if tag.manifest is not None
        for platform in collection.platforms(tag.manifest)
    )
    return Row(
        name=collection.name,
        title=_title(collection, texts),
        description=_description(collection, texts),
        keywords=tuple(dict.fromkeys(words(keys.get("keywords")))),
        license=one_line(keys.get("license")),
        maintainers=tuple(person.name for person in people(keys.get("maintainers"))),
        kind=kind_of(collection, known.main),
        platforms=tuple(sorted(platforms)),
        tags=tuple(tag.name for tag in shown),
        tag_dates=tuple(tag.date[:10] for tag in shown),
        newest=known.newest,
        updated=max((tag.date[:10] for tag in shown), default=""),
        size=known.sizes.get(known.main, 0),
        digest=digest_of(main) if main is not None else "",
        deprecated=one_line(keys.get("deprecated")),
        hidden=keys.get("hidden") is True,
        listed=any(tag.in_v2 for tag in shown),
        blobs=tuple(sorted((place.digest, place.size) for place in collection.blobs.values())),
        redirect_from=tuple(words(keys.get("redirect_from"), split=False)),
        origin=collection.origin,
        tag_digests=tuple(digest_of(tag).partition(":")[2][:_CUT_DIGEST] for tag in shown),
        yanked=tuple(tag.name for tag in shown if tag.yanked),
        previous=previous,
        previous_size=known.sizes.get(previous, 0),
        chain=chains.get(known.main, ()),
        tag_chains=tuple("".join(chains[tag.name][-1:]) for tag in shown),
    )


def found_by(collection: Collection, row: Row, known: Facts) -> str:
    """Return the words of a collection's README and labels that its row does not show, a line each.

    They are no part of the row: an edit of a README leaves all other lists as they are.
    """
    labels = _labels(collection, collection.tag(known.main))
    texts = (row.description, *_last_names(labels), collection.readme)
    shown = " ".join((row.name, row.title, *row.keywords))
    return "\n".join((*whole_names(labels), *search_words(texts, shown)))


def _chains(collection: Collection, tags: Iterable[Tag]) -> dict[str, tuple[str, ...]]:
    """Return the chain IDs of the image that each tag shows first, cut; none of what is no image.

    Layers can only be shared where the config says what each of them unpacks to.
    """
    known: dict[str, tuple[str, ...]] = {}
    for tag in tags:
        digest = digest_of(tag)
        if digest not in known:
            known[digest] = _chain(collection, tag.manifest) if tag.manifest is not None else ()
    return {tag.name: known[digest_of(tag)] for tag in tags}


def _chain(collection: Collection, manifest: Manifest) -> tuple[str, ...]:
    image = main_image(collection, manifest)
    config = collection.configs.get(image.digest) if image.is_container else None
    ids = config.chain_ids if config is not None else ()
    return tuple(item.partition(":")[2][:_CUT_CHAIN] for item in ids)


def _labels(collection: Collection, tag: Tag | None) -> dict[str, str]:
    """Return the labels of a tag's image, but for secrets."""
    if tag is None or tag.manifest is None:
        return {}
    config = collection.configs.get(main_image(collection, tag.manifest).digest)
    labels = config.labels if config is not None else {}
    return {key: text for key, text in labels.items() if not is_secret(key.rpartition(".")[2])}


def _last_names(labels: Mapping[str, str]) -> Iterator[str]:
    return (f"{key.rpartition('.')[2]} {text}" for key, text in labels.items())


def _title(collection: Collection, texts: Mapping[str, Rendered]) -> str:
    """Return the front matter's title, else the README's first heading, else the name."""
    heading = texts[""].title if "" in texts else ""
    return one_line(collection.keys.get("title")) or heading or collection.name


def _description(collection: Collection, texts: Mapping[str, Rendered]) -> str:
    text = one_line(collection.keys.get("description"))
    if not text and "" in texts:
        text = one_line(texts[""].excerpt)
    return cut(text, _MAX_DESCRIPTION)


def one_line(value: Any) -> str:
    """Return a front matter value as one line of text; empty for nothing and for lists."""
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def words(value: Any, *, split: bool = True) -> Iterator[str]:
    """Yield the texts of a list, or of one text (`a, b` is two with `split`)."""
    items = value if isinstance(value, list | tuple) else [value]
    for item in items:
        text = one_line(item)
        for part in text.split(",") if split and not isinstance(value, list | tuple) else [text]:
            if part.strip():
                yield part.strip()


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who looks after a collection; `url` is empty or safe to link."""

    name: str
    url: str = ""


def people(value: Any) -> Iterator[Person]:
    """Yield the maintainers that front matter names, as texts or as mappings."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, Mapping):
            name = one_line(item.get("name") or item.get("github") or item.get("email"))
            if name:
                yield Person(name, _person_url(item))
        elif text := one_line(item):
            github = text.startswith("@") and text[1:].replace("-", "").isalnum() and text.isascii()
            yield Person(text, f"https://github.com/{text[1:]}" if github else "")


def _person_url(item: Mapping[str, Any]) -> str:
    url = one_line(item.get("url"))
    if url.startswith(("https://", "http://")):
        return url
    github = one_line(item.get("github")).lstrip("@")
    if github.isascii() and github.replace("-", "").isalnum():
        return f"https://github.com/{github}"
    return ""


def namespaces_of(rows: Iterable[Row], known: Iterable[Namespace] = ()) -> tuple[Namespace, ...]:
    """Return a namespace for every folder above a collection that is not one itself, by name.

    `known` are those with a README; an unknown one gets the folder of the
    collection it was found by as its origin.
    """
    rows = tuple(rows)
    collections = {row.name for row in rows}
    found = {namespace.name: namespace for namespace in known}
    for row in rows:
        name, origin = row.namespace, row.origin.removesuffix(row.name)
        while name and name not in found:
            found[name] = Namespace(name, f"{origin}{name}")
            name = name.rpartition("/")[0]
    return tuple(found[name] for name in sorted(found) if name not in collections)
