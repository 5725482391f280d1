"""The outputs that show all collections at once: home, lists, search, feeds.

Each carries an identity over its own inputs, so that a change of one
collection makes only the lists again that show it. What a search reads stands
apart: it has words of every README, which no other list depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from builder.output import Claim, Data, Output
from builder.pages import api, feeds, listing, plan, search
from builder.pages.model import SiteState
from builder.pages.page import Page
from builder.pages.renderer import JSON, PageRenderer, redirect_claims
from builder.pages.views import Link
from builder.text.markdown import Rendered

if TYPE_CHECKING:
    from builder.documents.parse import Document

ORIGIN = "the site's lists"
TEXT = "text/plain; charset=utf-8"
HOME = "index.html"
_BROWSE = Link("Browse", "/browse/")
_NAMES_WITHOUT_SCRIPT = 1_000
_MAX_CHOICES = 2_000
_MAX_SPACES = 300
_EMPTY = Rendered("")


class Lists:
    """Makes the lists of one state of the site."""

    def __init__(
        self, press: PageRenderer, state: SiteState, texts: Mapping[str, Rendered]
    ) -> None:
        self._press = press
        self._options = press.options
        self._state = state
        self._texts = texts
        self._rows = listing.visible(state.rows)

    def outputs(self) -> Iterator[Output]:
        """Yield every list that no document replaces."""
        taken = {document.output for document in self._state.documents} - {HOME}
        makers: tuple[Callable[[], Iterator[Output]], ...] = (
            self._home, self._browse, self._search, self._data, self._feed, self._sitemaps,
            self._api, self._missing,
        )  # fmt: skip
        for make in makers:
            for output in make():
                if output.path not in taken:
                    yield output

    def _home(self) -> Iterator[Output]:
        document = home_document(self._state)
        text = self._texts.get(document.source, _EMPTY) if document is not None else _EMPTY
        keys = document.keys if document is not None else {}
        page = Page(
            title=plan.one_line(keys.get("title")) or self._options.title,
            url="/",
            description=plan.one_line(keys.get("description")) or self._options.description,
            twin="/collections.json",
            feed="/feed.xml",
            source=document.source if document is not None else "",
            data={
                "@context": "https://schema.org",
                "@type": "DataCatalog",
                "name": self._options.title,
                "url": feeds.absolute(self._options, "/"),
            },
            keys=keys,
        )
        counts = listing.counts_below(self._rows)
        few = len(self._rows) <= listing.FEW
        rows = self._rows if few else ()
        layout = document.layout if document is not None and document.layout else "home"
        values = {
            "totals": listing.totals(self._rows),
            "kinds": listing.kinds(self._rows),
            "changes": () if few else listing.changes(self._rows),
            "spaces": listing.tree(self._state.namespaces, counts)[:_MAX_SPACES],
            "rows": rows,
            "rows_html": self._press.rows(rows),
        }
        yield self._press.html(HOME, layout, page, values, text.html)
        if document is not None:
            for old in document.redirect_from:
                yield self._press.redirect(old, "/", document.source)

    def _browse(self) -> Iterator[Output]:
        for part in listing.listings(self._rows):
            title = part.title if part.number == 1 else f"{part.title}, page {part.number}"
            crumbs = () if part.path == "browse/" and part.number == 1 else (_BROWSE,)
            page = Page(title=title, url=part.url, crumbs=crumbs, twin="/collections.json")
            values = {
                "listing": part,
                "variants": listing.VARIANTS,
                "choices": part.choices[:_MAX_CHOICES],
                "rows_html": self._press.rows(part.rows),
            }
            yield self._press.html(part.output, "browse", page, values)

    def _search(self) -> Iterator[Output]:
        page = Page(title="Search", url="/search/", twin="/search.json", unlisted=True)
        names = tuple((row.name, row.title) for row in self._rows[:_NAMES_WITHOUT_SCRIPT])
        values = {"names": names, "total": len(self._rows)}
        yield self._press.html("search/index.html", "search", page, values)

    def _data(self) -> Iterator[Output]:
        rows, options, data = self._rows, self._options, self._press.data
        yield data("collections.json", JSON, ORIGIN, search.collections_json, rows, options)
        yield self._press.json("api/openapi.json", ORIGIN, api.openapi, options)

    def _feed(self) -> Iterator[Output]:
        entries, title = feeds.row_entries(self._rows), self._options.title
        yield from self._press.feed("", title, entries, ORIGIN)

    def _sitemaps(self) -> Iterator[Output]:
        yield self._press.data("robots.txt", "text/plain", ORIGIN, feeds.robots, self._options)
        arguments = (self._rows[: feeds.MAX_LISTED], self._options)
        yield self._press.data("llms.txt", TEXT, ORIGIN, feeds.llms, *arguments)
        if not self._options.url:
            return  # a sitemap holds full addresses
        counts = listing.counts_below(self._rows)
        spaces = (space.name for space in self._state.namespaces if counts.get(space.name))
        documents = (
            document.url for document in self._state.documents if document.output.endswith(".html")
            if document.output not in {HOME, "404.html"}
        )  # fmt: skip
        urls = list(feeds.site_urls(self._rows, spaces, documents))
        size = feeds.SITEMAP_SIZE
        parts = [urls[start : start + size] for start in range(0, len(urls), size)]
        if len(parts) == 1:
            yield self._sitemap("sitemap.xml", parts[0])
        else:
            for number, part in enumerate(parts, 1):
                yield self._sitemap(f"sitemap-{number}.xml", part)
            size = len(parts)
            yield self._press.data(
                "sitemap.xml", feeds.XML, ORIGIN, feeds.sitemap_index, size, self._options
            )

    def _sitemap(self, path: str, urls: list[tuple[str, str]]) -> Output:
        return self._press.data(path, feeds.XML, ORIGIN, feeds.sitemap, urls, self._options)

    def _api(self) -> Iterator[Output]:
        page = Page(
            title="API",
            url="/api/",
            twin="/api/openapi.json",
            description="Every endpoint of this registry, with a command to copy.",
        )
        view = api.api_view(self._rows, self._options)
        yield self._press.html("api/index.html", "api", page, {"api": view})

    def _missing(self) -> Iterator[Output]:
        page = Page(title="Page not found", url="/404.html", unlisted=True)
        yield self._press.html("404.html", "404", page, {})


def home_document(state: SiteState) -> Document | None:
    """Return the document that is published as the home page, if there is one."""
    return next((page for page in state.documents if page.output == HOME), None)


def list_claims(state: SiteState) -> tuple[Claim, ...]:
    """Return the paths of all lists, without those that a document replaces."""
    taken = {document.output for document in state.documents} - {HOME}
    rows = listing.visible(state.rows)
    urls = 1 + len(state.documents) + len(state.namespaces) + sum(1 + len(row.tags) for row in rows)
    parts = range(1, -(-urls // feeds.SITEMAP_SIZE) + 1)
    files = [
        HOME, "search/index.html", "collections.json", "feed.xml", "sitemap.xml",
        "robots.txt", "llms.txt", "api/index.html", "api/openapi.json", "404.html",
        *(f"sitemap-{number}.xml" for number in parts if len(parts) > 1),
    ]  # fmt: skip
    home = home_document(state)
    origin = home.source if home is not None else ORIGIN
    claims = [
        Claim(path, origin if path == HOME else ORIGIN) for path in files if path not in taken
    ]
    if home is not None:
        claims.extend(redirect_claims(tuple(home.redirect_from), home.source))
    return (*claims, Claim("browse/", ORIGIN))


def search_outputs(state: SiteState, words: Sequence[str], index: search.Index) -> Iterator[Output]:
    """Yield what a search reads; `words` are those of all rows, `index` is what is kept of it."""
    taken = {document.output for document in state.documents}
    found = {row.name: own for row, own in zip(state.rows, words, strict=True)}
    rows = listing.visible(state.rows)
    for path, body, mark in index.files(rows, [found[row.name] for row in rows]):
        if path not in taken:
            yield Output(path, JSON, Data(body), ORIGIN, mark)


def search_claims(state: SiteState) -> tuple[Claim, ...]:
    """Return the paths of what a search reads, without those that a document replaces."""
    taken = {document.output for document in state.documents}
    paths = search.index_paths(listing.visible(state.rows))
    return (*(Claim(path, ORIGIN) for path in paths if path not in taken),
            Claim(search.WORDS, ORIGIN))  # fmt: skip
