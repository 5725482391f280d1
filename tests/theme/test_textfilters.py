"""Filters of text, by Jekyll's names: what they make of plain, empty and hostile text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builder.theme import textfilters as filters


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: filters.slugify("The _config.yml file"), "the-config-yml-file"),
        (lambda: filters.slugify("The _config.yml file", "pretty"), "the-_config.yml-file"),
        (lambda: filters.slugify("Größe ß", "ascii"), "gr-e"),
        (lambda: filters.slugify("As Is", "none"), "As Is"),
        (lambda: filters.slugify("--a--"), "a"),
        (lambda: filters.uri_escape("foo, bar \\baz?"), "foo,%20bar%20%5Cbaz?"),
        (lambda: filters.cgi_escape("foo, bar; baz?"), "foo%2C+bar%3B+baz%3F"),
        (lambda: filters.xml_escape("<a href='x'>&"), "&lt;a href=&#39;x&#39;&gt;&amp;"),
        (lambda: filters.escape_once("1 < 2 &amp; 3"), "1 &lt; 2 &amp; 3"),
        (lambda: filters.strip_html("a<script>x</script>b<!-- c -->d <b>&amp;</b>"), "abd &"),
        (lambda: filters.newline_to_br("a<\nb"), "a&lt;<br>\nb"),
        (lambda: filters.normalize_whitespace("  a \n\t b "), "a b"),
        (lambda: filters.number_of_words("one  two\nthree"), 3),
        (lambda: filters.array_to_sentence_string([]), ""),
        (lambda: filters.array_to_sentence_string(["a"]), "a"),
        (lambda: filters.array_to_sentence_string(["a", "b"]), "a and b"),
        (lambda: filters.array_to_sentence_string(["a", "b", 3], "or"), "a, b, or 3"),
        (lambda: filters.truncate("Ground control", 9), "Ground..."),
        (lambda: filters.truncate("Ground", 6), "Ground"),
        (lambda: filters.truncate("Ground", 2), "..."),
        (lambda: filters.truncatewords("a b c", 2), "a b..."),
        (lambda: filters.truncatewords("a b", 2), "a b"),
        (
            lambda: filters.smartify("\"a\" 'b' -- c---d..."),
            "\u201ca\u201d \u2018b\u2019 \u2013 c\u2014d\u2026",
        ),
        (lambda: filters.pluralize(1, "tag"), "1 tag"),
        (lambda: filters.pluralize(1200, "tag"), "1,200 tags"),
        (lambda: filters.pluralize(2, "entry", "entries"), "2 entries"),
    ],
)
def test_a_filter(call: Callable[[], Any], expected: object) -> None:
    assert call() == expected


@pytest.mark.parametrize(
    "name",
    ["slugify", "uri_escape", "cgi_escape", "xml_escape", "escape_once", "strip_html",
     "newline_to_br", "normalize_whitespace", "truncate", "truncatewords", "smartify"],
)  # fmt: skip
def test_nothing_is_an_empty_text(name: str) -> None:
    assert getattr(filters, name)(None) == ""
