"""Where templates, the site's facts and a page's context meet and become an output.

What a page is made from is its identity, here and nowhere else: its layout with
all that reaches, the parts of `site` that the layout is given, the values
that the layout prints, and this package's code. Other outputs are a function and its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

from markupsafe import Markup

from builder.fingerprint import code_key, fingerprint
from builder.output import Claim, Made, Output, Redirect
from builder.pages import feeds
from builder.pages.model import PageOptions
from builder.pages.page import Page
from builder.pages.search import as_json
from builder.registry.model import Row
from builder.theme.templates import Templates

HTML = "text/html; charset=utf-8"
JSON = "application/json"

ROW = "row"  # the layout of one row of a list


class PageRenderer:
    """Turns pages into outputs; one for a whole build.

    `site` is what each layout is given under that name, see `page.site_of`.
    """

    def __init__(
        self,
        templates: Templates,
        options: PageOptions,
        site: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._templates = templates
        self.options = options
        self._site = site
        self._keys: dict[str, str] = {}
        self._rows: dict[Row, Markup] = {}
        self._allowed = frozenset(site)
        self.marks = True  # see `unmarked`

    def unmarked(self) -> PageRenderer:
        """Return one whose outputs have no identity of their own.

        That is for a bundle of few: to make them all again costs less than to know, of each,
        whether it is what it was.
        """
        found = copy(self)
        found.marks = False
        return found

    def _mark(self, *parts: object) -> str:
        return fingerprint(code_key(), *parts) if self.marks else ""

    def allow(self, layouts: Iterable[str]) -> None:
        """Use no other layouts from here on: those alone that a bundle says it is made with."""
        self._allowed = frozenset(layouts)

    def layout_key(self, layout: str, origin: str = "") -> str:
        """Return an identity of all that the pages of a layout share; empty for no layout.

        Raises ContentError at `origin` for what is no layout, RuntimeError for one that is
        not allowed.
        """
        if not layout:
            return ""
        if layout not in self._keys:
            of_theme = self._templates.fingerprint(layout, origin)
            self._keys[layout] = fingerprint(of_theme, self._site.get(layout))
        if layout not in self._allowed:
            raise RuntimeError(f"the bundle does not say that it is made with {layout!r}")
        return self._keys[layout]

    def html(
        self, path: str, layout: str, page: Page, view: Mapping[str, Any], text: str = ""
    ) -> Output:
        """Return a page at the output path `path`.

        `view` holds what the layout may print beside `site` and `page`; `text`
        is the safe HTML that it wraps.
        """
        values = {"page": page.context(self.options), **view}
        mark = self._mark(self.layout_key(layout, page.source), values, text)
        body = Made(partial(self._render, layout, values, text))
        return Output(path, HTML, body, page.source or path, mark)

    def _render(self, layout: str, values: Mapping[str, Any], text: str) -> bytes:
        whole = {"site": self._site[layout] if layout else {}, **values}
        return self._templates.render(layout, whole, Markup(text))  # noqa: S704 - sanitised HTML

    def json(self, path: str, origin: str, make: Callable[..., Any], *arguments: object) -> Output:
        """Return the JSON of what `make` returns for `arguments`."""
        return self.data(path, JSON, origin, _json, make, *arguments)

    def data(
        self,
        path: str,
        media_type: str,
        origin: str,
        make: Callable[..., bytes],
        *arguments: object,
    ) -> Output:
        """Return an output that no template makes: what `make` returns for `arguments`."""
        body = Made(partial(make, *arguments))
        mark = self._mark(make, arguments)
        return Output(path, media_type, body, origin, mark)

    def feed(
        self, folder: str, title: str, entries: Sequence[feeds.Entry], origin: str
    ) -> Iterator[Output]:
        """Yield the feed of the page in a folder, if the site's address is known: it holds URLs."""
        if self.options.url:
            arguments = (title, f"/{folder}", entries, self.options)
            yield self.data(f"{folder}feed.xml", feeds.ATOM, origin, feeds.atom, *arguments)

    def redirect(self, path: str, to: str, origin: str) -> Output:
        """Return an output that leads from the old URL path `path` to the path `to`."""
        target = f"{self.options.baseurl.rstrip('/')}{to}"
        return Output(redirect_output(path), HTML, Redirect(target), origin, target)

    def rows(self, rows: Iterable[Row]) -> RowsHtml:
        """Return the HTML of some rows for a list, made when a layout prints it."""
        return RowsHtml(self, tuple(rows))

    def row(self, row: Row) -> Markup:
        """Return the HTML of one row, made once for all lists."""
        if row not in self._rows:
            html = self._render(ROW, {"page": {"source": row.origin}, "row": row}, "")
            self._rows[row] = Markup(html.decode())  # noqa: S704 - the layout escapes
        return self._rows[row]


class RowsHtml:
    """The HTML of some rows; as a part of a view it stands for the rows and their layout."""

    def __init__(self, renderer: PageRenderer, rows: tuple[Row, ...]) -> None:
        self._renderer = renderer
        self._rows = rows

    def __html__(self) -> str:
        return Markup().join(map(self._renderer.row, self._rows))

    __str__ = __html__

    def __bool__(self) -> bool:
        return bool(self._rows)

    def made_from(self) -> object:
        """Return what this is made from, which is its identity."""
        return self._renderer.layout_key(ROW), self._rows


def _json(make: Callable[..., Any], *arguments: object) -> bytes:
    return as_json(make(*arguments))


def redirect_output(path: str) -> str:
    """Return the output path of an old URL path: `/old/` and `/old` are `old/index.html`."""
    inside = path.strip("/")
    if not path.endswith("/") and "." in inside.rpartition("/")[2]:
        return inside
    return f"{inside}/index.html" if inside else "index.html"


def redirect_claims(paths: tuple[str, ...], origin: str) -> tuple[Claim, ...]:
    """Return the claims of the old URL paths of a page."""
    return tuple(Claim(redirect_output(path), origin) for path in dict.fromkeys(paths))
