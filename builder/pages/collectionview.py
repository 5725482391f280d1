"""What the page of a collection is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from builder.pages import charts, plan, versions
from builder.pages.family import Family
from builder.pages.pull import Pull
from builder.pages.tagtable import TagLine, TagTable, tag_table
from builder.pages.views import (
    Link,
    PageContext,
    browse_url,
    few,
    other_names,
    replacement_of,
    state_of,
    tag_url,
)
from builder.registry.model import Collection, Tag


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
    family: Family | None
    _identity: bytes = field(default=b"", init=False, repr=False, compare=False)


def collection_view(about: PageContext, family: Family | None = None) -> CollectionView:
    """Return what the page of a collection shows; `family` are others that share its layers."""
    collection, row, known = about.collection, about.row, about.known
    keys = collection.keys
    lines = tuple(_line(about, tag) for tag in plan.without_tools(known.order))
    pull_tag = _pull_tag(about)
    main = collection.tag(known.main)
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
        attached=_kinds(about, main) if main is not None else (),
        tags=lines,
        table=tag_table(lines),
        sizes=charts.curve(_sizes(lines)),
        pull=about.pull(pull_tag) if pull_tag is not None else None,
        license=row.license,
        license_url="" if row.hidden else browse_url("license", row.license),
        links=tuple(_links(keys)),
        maintainers=tuple(plan.people(keys.get("maintainers"))),
        keywords=tuple(
            Link(word, "" if row.hidden else browse_url("keyword", word)) for word in row.keywords
        ),
        distinct_bytes=sum(size for _, size in row.blobs),
        app_url=about.apps.get(known.main) or about.apps.get("latest", ""),
        warnings=few(collection.warnings),
        family=family,
    )


def _pull_tag(about: PageContext) -> Tag | None:
    """Return the tag to pull by default: `latest`, else the newest; where all are yanked any."""
    latest = about.collection.tag("latest")
    if latest is not None and latest.has_manifest and not latest.yanked:
        return latest
    return about.collection.tag(about.known.main)


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
        aliases=other_names(about.known.aliases.get(digest, ()), tag.name),
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
