"""Feeds and sitemaps: what they list, in which order, and that any text leaves them sound."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.pages import feeds
from builder.pages.model import PageOptions

OPTIONS = PageOptions(title="A & B", url="https://r.example", baseurl="/sub")
NAMES = {"a": "http://www.w3.org/2005/Atom", "s": "http://www.sitemaps.org/schemas/sitemap/0.9"}


def texts(document: bytes, path: str) -> list[str | None]:
    return [found.text for found in ET.fromstring(document).iterfind(path, NAMES)]  # noqa: S314


def test_a_feed_says_what_changed_and_where() -> None:
    entries = [
        feeds.Entry("x/y:2", "/x/y/tags/2/", "2024-05-02", "the <second> & last"),
        feeds.Entry("x/y:1", "/x/y/tags/1/", "2024-05-01"),
    ]
    feed = feeds.atom("y", "/x/y/", entries, OPTIONS)
    assert texts(feed, "a:title") == ["y"]
    assert texts(feed, "a:id") == ["https://r.example/sub/x/y/"]
    assert texts(feed, "a:updated") == ["2024-05-02T00:00:00Z"]
    assert texts(feed, "a:author/a:name") == ["A & B"]
    assert texts(feed, "a:entry/a:title") == ["x/y:2", "x/y:1"]
    assert texts(feed, "a:entry/a:id") == [
        "https://r.example/sub/x/y/tags/2/", "https://r.example/sub/x/y/tags/1/"
    ]  # fmt: skip
    assert texts(feed, "a:entry/a:summary") == ["the <second> & last"]


def test_an_empty_feed_is_a_feed() -> None:
    feed = feeds.atom("y", "/x/y/", [], OPTIONS)
    assert texts(feed, "a:updated") == ["1970-01-01T00:00:00Z"]
    assert texts(feed, "a:entry/a:title") == []


@given(st.text(max_size=50), st.text(max_size=50))
def test_any_text_leaves_a_feed_that_parses(title: str, summary: str) -> None:
    feed = feeds.atom(title, "/", [feeds.Entry(title, "/x/", "2024-05-01", summary)], OPTIONS)
    (found,) = texts(feed, "a:title")
    assert set(found or "") <= {*title, "\n"}  # what XML forbids is gone, nothing else is added


@pytest.mark.parametrize(("day", "shown"), [("2024-05-01", ["2024-05-01"]), ("", []), ("now", [])])
def test_a_sitemap_has_days_where_they_are_known(day: str, shown: list[str]) -> None:
    document = feeds.sitemap([("/x/y/", day), ("/a&b/", "")], OPTIONS)
    assert texts(document, "s:url/s:loc") == [
        "https://r.example/sub/x/y/", "https://r.example/sub/a&b/"
    ]  # fmt: skip
    assert texts(document, "s:url/s:lastmod") == shown


def test_large_sites_have_an_index_of_sitemaps() -> None:
    document = feeds.sitemap_index(2, OPTIONS)
    assert texts(document, "s:sitemap/s:loc") == [
        "https://r.example/sub/sitemap-1.xml", "https://r.example/sub/sitemap-2.xml"
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["", "https://r.example"])
def test_robots_are_kept_from_blobs_and_told_of_the_sitemap(url: str) -> None:
    lines = feeds.robots(PageOptions(url=url, baseurl="/sub/")).decode().splitlines()
    assert lines[:2] == ["User-agent: *", "Disallow: /sub/v2/"]
    assert lines[2:] == ["Sitemap: https://r.example/sub/sitemap.xml"] * bool(url)
