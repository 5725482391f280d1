"""Jekyll's filters, for Jinja.

A filter is given what content says, so none may raise on odd values or let a
value become markup: addresses never turn into another scheme or another
host, JSON is safe inside HTML, and what is not a date prints as nothing.
Left out on purpose: `sample` and `now`, which change between builds.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import TemplateRuntimeError, Undefined
from markupsafe import Markup

from builder.documents import dates
from builder.errors import did_you_mean
from builder.theme import textfilters
from builder.theme.textfilters import text_of

_SAFE_IN_URL = "/:@!$&'()*+,;=~-._?#[]%"
_PLAIN_URL = re.compile(r"[A-Za-z0-9/:@.?=~_-]*")  # nothing to encode, as in nearly all
_EXTERNAL = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")


class Group(NamedTuple):
    """The items that share a value, as `group_by` returns them."""

    name: Any
    items: list[Any]

    @property
    def size(self) -> int:
        """How many items there are."""
        return len(self.items)


def safe_url(text: str) -> str:
    """Return an address with all that could end its attribute or its host percent-encoded."""
    return text if _PLAIN_URL.fullmatch(text) else quote(text.strip(), safe=_SAFE_IN_URL)


def is_external(text: str) -> bool:
    """Tell whether `text` is an address of an allowed scheme on any host."""
    return _EXTERNAL.match(text.strip()) is not None


def below(baseurl: str, path: str) -> str:
    """Return `path` as a URL path under `baseurl`: always one slash, never another host."""
    return f"{baseurl.rstrip('/')}/{safe_url(path).lstrip('/')}"


class UrlFilters:
    """The filters that know where the site is."""

    def __init__(self, *, baseurl: str, url: str, assets: Mapping[str, str]) -> None:
        self._baseurl = baseurl
        self._url = url.rstrip("/")
        self._assets = {name: below(baseurl, path) for name, path in assets.items()}

    def relative_url(self, value: object) -> str:
        """`/about/` as a path from the host root; external addresses stay as they are."""
        text = text_of(value)
        return safe_url(text) if is_external(text) else below(self._baseurl, text)

    def absolute_url(self, value: object) -> str:
        """`/about/` with scheme and host."""
        text = text_of(value)
        return safe_url(text) if is_external(text) else self._url + below(self._baseurl, text)

    def asset_url(self, name: str) -> str:
        """Where the theme's file `name` is published, its fingerprint included."""
        if name not in self._assets:
            hint = did_you_mean(name, self._assets)
            raise TemplateRuntimeError(
                f"there is no asset {name!r}" + (f"; {hint}" if hint else "")
            )
        return self._assets[name]


class DateFilters:
    """The filters that know the site's time zone."""

    def __init__(self, timezone: str) -> None:
        self._timezone = timezone

    def date(self, value: object, pattern: str = "%Y-%m-%d") -> str:
        """Return a date by a strftime pattern; what is no date is nothing."""
        return self._shown(value, lambda when: dates.format_date(when, pattern))

    def date_to_string(self, value: object) -> str:
        """`07 Nov 2024`."""
        return self.date(value, "%d %b %Y")

    def date_to_long_string(self, value: object) -> str:
        """`07 November 2024`."""
        return self.date(value, "%d %B %Y")

    def date_to_xmlschema(self, value: object) -> str:
        """`2024-11-07T13:07:54+00:00`."""
        return self._shown(value, dates.xmlschema)

    def date_to_rfc822(self, value: object) -> str:
        """`Thu, 07 Nov 2024 13:07:54 +0000`."""
        return self._shown(value, dates.rfc822)

    def _shown(self, value: object, show: Callable[[datetime], str]) -> str:
        when = dates.to_datetime(value, self._timezone)
        return "" if when is None else show(when)


def jsonify(value: object) -> Markup:
    """Return JSON that is safe between HTML tags and in a single-quoted attribute."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    for char in "<>&'\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - what HTML could read is escaped above


def _plain(value: object) -> object:
    if isinstance(value, Undefined):
        str(value)  # raises, naming what is undefined
    if isinstance(value, datetime):
        return dates.xmlschema(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def field_of(item: object, key: str) -> Any:
    """Return `item`'s `key` (dots reach inside), or None."""
    for part in key.split("."):
        if isinstance(item, Mapping):
            item = item.get(part)
        else:
            item = None if part.startswith("_") else getattr(item, part, None)
    return item


def where(items: Iterable[Any], key: str, value: object) -> list[Any]:
    """Return the items whose `key` is `value`, or is a list that has it."""
    return [item for item in items if _has(field_of(item, key), value)]


def _has(found: object, value: object) -> bool:
    if isinstance(found, (list, tuple, set, frozenset)):
        return value in found
    return found == value and isinstance(found, bool) == isinstance(value, bool)


def group_by(items: Iterable[Any], key: str) -> list[Group]:
    """Return the items in groups by their `key`, in order of first appearance."""
    groups: dict[str, Group] = {}
    for item in items:
        name = field_of(item, key)
        groups.setdefault(repr(name), Group("" if name is None else name, [])).items.append(item)
    return list(groups.values())


def sort(
    items: Iterable[Any],
    key: str | bool | None = None,  # noqa: FBT001 - Jinja's own first parameter is `reverse`
    *,
    reverse: bool = False,
    attribute: str | None = None,
    case_sensitive: bool = False,
) -> list[Any]:
    """Return the items in order, by a key if one is given; those without it come first."""
    by = key if isinstance(key, str) else attribute
    reverse = reverse or key is True

    def rank(item: Any) -> tuple[int, Any]:
        value = field_of(item, by) if by else item
        if value is None:
            return 0, 0
        if isinstance(value, (int, float)):
            return 1, value
        if isinstance(value, (date, datetime)):
            return 2, value.isoformat()
        return 3, str(value) if case_sensitive else str(value).casefold()

    return sorted(items, key=rank, reverse=reverse)


def size(value: object) -> int:
    """Return the length of a text or a list; 0 of all else."""
    return len(value) if isinstance(value, (str, Sequence, Mapping, set, frozenset)) else 0


def filesize(count: object) -> str:
    """Return a number of bytes for people: `1.2 MB`, in steps of 1,000."""
    if isinstance(count, bool) or not isinstance(count, (int, float)):
        return ""
    value = float(count)
    for unit in _UNITS:
        if value < 999.95 or unit == _UNITS[-1]:
            break
        value /= 1000
    if unit == _UNITS[0]:
        return "1 byte" if value == 1 else f"{value:.0f} bytes"
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def uniq(items: Iterable[Any]) -> list[Any]:
    """Return the items without repetitions, in order of first appearance."""
    return list({repr(item): item for item in items}.values())


# Liquid's filters that are one expression; their names are their documentation.
_SHORT: Mapping[str, Callable[..., Any]] = {
    "append": lambda value, end: f"{text_of(value)}{text_of(end)}",
    "at_least": max,
    "at_most": min,
    "compact": lambda items: [item for item in items if item is not None],
    "concat": lambda items, more: [*items, *more],
    "divided_by": lambda value, by: value // by,
    "downcase": lambda value: text_of(value).lower(),
    "lstrip": lambda value: text_of(value).lstrip(),
    "minus": lambda value, by: value - by,
    "modulo": lambda value, by: value % by,
    "plus": lambda value, by: value + by,
    "pop": lambda items, count=1: list(items)[: -count or None],
    "prepend": lambda value, start: f"{text_of(start)}{text_of(value)}",
    "push": lambda items, item: [*items, item],
    "remove": lambda value, part: text_of(value).replace(part, ""),
    "remove_first": lambda value, part: text_of(value).replace(part, "", 1),
    "replace_first": lambda value, old, new: text_of(value).replace(old, new, 1),
    "rstrip": lambda value: text_of(value).rstrip(),
    "shift": lambda items, count=1: list(items)[count:],
    "sort_natural": lambda items, key=None: sort(items, key),
    "split": lambda value, by=None: text_of(value).split(by or None),
    "strip": lambda value: text_of(value).strip(),
    "strip_newlines": lambda value: text_of(value).replace("\n", ""),
    "times": lambda value, by: value * by,
    "unshift": lambda items, item: [item, *items],
    "upcase": lambda value: text_of(value).upper(),
}

_PLAIN: tuple[Callable[..., Any], ...] = (
    jsonify, where, group_by, sort, size, filesize, uniq,
    textfilters.array_to_sentence_string, textfilters.cgi_escape, textfilters.escape_once,
    textfilters.newline_to_br, textfilters.normalize_whitespace, textfilters.number_of_words,
    textfilters.pluralize, textfilters.slugify, textfilters.smartify, textfilters.strip_html,
    textfilters.truncate, textfilters.truncatewords, textfilters.uri_escape,
    textfilters.xml_escape,
)  # fmt: skip


def all_filters(urls: UrlFilters, times: DateFilters) -> dict[str, Callable[..., Any]]:
    """Return every filter under its name in templates; `markdownify` is added by its owner."""
    bound = (
        urls.relative_url, urls.absolute_url, urls.asset_url,
        times.date, times.date_to_string, times.date_to_long_string,
        times.date_to_xmlschema, times.date_to_rfc822,
    )  # fmt: skip
    named = {function.__name__: function for function in (*_PLAIN, *bound)}
    return {**_SHORT, **named}
