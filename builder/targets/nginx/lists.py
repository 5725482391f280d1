"""Lists of tags and of repositories in nginx: paged by maps, without a file for any page.

A list is one text, `"1.0","1.1",`, found by the path of its `tags/list` or
`_catalog`. Maps of regular expressions cut it: after the item that `last`
names, or where that item would stand; then `n` items from there, one decimal
digit of `n` after the other, so that every `n` is exact. What they find is
put together by the locations of the two in `nginx_locations`.
Source: distribution-spec, "Listing Tags".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from builder.output import Entry
from builder.targets.nginx.maps import MAX_TEXT, Map

_CHAR = "[A-Za-z0-9_./-]"
_ORDER = "-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"  # of bytes
_ITEM = "[^,]*+,"
_LARGEST = 9  # digits of `n` that are read


def list_maps(lists: Iterable[Entry], tags: Mapping[str, Sequence[str]]) -> Iterator[Map]:
    """Yield the maps that page `lists`, the entries of every `tags/list` and of `_catalog`.

    `tags` has the tags of each `v2/<name>`, in byte order.
    """
    parts, longest = _texts(lists, tags)
    yield from parts
    yield from _queries()
    text = "".join(f"${part.variable}" for part in parts)
    yield _after(text)
    yield from _cut(len(str(longest)))
    yield from _answer()


def _texts(lists: Iterable[Entry], tags: Mapping[str, Sequence[str]]) -> tuple[list[Map], int]:
    """Return the lists, in as many maps as the longest has parts, and its number of items."""
    parts = [Map("registry_list_0")]
    longest = 0
    for entry in lists:
        if entry.path == "v2/_catalog":
            found: Sequence[str] = sorted(path.removeprefix("v2/") for path in tags)
        else:
            found = tags.get(entry.path.removesuffix("/tags/list"), ())
        longest = max(longest, len(found))
        for number, part in enumerate(_parts(found)):
            if number == len(parts):
                parts.append(Map(f"registry_list_{number}"))
            parts[number].add(entry, f"/{entry.path}", part)
    return parts, longest


def _parts(items: Iterable[str]) -> Iterator[str]:
    """Yield the text of a list in pieces that are short enough for a configuration."""
    part = ""
    for item in items:
        text = f'"{item}",'
        if len(part) + len(text) > MAX_TEXT:
            yield part
            part = ""
        part += text
    if part:
        yield part


def _queries() -> Iterator[Map]:
    """Yield what was asked for: nothing else of a query gets into an answer."""
    asked = Map("registry_paged", "$arg_n$arg_last")
    asked.patterns.append((".", "1"))
    yield asked
    number = Map("registry_n", "$arg_n")
    number.patterns += [
        ("^$", ""),
        (f"^0*(?<registry_number>[0-9]{{1,{_LARGEST}}})$", "$registry_number"),
        ("^[0-9]+$", "9" * _LARGEST),
        (".", "invalid"),
    ]
    yield number
    last = Map("registry_last", "$arg_last")
    last.patterns += [("^$", ""), (f"^{_CHAR}{{1,255}}$", "$arg_last")]
    for slashes in range(1, 9):  # clients encode those of a repository's name
        names = [f"registry_part_{number}" for number in range(slashes + 1)]
        pattern = "%2[Ff]".join(f"(?<{name}>{_CHAR}*)" for name in names)
        last.patterns.append((f"^{pattern}$", "/".join(f"${name}" for name in names)))
    # What can be no item is taken for one that comes after all others.
    last.patterns.append((".", "~"))
    yield last


def _after(text: str) -> Map:
    """Return the map that has what follows `last`.

    For a `last` that is no item, the longest beginning of it is sought that an
    item also has and goes on from with a larger character, or goes on at all:
    of the items that are larger, those with the longest such beginning come first.
    """
    found = Map("registry_after", f"$registry_last|{text}")
    skip = f"(?:{_ITEM})*?"
    begun = r'"(?(2)\2)'  # group 2 is the beginning; it grows with each character of `last`
    grown = rf'(?:({_CHAR})(?=[^|]*\|{skip}"((?(2)\2)\1)))*'
    larger = [rf'\|{skip}(?={begun}[^"])']
    for char, after in pairwise(_ORDER):
        larger.append(rf"[{char}][^|]*\|{skip}(?={begun}[{after}-z])")
    found.patterns += [
        (r"^\|(?<registry_follow>.*)$", "$registry_follow"),
        (r'^([^|]+)\|(?:.*,)?"\1",(?<registry_follow>.*)$', "$registry_follow"),
        (rf"^{grown}(?:{'|'.join(larger)})(?<registry_follow>.*)$", "$registry_follow"),
    ]
    return found


def _cut(digits: int) -> Iterator[Map]:
    """Yield the maps that take `n` items away, those of its highest digit first.

    The last, `$registry_rest_0`, has what is left for further pages; nothing
    is left where there is no `n`, or fewer items than it asks for.
    """
    before = "$registry_after"
    for weight in reversed(range(digits)):
        found = Map(f"registry_rest_{weight}", f"$registry_n|{before}")
        if weight == digits - 1:
            found.patterns.append((rf"^(?:[0-9]{{{digits + 1},}})?\|", ""))
        rest = "(?<registry_left>.*)$"
        none = rf"^(?:[0-9]*0[0-9]{{{weight}}}|[0-9]{{0,{weight}}})\|{rest}"
        found.patterns.append((none, "$registry_left"))
        define, unit = _unit(weight)
        for digit in range(1, 10):
            asked = rf"^{define}[0-9]*{digit}[0-9]{{{weight}}}\|"
            found.patterns.append((f"{asked}(?:{unit}){{{digit}}}{rest}", "$registry_left"))
        yield found
        before = f"${found.variable}"


def _unit(weight: int) -> tuple[str, str]:
    """Return a pattern for `10**weight` items and what it needs to be defined before.

    A repeated pattern is compiled as often as it is repeated, a call of a
    defined one is small: each definition is a hundred of the one before.
    """
    define, unit = "", _ITEM
    for number in range(1, weight // 2 + 1):
        define += f"(?(DEFINE)((?:{unit}){{100}}))"
        unit = f"(?{number})"
    return define, f"(?:{unit}){{10}}" if weight % 2 else unit


def _answer() -> Iterator[Map]:
    """Yield the items of the page, and the link to the next."""
    page = Map("registry_page", "$registry_rest_0|$registry_after")
    page.patterns += [
        (r"^\|(?<registry_shown>.*)$", "$registry_shown"),
        (r"^([^|]+)\|(?<registry_shown>.*)\1$", "$registry_shown"),
    ]
    yield page
    items = Map("registry_items", "$registry_page")
    items.patterns.append(("^(?<registry_listed>.+),$", "$registry_listed"))
    yield items
    following = Map("registry_next", "$registry_rest_0|$registry_page")
    following.patterns.append(
        (
            r'^[^|]+\|(?:.*,)?"(?<registry_newest>[^"]+)",$',
            '<$uri?n=$registry_n&last=$registry_newest>; rel="next"',
        )
    )
    yield following
    # Asked for by every location: only where there is a page are the others evaluated.
    link = Map("registry_link", "$registry_paged")
    link.patterns.append(("1", "$registry_next"))
    yield link
