"""Collections, namespaces and documents to outputs.

A page's view is made at once, for it is the page's identity; the body is made
from it only when somebody asks. What is served below `/v2/` and at the friendly
endpoints is no business of this file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.oci import mediatype
from builder.output import Claim, Made, Output
from builder.pages import badge, feeds, json_pages, listing, plan
from builder.pages.collectionview import collection_view
from builder.pages.family import Family
from builder.pages.lists import Lists
from builder.pages.model import SiteState
from builder.pages.page import Page, crumb, crumbs, software
from builder.pages.renderer import HTML, ROW, PageRenderer, redirect_claims
from builder.pages.tagview import tag_view
from builder.pages.views import PageContext, tag_url
from builder.registry.model import Collection, Namespace, Row, Tag
from builder.text.markdown import Rendered

if TYPE_CHECKING:
    from builder.documents.parse import Document

_EMPTY = Rendered("")

# The layouts that the pages of collections and namespaces are made with.
COLLECTION_LAYOUTS = ("collection", "tag", ROW)
NAMESPACE_LAYOUTS = ("namespace", ROW)


class Renderer:
    """Makes the outputs of every kind of page."""

    def __init__(self, press: PageRenderer) -> None:
        self._press = press
        self._options = press.options

    def collection(
        self,
        collection: Collection,
        texts: Mapping[str, Rendered],
        row: Row,
        *,
        children: Sequence[Row] = (),
        apps: Mapping[str, str] | None = None,
        family: Family | None = None,
        known: plan.Facts | None = None,
    ) -> Iterator[Output]:
        """Yield a collection's page, twin, feed, images and redirects, and its tags' pages.

        `texts` holds the README under the empty name and each tag's notes
        under the tag's; `children` are the rows of collections below it,
        `apps` where the web apps of tags are, empty for what is not unpacked,
        `family` what shares its layers; `known` as for `plan.row`.
        """
        about = PageContext.of(collection, row, self._options, texts, apps or {}, known=known)
        yield from self._collection_page(about, listing.visible(children), family)
        for tag in about.known.order:
            yield from self._tag_page(about, tag)
        yield from _pictures(collection)
        for old in row.redirect_from:
            yield self._press.redirect(old, row.url, collection.readme_path or collection.origin)

    def _collection_page(
        self, about: PageContext, children: tuple[Row, ...], family: Family | None
    ) -> Iterator[Output]:
        collection, row = about.collection, about.row
        view = collection_view(about, family)
        text = about.texts.get("", _EMPTY)
        page = Page(
            title=row.title,
            url=row.url,
            crumb=crumb(row.name, row.title),
            description=row.description,
            crumbs=crumbs(collection.name),
            twin=f"{row.url}index.json",
            feed=f"{row.url}feed.xml",
            source=collection.readme_path,
            data=software(
                self._options, name=row.title, url=row.url, description=row.description,
                softwareVersion=row.newest, dateModified=row.updated, license=row.license,
                keywords=", ".join(row.keywords), applicationCategory="Container image",
            ),
            unlisted=row.hidden,
            card=view.logo,
            keys=collection.keys,
        )  # fmt: skip
        name, origin = collection.name, collection.origin
        values = {
            "collection": view,
            "children": children,
            "children_html": self._press.rows(children),
        }
        yield self._press.html(f"{name}/index.html", "collection", page, values, text.html)
        yield self._press.json(
            f"{name}/index.json", origin,
            json_pages.collection_json, view, row, children, self._options,
        )  # fmt: skip
        yield self._press.data(f"{name}/{badge.FILE}", badge.SVG, origin, badge.badge, row)
        entries = feeds.collection_entries(collection, about.known)
        yield from self._press.feed(f"{name}/", row.title, entries, origin)

    def _tag_page(self, about: PageContext, tag: Tag) -> Iterator[Output]:
        collection, row = about.collection, about.row
        text = about.texts.get(tag.name, _EMPTY)
        url = tag_url(collection.name, tag.name)
        description = plan.one_line(tag.keys.get("description")) or row.description
        page = Page(
            title=f"{collection.name}:{tag.name}",
            url=url,
            crumb=tag.name,
            description=description,
            crumbs=crumbs(f"{collection.name}/{tag.name}"),
            twin=f"{url}index.json",
            feed=f"{row.url}feed.xml",
            source=tag.notes_path,
            data=software(
                self._options, name=collection.name, url=url, description=description,
                softwareVersion=tag.name, dateModified=tag.date[:10],
                applicationCategory="Container image",
            ),
            unlisted=row.hidden,
            keys=tag.keys,
        )  # fmt: skip
        folder = url.strip("/")
        view = tag_view(about, tag)
        values = {"tag": view, "notes_title": text.title}
        yield self._press.html(f"{folder}/index.html", "tag", page, values, text.html)
        yield self._press.json(
            f"{folder}/index.json", tag.origin, json_pages.tag_json, view, self._options
        )

    def namespace(
        self,
        namespace: Namespace,
        text: Rendered | None,
        rows: Sequence[Row],
        children: Sequence[Namespace] = (),
    ) -> Iterator[Output]:
        """Yield the pages of a namespace, a hundred collections each, its twin and feed.

        `rows` are all collections below it at any depth, `children` the
        namespaces directly below.
        """
        name = namespace.name
        shown = listing.visible(rows)
        text = text or _EMPTY
        title = str(namespace.keys.get("title") or text.title or name)
        spaces = listing.namespace_choices(children, listing.counts_below(shown))
        deeper = {child.name for child in children}
        own = [row for row in shown if _part_below(name, row.name) not in deeper]
        page = _namespace_page(namespace, title, text.excerpt)
        values = {
            "namespace": namespace,
            "title": title,
            "spaces": spaces,
            "maintainers": tuple(plan.people(namespace.keys.get("maintainers"))),
        }
        for part in listing.paged("name", title, f"{name}/", own):
            more = {**values, "listing": part, "rows_html": self._press.rows(part.rows)}
            html = text.html
            if part.number > 1:
                page, html = replace(page, title=f"{title}, page {part.number}", url=part.url), ""
            yield self._press.html(part.output, "namespace", page, more, html)
        names = tuple(space.name for space in children)
        yield self._press.json(
            f"{name}/index.json", namespace.origin,
            json_pages.namespace_json, namespace, shown, names, self._options,
        )  # fmt: skip
        yield from _pictures(namespace)
        entries = feeds.row_entries(shown)
        yield from self._press.feed(f"{name}/", title, entries, namespace.origin)

    def lists(self, state: SiteState, texts: Mapping[str, Rendered]) -> Iterator[Output]:
        """Yield the home page and everything else that shows all collections at once.

        `texts` holds rendered documents by their source path; the one that
        is published at `index.html` is the text of the home page. A document
        at the path of another of these outputs replaces it.
        """
        yield from Lists(self._press, state, texts).outputs()

    def page(self, document: Document, text: Rendered | str) -> Iterator[Output]:
        """Yield a document's page and its redirects; not for the one at `index.html`.

        `text` is what its body became: Markdown rendered, or anything else as
        it is. The layout is `page` unless the document says another.
        """
        rendered = text if isinstance(text, Rendered) else Rendered(text)
        title = plan.one_line(document.keys.get("title")) or rendered.title
        page = Page(
            title=title or document.output.rpartition("/")[2],
            url=document.url,
            description=plan.one_line(document.keys.get("description")) or rendered.excerpt,
            source=document.source,
            card=plan.one_line(document.keys.get("image")),
            keys={**document.keys, "date": document.date, "excerpt": rendered.excerpt},
        )
        made = self._press.html(document.output, document_layout(document), page, {}, rendered.html)
        yield made.at(document.output, _type_of(document.output))
        for old in document.redirect_from:
            yield self._press.redirect(old, document.url, document.source)


def _type_of(output: str) -> str:
    """Return the media type of a page or a data file that a document makes."""
    found = mediatype.of_file(output)
    if found in (mediatype.OCTET_STREAM, mediatype.HTML):
        return HTML
    return mediatype.with_charset(found) if found == mediatype.TEXT else found


def page_claims(collection: Collection, row: Row) -> tuple[Claim, ...]:
    """Return the paths that the pages of a collection own.

    Its `tags/`, `manifests/` and `blobs/` belong to the endpoints, the
    tags' pages inside them included.
    """
    name, origin = collection.name, collection.readme_path or collection.origin
    mine = ("index.html", "index.json", "feed.xml", badge.FILE)
    return (
        *(Claim(f"{name}/{path}", origin) for path in mine),
        *_picture_claims(collection),
        *redirect_claims(row.redirect_from, origin),
    )


def namespace_claims(namespace: Namespace) -> tuple[Claim, ...]:
    """Return the paths that the pages of a namespace own."""
    name = namespace.name
    mine = (f"{name}/index.html", f"{name}/index.json", f"{name}/feed.xml", f"{name}/page/")
    return (*(Claim(path, namespace.origin) for path in mine), *_picture_claims(namespace))


def _pictures(owner: Collection | Namespace) -> Iterator[Output]:
    """Yield the pictures that the README of a collection or namespace may show."""
    for name, path in owner.files.items():
        media_type = mediatype.of_file(name)
        made, origin = Made(path.read_bytes), f"{owner.origin}/{name}"
        yield Output(f"{owner.name}/{name}", media_type, made, origin)


def _picture_claims(owner: Collection | Namespace) -> Iterator[Claim]:
    return (Claim(f"{owner.name}/{name}", f"{owner.origin}/{name}") for name in owner.files)


def document_claims(document: Document) -> tuple[Claim, ...]:
    """Return the paths that a document's page owns, and its earlier ones."""
    old = redirect_claims(tuple(document.redirect_from), document.source)
    return (Claim(document.output, document.source), *old)


def document_layout(document: Document) -> str:
    """Return the page layout of a document; `none` and `null` mean none at all."""
    if document.layout in {"none", "null"}:
        return ""
    if document.layout:
        return document.layout
    return "page" if document.output.endswith((".html", ".htm")) else ""


def _namespace_page(namespace: Namespace, title: str, excerpt: str) -> Page:
    url = f"/{namespace.name}/"
    return Page(
        title=title,
        url=url,
        description=plan.one_line(namespace.keys.get("description")) or excerpt,
        crumb=crumb(namespace.name, title),
        crumbs=crumbs(namespace.name),
        twin=f"{url}index.json",
        feed=f"{url}feed.xml",
        source=namespace.readme_path,
        keys=namespace.keys,
    )


def _part_below(folder: str, name: str) -> str:
    """Return the folder right below `folder` that leads to `name`."""
    return f"{folder}/{name[len(folder) + 1 :].partition('/')[0]}"
