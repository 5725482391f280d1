"""The lists of all collections: orders, groups, and pages of a hundred.

A list page shows a hundred rows and depends on them alone, so that a change of
one collection leaves every page without it as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.pages.views import Link, browse_url, slug, tag_url
from builder.registry.model import Namespace, Row

PAGE_SIZE = 100
NEWEST = 10
FEW = 30  # collections that home lists all of


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that collections share, and how many do."""

    title: str
    url: str
    count: int


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list; `path` is its folder, ending in a slash."""

    key: str  # name, updated, size, keyword, license, platform, kind
    title: str
    path: str
    rows: tuple[Row, ...] = ()
    number: int = 1
    pages: int = 1
    total: int = 0
    choices: tuple[Choice, ...] = ()
    value: str = ""

    @property
    def url(self) -> str:
        """The page's path below the site's base."""
        return f"/{self.output.removesuffix('index.html')}"

    @property
    def output(self) -> str:
        """The page's output path."""
        return page_output(self.path, self.number)

    @property
    def previous_url(self) -> str:
        """The page before, or empty."""
        if self.number == 1:
            return ""
        return f"/{page_output(self.path, self.number - 1).removesuffix('index.html')}"

    @property
    def next_url(self) -> str:
        """The page after, or empty."""
        if self.number >= self.pages:
            return ""
        return f"/{page_output(self.path, self.number + 1).removesuffix('index.html')}"

    @property
    def first(self) -> int:
        """The number of the first row shown, counted from 1."""
        return (self.number - 1) * PAGE_SIZE + 1

    @property
    def last(self) -> int:
        """The number of the last row shown."""
        return self.first + len(self.rows) - 1


def page_output(folder: str, number: int) -> str:
    """Return the output path of a list's page: `browse/index.html`, `browse/page/2/index.html`."""
    return f"{folder}index.html" if number == 1 else f"{folder}page/{number}/index.html"


def paged(
    key: str, title: str, path: str, rows: Sequence[Row], value: str = ""
) -> Iterator[Listing]:
    """Yield the pages of one list; an empty list has one page."""
    pages = max(1, -(-len(rows) // PAGE_SIZE))
    for number in range(1, pages + 1):
        part = tuple(rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE])
        yield Listing(key, title, path, part, number, pages, len(rows), value=value)


def visible(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows that lists show, by name."""
    return tuple(sorted((row for row in rows if not row.hidden), key=lambda row: row.name))


@dataclass(frozen=True, slots=True)
class Change:
    """A collection that has a new version: which, what came before, by how many bytes it grew."""

    name: str
    url: str
    version: str
    version_url: str
    previous: str
    grown: int
    updated: str
    description: str


def changes(rows: Sequence[Row], count: int = NEWEST) -> tuple[Change, ...]:
    """Return the newest versions of the collections that changed last, where dates are known."""
    dated = [row for row in rows if row.updated and row.newest]
    return tuple(
        Change(
            row.name,
            row.url,
            row.newest,
            tag_url(row.name, row.newest),
            row.previous,
            row.size - row.previous_size if row.previous else 0,
            row.updated,
            row.description,
        )
        for row in sorted(dated, key=lambda row: row.updated, reverse=True)[:count]
    )


_SHORT = {"sif": "SIF", "wasm": "WASM"}  # how abbreviations are written


def _kinds_of(row: Row) -> tuple[str, ...]:
    return () if row.kind == "empty" else (_SHORT.get(row.kind, row.kind),)


_GROUPS: tuple[tuple[str, str, Callable[[Row], tuple[str, ...]]], ...] = (
    ("keyword", "Keywords", lambda row: row.keywords),
    ("license", "Licences", lambda row: (row.license,) if row.license else ()),
    ("platform", "Platforms", lambda row: row.platforms),
    ("kind", "Kinds", _kinds_of),
)

VARIANTS = (
    Link("Name", "/browse/"),
    Link("Updated", "/browse/updated/"),
    Link("Size", "/browse/size/"),
    Link("Keyword", "/browse/keyword/"),
    Link("Licence", "/browse/license/"),
    Link("Platform", "/browse/platform/"),
    Link("Kind", "/browse/kind/"),
)


def listings(rows: Sequence[Row]) -> Iterator[Listing]:
    """Yield every page below `/browse/` for rows that are visible and sorted by name."""
    yield from paged("name", "All collections", "browse/", rows)
    by_date = sorted(rows, key=lambda row: row.updated, reverse=True)
    yield from paged("updated", "Collections by last update", "browse/updated/", by_date)
    by_size = sorted(rows, key=lambda row: row.size, reverse=True)
    yield from paged("size", "Collections by size", "browse/size/", by_size)
    for key, title, values in _GROUPS:
        yield from _grouped(key, title, rows, values)


def _grouped(
    key: str, title: str, rows: Sequence[Row], values: Callable[[Row], tuple[str, ...]]
) -> Iterator[Listing]:
    groups = _groups(rows, values)
    choices = _choices(key, groups)
    yield Listing(key, title, f"browse/{key}/", total=len(choices), choices=choices)
    for choice in choices:
        found = tuple(groups[slug(choice.title)][1].values())
        yield from paged(key, choice.title, choice.url.lstrip("/"), found, choice.title)


def kinds(rows: Sequence[Row]) -> tuple[Choice, ...]:
    """Return what kinds of collections there are, the most frequent first."""
    return _choices("kind", _groups(rows, _kinds_of))


_Groups = Mapping[str, tuple[str, dict[str, Row]]]


def _groups(rows: Sequence[Row], values: Callable[[Row], tuple[str, ...]]) -> _Groups:
    """Return by slug a value as it was first written, and the rows that have it."""
    groups: dict[str, tuple[str, dict[str, Row]]] = {}
    for row in rows:
        for value in values(row):
            groups.setdefault(slug(value), (value, {}))[1][row.name] = row
    return groups


def _choices(key: str, groups: _Groups) -> tuple[Choice, ...]:
    order = sorted(groups, key=lambda part: (-len(groups[part][1]), part))
    return tuple(
        Choice(groups[part][0], browse_url(key, groups[part][0]), len(groups[part][1]))
        for part in order
    )


@dataclass(frozen=True, slots=True)
class Totals:
    """What the home page and `builder du` count; each blob's bytes once, wherever it is kept."""

    collections: int
    tags: int
    bytes: int


def totals(rows: Sequence[Row]) -> Totals:
    """Return the counts over all rows."""
    unique: dict[str, int] = {}
    for row in rows:
        unique.update(row.blobs)
    return Totals(len(rows), sum(len(row.tags) for row in rows), sum(unique.values()))


def counts_below(rows: Sequence[Row]) -> Mapping[str, int]:
    """Return how many collections there are below each folder, at any depth."""
    counts: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        name = row.namespace
        while name:
            counts[name] += 1
            name = name.rpartition("/")[0]
    return counts


def namespace_choices(
    namespaces: Sequence[Namespace], counts: Mapping[str, int]
) -> tuple[Choice, ...]:
    """Return links to namespaces that have something visible in them."""
    return tuple(
        Choice(space.title, f"/{space.name}/", counts.get(space.name, 0))
        for space in namespaces
        if counts.get(space.name, 0)
    )


@dataclass(frozen=True, slots=True)
class Branch:
    """A namespace at the top, and those right below it."""

    choice: Choice
    below: tuple[Choice, ...]


def tree(namespaces: Sequence[Namespace], counts: Mapping[str, int]) -> tuple[Branch, ...]:
    """Return the namespaces of the two upper levels that have something visible in them."""
    inner: defaultdict[str, list[Namespace]] = defaultdict(list)
    for space in namespaces:
        inner[space.name.rpartition("/")[0]].append(space)
    return tuple(
        Branch(choice, namespace_choices(inner[choice.url.strip("/")], counts))
        for choice in namespace_choices(inner[""], counts)
    )
