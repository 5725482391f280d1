"""The filters that turn one text into another, by Jekyll's names.

None raises on what content may hold, and each returns plain text, which
Jinja escapes, unless its name says that it escapes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from markupsafe import Markup, escape

_TAGS = re.compile(
    r"<script.*?</script\s*>|<style.*?</style\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE
)


def text_of(value: object) -> str:
    """Return `value` as text; None is nothing."""
    return "" if value is None else str(value)


_SLUGS = {
    "raw": r"\s+",
    "default": r"[\W_]+",
    "pretty": r"[^\w.~!$&'()+,;=@]+",
    "ascii": r"[^a-zA-Z0-9]+",
    "latin": r"[\W_]+",
}


def slugify(value: object, mode: str = "default") -> str:
    """Return a text that can stand in an address: lower case, words joined by `-`."""
    if mode == "none":
        return text_of(value)
    pattern = _SLUGS.get(mode, _SLUGS["default"])
    return re.sub(pattern, "-", text_of(value)).strip("-").lower()


def uri_escape(value: object) -> str:
    """Return `value` with what no address may hold percent-encoded."""
    return quote(text_of(value), safe="/:@!$&'()*+,;=~-._?#[]")


def cgi_escape(value: object) -> str:
    """Return `value` as a part of a query: `foo, bar` is `foo%2C+bar`."""
    return quote_plus(text_of(value))


def xml_escape(value: object) -> Markup:
    """Return `value` as text inside XML or HTML."""
    return escape(str(text_of(value)))


def escape_once(value: object) -> Markup:
    """Return `value` as text, entities that are already written kept."""
    return escape(html.unescape(text_of(value)))


def strip_html(value: object) -> str:
    """Return the text of some HTML, without tags, comments, scripts and styles."""
    return html.unescape(_TAGS.sub("", text_of(value)))


def newline_to_br(value: object) -> Markup:
    """Return `value` with a `<br>` before each line end."""
    return Markup("<br>\n").join(escape(text_of(value)).splitlines())


def normalize_whitespace(value: object) -> str:
    """Return `value` with each run of white space made one space."""
    return " ".join(text_of(value).split())


def number_of_words(value: object) -> int:
    """Return how many words `value` has."""
    return len(text_of(value).split())


def array_to_sentence_string(items: Iterable[object], connector: str = "and") -> str:
    """Return `a`, `a and b` or `a, b, and c`."""
    words = [text_of(item) for item in items]
    if len(words) < 3:
        return f" {connector} ".join(words)
    return f"{', '.join(words[:-1])}, {connector} {words[-1]}"


def truncate(value: object, length: int = 50, ellipsis: str = "...") -> str:
    """Return at most `length` characters, the ellipsis among them."""
    text = text_of(value)
    return text if len(text) <= length else text[: max(0, length - len(ellipsis))] + ellipsis


def truncatewords(value: object, count: int = 15, ellipsis: str = "...") -> str:
    """Return at most `count` words and, if there were more, the ellipsis."""
    words = text_of(value).split()
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
    text = str(text_of(value))
    for pattern, replacement in _SMART:
        text = pattern.sub(replacement, text)
    return text


def pluralize(count: int, one: str, many: str | None = None) -> str:
    """Return `1 tag` or `2 tags`; without `many` an `s` is added to `one`."""
    word = one if count == 1 else (many or f"{one}s")
    return f"{count:,} {word}"
