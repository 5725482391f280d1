from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import jinja2
import pytest
from markupsafe import Markup

from builder.theme import filters

URLS = filters.UrlFilters(
    baseurl="/base", url="https://example.org/", assets={"style.css": "assets/style.1a2b.css"}
)
ALL: dict[str, Callable[..., Any]] = filters.all_filters(URLS, filters.DateFilters("UTC"))

RELATIVE = [
    ("/about/", "/base/about/"),
    ("about/", "/base/about/"),
    ("", "/base/"),
    (None, "/base/"),
    ("https://other.example/a?b=c", "https://other.example/a?b=c"),
    ("mailto:a@example.org", "mailto:a@example.org"),
    ("//evil.example/", "/base/evil.example/"),
    ("/\\evil.example/", "/base/%5Cevil.example/"),
    ("/\t/evil.example/", "/base/%09/evil.example/"),
    ("javascript:alert(1)", "/base/javascript:alert(1)"),
    (" \njavascript:alert(1)", "/base/javascript:alert(1)"),
    ('" onclick="x', "/base/%22%20onclick=%22x"),
    ("/a%20b?c#d", "/base/a%20b?c#d"),
    ("/é", "/base/%C3%A9"),
]


@pytest.mark.parametrize(("value", "url"), RELATIVE)
def test_relative_url_stays_on_the_site(value: object, url: str) -> None:
    assert ALL["relative_url"](value) == url


def test_without_baseurl_no_host_can_be_named() -> None:
    urls = filters.UrlFilters(baseurl="", url="", assets={})
    assert urls.relative_url("//evil.example/") == "/evil.example/"
    assert urls.absolute_url("//evil.example/") == "/evil.example/"


def test_absolute_url() -> None:
    assert ALL["absolute_url"]("/a/") == "https://example.org/base/a/"
    assert ALL["absolute_url"]("https://other.example/") == "https://other.example/"


def test_asset_url() -> None:
    assert ALL["asset_url"]("style.css") == "/base/assets/style.1a2b.css"
    with pytest.raises(jinja2.TemplateRuntimeError, match=r"did you mean 'style\.css'"):
        ALL["asset_url"]("styles.css")


WHEN = datetime(2024, 11, 7, 13, 7, 54, tzinfo=UTC)
VALUES = [
    # filter, arguments, result
    ("date", [WHEN, "%d.%m.%y"], "07.11.24"),
    ("date", ["2024-11-07"], "2024-11-07"),
    ("date", ["no date"], ""),
    ("date", [None], ""),
    ("date", ["now"], ""),
    ("date_to_string", [WHEN], "07 Nov 2024"),
    ("date_to_long_string", [date(2024, 11, 7)], "07 November 2024"),
    ("date_to_xmlschema", [WHEN], "2024-11-07T13:07:54+00:00"),
    ("date_to_rfc822", [WHEN], "Thu, 07 Nov 2024 13:07:54 +0000"),
    ("slugify", ["What's New, é?"], "what-s-new-é"),
    ("slugify", ["a_b.c", "pretty"], "a_b.c"),
    ("slugify", ["é x", "ascii"], "x"),
    ("slugify", ["A b", "raw"], "a-b"),
    ("slugify", ["A b", "none"], "A b"),
    ("slugify", [None], ""),
    ("where", [[{"a": 1}, {"a": 2}, {}], "a", 2], [{"a": 2}]),
    ("where", [[{"a": ["x", "y"]}, {"a": "x"}], "a", "x"], [{"a": ["x", "y"]}, {"a": "x"}]),
    ("where", [[{"a": True}, {"a": 1}], "a", True], [{"a": True}]),
    ("where", [[{"a": {"b": 1}}], "a.b", 1], [{"a": {"b": 1}}]),
    ("sort", [[3, 1, 2]], [1, 2, 3]),
    ("sort", [["b", "A", None, 1]], [None, 1, "A", "b"]),
    ("sort", [[{"w": 2}, {"w": 1}, {}], "w"], [{}, {"w": 1}, {"w": 2}]),
    ("sort", [[1, 2], True], [2, 1]),
    ("xml_escape", ["<a & 'b'>"], "&lt;a &amp; &#39;b&#39;&gt;"),
    ("xml_escape", [Markup("<b>")], "&lt;b&gt;"),
    ("cgi_escape", ["foo, bar;baz?"], "foo%2C+bar%3Bbaz%3F"),
    ("uri_escape", ["http://a.b/c d?e=ü"], "http://a.b/c%20d?e=%C3%BC"),
    ("strip_html", ["<b>a</b> &lt;x&gt;<script>b</script><!-- c -->"], "a <x>"),
    ("strip_newlines", ["a\nb"], "ab"),
    ("newline_to_br", ["<a>\nb"], "&lt;a&gt;<br>\nb"),
    ("number_of_words", ["a  b\nc"], 3),
    ("array_to_sentence_string", [[]], ""),
    ("array_to_sentence_string", [["a", "b"]], "a and b"),
    ("array_to_sentence_string", [["a", "b", "c"], "or"], "a, b, or c"),
    ("size", ["abc"], 3),
    ("size", [[1, 2]], 2),
    ("size", [None], 0),
    ("filesize", [0], "0 bytes"),
    ("filesize", [1], "1 byte"),
    ("filesize", [999], "999 bytes"),
    ("filesize", [1_000], "1 KB"),
    ("filesize", [1_234_567], "1.2 MB"),
    ("filesize", [999_999], "1 MB"),
    ("filesize", [5 * 10**18], "5000 PB"),
    ("filesize", ["many"], ""),
    ("truncate", ["abcdef", 5], "ab..."),
    ("truncate", ["abc", 3], "abc"),
    ("truncatewords", ["a b c", 2], "a b..."),
    ("normalize_whitespace", [" a\n\tb "], "a b"),
    ("smartify", ["\"a\" 'b' it's -- c..."], "“a” ‘b’ it’s – c…"),  # noqa: RUF001
    ("escape_once", ["a &amp; b & <c>"], "a &amp; b &amp; &lt;c&gt;"),
    ("pluralize", [1, "tag", "tags"], "1 tag"),
    ("pluralize", [1200, "tag"], "1,200 tags"),
    ("push", [[1], 2], [1, 2]),
    ("pop", [[1, 2]], [1]),
    ("pop", [[1, 2, 3], 2], [1]),
    ("shift", [[1, 2]], [2]),
    ("unshift", [[1], 0], [0, 1]),
    ("uniq", [[1, 2, 1, [3], [3]]], [1, 2, [3]]),
    ("compact", [[1, None, 0]], [1, 0]),
    ("concat", [[1], [2]], [1, 2]),
    ("append", ["a", "b"], "ab"),
    ("prepend", ["a", "b"], "ba"),
    ("upcase", ["é"], "É"),
    ("split", ["a,b", ","], ["a", "b"]),
    ("remove", ["aba", "a"], "b"),
    ("remove_first", ["aba", "a"], "ba"),
    ("at_least", [1, 3], 3),
    ("divided_by", [7, 2], 3),
]


@pytest.mark.parametrize(("name", "arguments", "result"), VALUES)
def test_filters(name: str, arguments: list[Any], result: object) -> None:
    assert ALL[name](*arguments) == result


def test_group_by_keeps_the_order() -> None:
    items = [{"k": "b"}, {"k": "a"}, {"k": "b"}, {}]
    groups = ALL["group_by"](items, "k")
    assert [(group.name, group.size) for group in groups] == [("b", 2), ("a", 1), ("", 1)]
    assert groups[0].items == [{"k": "b"}, {"k": "b"}]


def test_filters_read_objects_too_but_nothing_private() -> None:
    assert filters.field_of(WHEN, "year") == 2024
    assert filters.field_of(WHEN, "__class__") is None


def test_json_cannot_leave_its_place() -> None:
    text = ALL["jsonify"]({"a": "</script><!-- '\u2028", "b": [1, None, True], "c": WHEN})
    assert not set("<>'\u2028") & set(text)
    assert text.endswith('"b": [1, null, true], "c": "2024-11-07T13:07:54+00:00"}')
    assert isinstance(text, Markup)
    assert ALL["jsonify"]({"x": {2, 1}}) == '{"x": [1, 2]}'


def test_what_changes_between_builds_is_not_there() -> None:
    assert "sample" not in ALL
