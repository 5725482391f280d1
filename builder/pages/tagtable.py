"""The table of a collection's tags: a row a digest, for a few tags and for hundreds.

Many tags are put in groups: the newest versions are shown at once, the older
folded by their first number, and names and pre-releases on their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.pages import versions

SHOWN = 30  # rows that are seen at once
_NAMES, _PRE_RELEASES = "Other names", "Pre-releases"


@dataclass(frozen=True, slots=True)
class TagLine:
    """One tag in a collection's table; see `views.state_of` for `state`."""

    name: str
    url: str
    digest: str
    aliases: tuple[str, ...]
    platforms: tuple[str, ...]
    size: int
    created: str
    built: str
    yanked: str
    state: str
    attached: tuple[str, ...]
    description: str
    app_url: str


@dataclass(frozen=True, slots=True)
class TagRow:
    """What one digest is called: the name that says most, and the others."""

    tag: TagLine
    others: tuple[TagLine, ...]


@dataclass(frozen=True, slots=True)
class TagGroup:
    """Rows that are folded together; those that are seen at once have no title."""

    title: str
    rows: tuple[TagRow, ...]


@dataclass(frozen=True, slots=True)
class TagTable:
    """The rows of all tags, and which columns say something.

    `platforms` where tags differ by them, the others where any has a digest, size or date.
    """

    groups: tuple[TagGroup, ...]
    platforms: bool
    digests: bool
    sizes: bool
    dates: bool


def tag_table(lines: Sequence[TagLine]) -> TagTable:
    """Return the rows of tags that are in the order of lists."""
    rows = _rows(lines)
    return TagTable(
        tuple(_groups(rows)),
        platforms=len({line.platforms for line in lines}) > 1,
        digests=any(line.digest for line in lines),
        sizes=any(line.size for line in lines),
        dates=any(line.created or line.built for line in lines),
    )


def _rows(lines: Sequence[TagLine]) -> list[TagRow]:
    """Return a row for each digest and state of it, where the best of its names stands."""
    same: defaultdict[tuple[str, str], list[TagLine]] = defaultdict(list)
    for line in lines:
        same[line.digest or line.name, line.state].append(line)
    found = []
    for names in same.values():
        best = max(names, key=_worth)
        found.append(TagRow(best, tuple(line for line in names if line is not best)))
    return sorted(found, key=lambda row: versions.key(row.tag.name), reverse=True)


def _worth(line: TagLine) -> tuple[tuple[int, int], versions.Key]:
    """Return how much a name says: `1.2.3` more than `1.2`, and that more than `latest`."""
    return versions.precision(line.name), versions.key(line.name)


def _groups(rows: Sequence[TagRow]) -> list[TagGroup]:
    if len(rows) <= SHOWN:
        return [TagGroup("", tuple(rows))] if rows else []
    parts: Mapping[str, list[TagRow]] = {"": [], _NAMES: [], _PRE_RELEASES: []}
    for row in rows:
        parts[_part(row.tag.name)].append(row)
    releases = parts[""] or parts[_NAMES] or parts[_PRE_RELEASES]
    older: defaultdict[str, list[TagRow]] = defaultdict(list)
    for row in releases[SHOWN:]:
        older[versions.major(row.tag.name)].append(row)
    folded = [(f"{number}.x" if number else "More", found) for number, found in older.items()]
    others = [(title, part) for title, part in parts.items() if part and part is not releases]
    groups = [("", releases[:SHOWN]), *folded, *others]
    return [TagGroup(title, tuple(found)) for title, found in groups]


def _part(name: str) -> str:
    if name != "latest" and not versions.is_version(name):
        return _NAMES
    return _PRE_RELEASES if versions.is_pre_release(name) else ""
