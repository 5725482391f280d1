"""Which collections are built on which, known from the layers that their images share.

An image is built on another when its layers begin with all of the other's. Layers
are compared unpacked, by chain ID, so that it does not matter who compressed them
and how. One map from chain IDs to tags serves the whole registry: the work grows with tags
and layers, not with pairs of collections.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.pages import versions
from builder.registry.model import Row

SHOWN = 24  # collections built on one, on its page
_BASES = 3  # collections whose tags hold the same layers


@dataclass(frozen=True, slots=True)
class Relative:
    """Another collection, or a tag of it, and where its page is; `warning` is empty or a word."""

    title: str
    url: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """What the newest image of a collection is built on, and what is built on any of its tags.

    `bases` are several where tags of several collections hold the same layers. `users` are
    the first by name of `total`.
    """

    bases: tuple[Relative, ...] = ()
    users: tuple[Relative, ...] = ()
    total: int = 0


def families(rows: Iterable[Row]) -> dict[str, Family]:
    """Return the family of each collection that has one; nobody's shows what is hidden."""
    rows = sorted(rows, key=lambda row: row.name)
    by_name = {row.name: row for row in rows}
    tops = _tops(row for row in rows if not row.hidden)
    bases = {row.name: found for row in rows if (found := _bases(row, tops))}
    users: defaultdict[str, list[str]] = defaultdict(list)
    for name, found in bases.items():
        for base in () if by_name[name].hidden else found:
            users[base].append(name)
    return {
        name: Family(
            tuple(_tag(by_name[base], tag) for base, tag in bases.get(name, {}).items()),
            tuple(_collection(by_name[user]) for user in users.get(name, ())[:SHOWN]),
            len(users.get(name, ())),
        )
        for name in bases.keys() | users.keys()
    }


def _tops(rows: Iterable[Row]) -> Mapping[str, Mapping[str, str]]:
    """Return by the chain ID of all their layers the tags that hold these: of a collection one.

    One collection more than a page shows is enough, for it may be the asking one.
    """
    tops: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        for tag, chain in zip(row.tags, row.tag_chains, strict=True):
            same = tops[chain] if chain else {}
            if row.name in same:
                same[row.name] = max(same[row.name], tag, key=versions.precision)
            elif len(same) <= _BASES:
                same[row.name] = tag
    return tops


def _bases(row: Row, tops: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the tags of other collections with most of the first layers of a newest image."""
    for chain in reversed(row.chain[:-1]):
        others = [one for one in tops.get(chain, {}).items() if one[0] != row.name]
        if others:
            return dict(others[:_BASES])
    return {}


def _tag(row: Row, tag: str) -> Relative:
    warning = "yanked" if tag in row.yanked else _deprecated(row)
    return Relative(f"{row.name}:{tag}", f"{row.url}tags/{tag}/", warning)


def _collection(row: Row) -> Relative:
    return Relative(row.name, row.url, _deprecated(row))


def _deprecated(row: Row) -> str:
    return "deprecated" if row.deprecated else ""
