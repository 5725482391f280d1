"""Where templates, the site's facts and a page's context meet and become an output.

Every HTML page of the site is made here, so that each carries a fingerprint
over the same things: its layout and what that reaches, the options, the parts
of `site` that the layout reads, and the page's own inputs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

from markupsafe import Markup

from builder.output import PAGES, Claim, Made, Output, Redirect, fingerprint
from builder.pages import listing
from builder.pages.model import PageOptions, SiteState
from builder.pages.page import Page, site_inputs, site_values
from builder.pages.search import as_json
from builder.registry.model import Row
from builder.theme.templates import Templates

HTML = "text/html; charset=utf-8"
JSON = "application/json"

Context = Callable[[], Mapping[str, Any]]


class PageRenderer:
    """Turns pages into outputs; one for a whole build."""

    def __init__(self, templates: Templates, options: PageOptions, state: SiteState) -> None:
        self._templates = templates
        self.options = options
        self._state = state
        self._layouts: dict[str, str] = {}
        self._rows: dict[str, tuple[Row, Markup]] = {}

    def fingerprint(self, layout: str, *inputs: object) -> str:
        """Return an identity of all that a page of `layout` made from `inputs` depends on."""
        if not layout:
            return fingerprint(inputs)
        if layout not in self._layouts:
            self._layouts[layout] = fingerprint(
                self._templates.fingerprint(layout), self._own, self._site_values_of(layout)
            )
        return fingerprint(self._layouts[layout], inputs)

    @cached_property
    def own_key(self) -> str:
        """An identity of the options, for outputs that no template makes."""
        return fingerprint(self._own)

    @cached_property
    def _own(self) -> str:
        return repr(dataclasses.replace(self.options, keys={}))

    @cached_property
    def _site(self) -> dict[str, Any]:
        return site_values(self.options, self._state)

    def _site_values_of(self, layout: str) -> list[tuple[str, str]]:
        read = self._templates.site_attributes(layout)
        return list(site_inputs(self._site, sorted(self._site if read is None else read)))

    def html(
        self, path: str, layout: str, page: Page, context: Context, *, key: str, text: str = ""
    ) -> Output:
        """Return a page at the output path `path`; `text` is the safe HTML the layout wraps.

        `key` identifies what `context` will return; `page` and `text` are
        added to it here.
        """
        return Output(
            path,
            HTML,
            Made(partial(self._render, layout, page, context, text)),
            page.source or path,
            self.fingerprint(layout, page, key, text),
            order=PAGES,
        )

    def _render(self, layout: str, page: Page, context: Context, text: str) -> bytes:
        values = {"site": self._site, "page": page.context(self.options), **context()}
        return self._templates.render(layout, values, Markup(text))  # noqa: S704 - sanitised HTML

    def json(self, path: str, make: Callable[[], Any], *, key: str, origin: str) -> Output:
        """Return a JSON output; `key` identifies what `make` will return."""
        return self.data(path, JSON, partial(_json, make), key=key, origin=origin)

    def data(
        self, path: str, media_type: str, make: Callable[[], bytes], *, key: str, origin: str
    ) -> Output:
        """Return an output that no template makes."""
        identity = fingerprint(self.own_key, path, key)
        return Output(path, media_type, Made(make), origin, identity, order=PAGES)

    def redirect(self, path: str, to: str, origin: str) -> Output:
        """Return an output that leads from the old URL path `path` to the path `to`."""
        target = f"{self.options.baseurl.rstrip('/')}{to}"
        return Output(redirect_output(path), HTML, Redirect(target), origin, target, order=PAGES)

    def rows(self, rows: tuple[Row, ...] | list[Row]) -> Markup:
        """Return the HTML of some rows for the lists; each is made once for all lists."""
        return Markup().join(map(self._row, rows))

    def _row(self, row: Row) -> Markup:
        held = self._rows.get(row.name)
        if held is not None and held[0] is row:
            return held[1]
        values = {"site": self._site, "page": {"source": row.origin}, "row": row}
        html = Markup(self._templates.render("row", values, Markup()).decode())  # noqa: S704 - it escapes
        self._rows[row.name] = (row, html)
        return html

    def rows_key(self, rows: tuple[Row, ...] | list[Row]) -> str:
        """Return an identity of what `rows` would return."""
        return self.fingerprint("row", *map(listing.row_key, rows))


def _json(make: Callable[[], Any]) -> bytes:
    return as_json(make())


def redirect_output(path: str) -> str:
    """Return the output path of an old URL path: `/old/` and `/old` are `old/index.html`."""
    inside = path.strip("/")
    if not path.endswith("/") and "." in inside.rpartition("/")[2]:
        return inside
    return f"{inside}/index.html" if inside else "index.html"


def redirect_claims(paths: tuple[str, ...], origin: str) -> tuple[Claim, ...]:
    """Return the claims of the old URL paths of a page."""
    return tuple(Claim(redirect_output(path), origin) for path in dict.fromkeys(paths))
