"""Jekyll's filters, for Jinja.

A filter is given what content says, so none may raise on odd values or let a
value become markup: addresses never turn into another scheme or another
host, JSON is safe inside HTML, and what is not a date prints as nothing.
Left out on purpose: `sample` and `now`, which change between builds.
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from jinja2 import TemplateRuntimeError, Undefined
from markupsafe import Markup, escape

from builder.errors import did_you_mean
from builder.site import dates

_SAFE_IN_URL = "/:@!$&'()*+,;=~-._?#[]%"
_EXTERNAL = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_TAGS = re.compile(
    r"<script.*?</script\s*>|<style.*?</style\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE
)
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
    return quote(text.strip(), safe=_SAFE_IN_URL)


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
        self._assets = assets

    def relative_url(self, value: object) -> str:
        """`/about/` as a path from the host root; external addresses stay as they are."""
        text = _text(value)
        return safe_url(text) if is_external(text) else below(self._baseurl, text)

    def absolute_url(self, value: object) -> str:
        """`/about/` with scheme and host."""
        text = _text(value)
        return safe_url(text) if is_external(text) else self._url + below(self._baseurl, text)

    def asset_url(self, name: str) -> str:
        """Where the theme's file `name` is published, its fingerprint included."""
        if name not in self._assets:
            hint = did_you_mean(name, self._assets)
            raise TemplateRuntimeError(
                f"there is no asset {name!r}" + (f"; {hint}" if hint else "")
            )
        return below(self._baseurl, self._assets[name])


class DateFilters:
    """The filters that know the site's time zone."""

    def __init__(self, timezone: str) -> None:
        self._timezone = timezone

    def date(self, value: object, pattern: str = "%Y-%m-%d") -> str:
        """A date by a strftime pattern."""
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


def _text(value: object) -> str:
    return "" if value is None else str(value)


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


_SLUGS = {
    "raw": r"\s+",
    "default": r"[^\w]+|_+",
    "pretty": r"[^\w.~!$&'()+,;=@]+",
    "ascii": r"[^a-zA-Z0-9]+",
    "latin": r"[^\w]+|_+",
}


def slugify(value: object, mode: str = "default") -> str:
    """Return a text that can stand in an address: lower case, words joined by `-`."""
    if mode == "none":
        return _text(value)
    pattern = _SLUGS.get(mode, _SLUGS["default"])
    return re.sub(pattern, "-", _text(value)).strip("-").lower()


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


def uri_escape(value: object) -> str:
    """Return `value` with what no address may hold percent-encoded."""
    return quote(_text(value), safe="/:@!$&'()*+,;=~-._?#[]")


def cgi_escape(value: object) -> str:
    """Return `value` as a part of a query: `foo, bar` is `foo%2C+bar`."""
    return quote_plus(_text(value))


def xml_escape(value: object) -> Markup:
    """Return `value` as text inside XML or HTML."""
    return escape(str(_text(value)))


def escape_once(value: object) -> Markup:
    """Return `value` as text, entities that are already written kept."""
    return escape(html.unescape(_text(value)))


def strip_html(value: object) -> str:
    """Return the text of some HTML, without tags, comments, scripts and styles."""
    return html.unescape(_TAGS.sub("", _text(value)))


def newline_to_br(value: object) -> Markup:
    """Return `value` with a `<br>` before each line end."""
    return Markup("<br>\n").join(escape(_text(value)).splitlines())


def normalize_whitespace(value: object) -> str:
    """Return `value` with each run of white space made one space."""
    return " ".join(_text(value).split())


def number_of_words(value: object) -> int:
    """Return how many words `value` has."""
    return len(_text(value).split())


def array_to_sentence_string(items: Iterable[object], connector: str = "and") -> str:
    """Return `a`, `a and b` or `a, b, and c`."""
    words = [_text(item) for item in items]
    if len(words) < 3:
        return f" {connector} ".join(words)
    return f"{', '.join(words[:-1])}, {connector} {words[-1]}"


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


def truncate(value: object, length: int = 50, ellipsis: str = "...") -> str:
    """Return at most `length` characters, the ellipsis among them."""
    text = _text(value)
    return text if len(text) <= length else text[: max(0, length - len(ellipsis))] + ellipsis


def truncatewords(value: object, count: int = 15, ellipsis: str = "...") -> str:
    """Return at most `count` words and, if there were more, the ellipsis."""
    words = _text(value).split()
    return " ".join(words) if len(words) <= count else " ".join(words[:count]) + ellipsis


_SMART = (
    (re.compile(r"(^|[\s(\[{\u2014-])\""), "\\1\u201c"),
    (re.compile(r'"'), "\u201d"),
    (re.compile(r"(^|[\s(\[{\u2014\u201c-])'"), "\\1\u2018"),
    (re.compile(r"'"), "\u2019"),
    (re.compile(r"---"), "\u2014"),
    (re.compile(r"--"), "\u2013"),
    (re.compile(r"\.\.\."), "\u2026"),
)


def smartify(value: object) -> str:
    """Return `value` with typographic quotes, dashes and ellipses."""
    text = str(_text(value))
    for pattern, replacement in _SMART:
        text = pattern.sub(replacement, text)
    return text


def pluralize(count: int, one: str, many: str | None = None) -> str:
    """Return `1 tag` or `2 tags`; without `many` an `s` is added to `one`."""
    word = one if count == 1 else (many or f"{one}s")
    return f"{count:,} {word}"


def uniq(items: Iterable[Any]) -> list[Any]:
    """Return the items without repetitions, in order of first appearance."""
    return list({repr(item): item for item in items}.values())


# Liquid's filters that are one expression; their names are their documentation.
_SHORT: Mapping[str, Callable[..., Any]] = {
    "append": lambda value, end: f"{_text(value)}{_text(end)}",
    "at_least": max,
    "at_most": min,
    "compact": lambda items: [item for item in items if item is not None],
    "concat": lambda items, more: [*items, *more],
    "divided_by": lambda value, by: value // by,
    "downcase": lambda value: _text(value).lower(),
    "lstrip": lambda value: _text(value).lstrip(),
    "minus": lambda value, by: value - by,
    "modulo": lambda value, by: value % by,
    "plus": lambda value, by: value + by,
    "pop": lambda items, count=1: list(items)[: -count or None],
    "prepend": lambda value, start: f"{_text(start)}{_text(value)}",
    "push": lambda items, item: [*items, item],
    "remove": lambda value, part: _text(value).replace(part, ""),
    "remove_first": lambda value, part: _text(value).replace(part, "", 1),
    "replace_first": lambda value, old, new: _text(value).replace(old, new, 1),
    "rstrip": lambda value: _text(value).rstrip(),
    "shift": lambda items, count=1: list(items)[count:],
    "sort_natural": lambda items, key=None: sort(items, key),
    "split": lambda value, by=None: _text(value).split(by or None),
    "strip": lambda value: _text(value).strip(),
    "strip_newlines": lambda value: _text(value).replace("\n", ""),
    "times": lambda value, by: value * by,
    "unshift": lambda items, item: [item, *items],
    "upcase": lambda value: _text(value).upper(),
}

_PLAIN: tuple[Callable[..., Any], ...] = (
    jsonify, slugify, where, group_by, sort, uri_escape, cgi_escape, xml_escape, escape_once,
    strip_html, newline_to_br, normalize_whitespace, number_of_words, array_to_sentence_string,
    size, filesize, truncate, truncatewords, smartify, pluralize, uniq,
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
