"""What other programs subscribe to and crawl: Atom feeds, sitemaps, robots.txt.

Source: RFC 4287; sitemaps.org. Both want absolute addresses: feeds and sitemaps
are made where the site's own address is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from builder.pages import plan
from builder.pages.model import PageOptions
from builder.pages.views import tag_url
from builder.registry.model import Collection, Row

ATOM = "application/atom+xml"
XML = "application/xml"
MAX_ENTRIES = 50
MAX_LISTED = 1_000  # collections in llms.txt
SITEMAP_SIZE = 45_000
_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One change in a feed; `day` is an ISO 8601 day."""

    title: str
    url: str
    day: str
    summary: str = ""


def collection_entries(collection: Collection, known: plan.Facts) -> tuple[Entry, ...]:
    """Return the dated tags of a collection, newest first."""
    entries = [
        Entry(
            f"{collection.name}:{tag.name}{' (yanked)' if tag.yanked else ''}",
            tag_url(collection.name, tag.name),
            tag.date[:10],
            _warned("Yanked", tag.yanked, plan.one_line(tag.keys.get("description"))),
        )
        for tag in known.order
        if tag.has_manifest and tag.name != "latest" and _DAY.match(tag.date)
    ]
    entries.sort(key=lambda entry: entry.day, reverse=True)
    return tuple(entries[:MAX_ENTRIES])


def _warned(word: str, reason: str, text: str) -> str:
    return f"{word}: {reason}. {text}".rstrip() if reason else text


def row_entries(rows: Iterable[Row]) -> tuple[Entry, ...]:
    """Return the dated tags of many collections, newest first."""
    entries = [
        Entry(
            f"{row.name}:{tag}{' (yanked)' if tag in row.yanked else ''}",
            tag_url(row.name, tag),
            day,
            f"Deprecated: {row.deprecated}. {row.description}"
            if row.deprecated
            else row.description,
        )
        for row in rows
        for tag, day in zip(row.tags, row.tag_dates, strict=True)
        if day and tag != "latest" and not row.hidden
    ]
    entries.sort(key=lambda entry: (entry.day, entry.title), reverse=True)
    return tuple(entries[:MAX_ENTRIES])


def absolute(options: PageOptions, path: str) -> str:
    """Return a path of the site with scheme and host where these are known."""
    return f"{options.url.rstrip('/')}{options.baseurl.rstrip('/')}{path}"


def atom(title: str, page: str, entries: Sequence[Entry], options: PageOptions) -> bytes:
    """Return a feed of `entries` that belongs to the page at the path `page`."""
    here = _text(absolute(options, page))
    updated = entries[0].day if entries else "1970-01-01"
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<title>{_text(title)}</title>",
        f"<id>{here}</id>",
        f'<link rel="alternate" type="text/html" href="{here}"/>',
        f'<link rel="self" type="{ATOM}" href="{here}feed.xml"/>',
        f"<updated>{updated}T00:00:00Z</updated>",
        f"<author><name>{_text(options.title)}</name></author>",
        *(_entry(entry, options) for entry in entries),
        "</feed>\n",
    ]
    return "\n".join(parts).encode()


def _entry(entry: Entry, options: PageOptions) -> str:
    url = _text(absolute(options, entry.url))
    summary = f"<summary>{_text(entry.summary)}</summary>" if entry.summary else ""
    return (
        f"<entry><title>{_text(entry.title)}</title><id>{url}</id>"
        f'<link rel="alternate" type="text/html" href="{url}"/>'
        f"<updated>{entry.day}T00:00:00Z</updated>{summary}</entry>"
    )


def _text(text: str) -> str:
    return escape(_ILLEGAL.sub("", text))


def site_urls(
    rows: Sequence[Row], namespaces: Iterable[str], documents: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield the path of every page worth finding, and the day it changed or nothing."""
    yield "/", ""
    for url in documents:
        yield url, ""
    for name in namespaces:
        yield f"/{name}/", ""
    for row in rows:
        yield row.url, row.updated
    for row in rows:
        for tag, day in zip(row.tags, row.tag_dates, strict=True):
            yield tag_url(row.name, tag), day


def sitemap(urls: Sequence[tuple[str, str]], options: PageOptions) -> bytes:
    """Return a sitemap of `(path, day)` pairs."""
    base = _text(absolute(options, ""))
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
    ]
    for path, day in urls:
        modified = f"<lastmod>{day}</lastmod>" if _DAY.fullmatch(day) else ""
        lines.append(f"<url><loc>{base}{_text(path)}</loc>{modified}</url>")
    lines.append("</urlset>\n")
    return "\n".join(lines).encode()


def sitemap_index(count: int, options: PageOptions) -> bytes:
    """Return the index of the sitemaps `sitemap-1.xml` to `sitemap-<count>.xml`."""
    base = _text(absolute(options, ""))
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
        *(
            f"<sitemap><loc>{base}/sitemap-{number}.xml</loc></sitemap>"
            for number in range(1, count + 1)
        ),
        "</sitemapindex>\n",
    ]
    return "\n".join(lines).encode()


def llms(rows: Sequence[Row], options: PageOptions) -> bytes:
    """Return llms.txt: what is here for programs that read, and the collections (llmstxt.org)."""
    lines = [f"# {options.title}", ""]
    lines += [f"> {options.description}", ""] if options.description else []
    lines += [
        "A container registry made of plain files. Each page has a JSON twin at index.json.",
        "",
        "## For programs",
        "",
        f"- [API]({absolute(options, '/api/')}): every endpoint",
        f"- [Collections]({absolute(options, '/collections.json')}): all of them as JSON",
        "",
        "## Collections",
        "",
        *(_llms_line(row, options) for row in rows[:MAX_LISTED]),
        "",
    ]
    return "\n".join(lines).encode()


def _llms_line(row: Row, options: PageOptions) -> str:
    about = " ".join(filter(None, (row.description, "(deprecated)" if row.deprecated else "")))
    return f"- [{row.name}]({absolute(options, row.url)})" + (f": {about}" if about else "")


def robots(options: PageOptions) -> bytes:
    """Return robots.txt: pages are welcome to be found, blobs are not worth a crawl."""
    base = options.baseurl.rstrip("/")
    lines = ["User-agent: *", f"Disallow: {base}/v2/"]
    if options.url:
        lines.append(f"Sitemap: {absolute(options, '/sitemap.xml')}")
    return "\n".join([*lines, ""]).encode()
