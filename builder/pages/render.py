"""Collections, namespaces and documents to outputs.

A body is made only when somebody asks for it; its fingerprint, made of all
that the body depends on and cheap to compute, is there at once. What is
served below `/v2/` and at the friendly endpoints is no business of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from builder.output import PAGES, Claim, Made, Output, fingerprint
from builder.pages import feeds, json_pages, listing, plan
from builder.pages.lists import Lists, list_claims
from builder.pages.model import PageOptions, SiteState
from builder.pages.page import Page, crumbs, software
from builder.pages.renderer import HTML, JSON, PageRenderer, redirect_claims
from builder.pages.views import (
    CollectionView,
    Link,
    PageContext,
    TagView,
    collection_view,
    tag_url,
    tag_view,
)
from builder.registry.model import Collection, Namespace, Row, Tag
from builder.text.markdown import Rendered
from builder.theme.templates import Templates

if TYPE_CHECKING:
    from builder.documents.parse import Document

_IMAGES = {
    "avif": "image/avif", "gif": "image/gif", "ico": "image/x-icon", "jpeg": "image/jpeg",
    "jpg": "image/jpeg", "png": "image/png", "svg": "image/svg+xml", "webp": "image/webp",
}  # fmt: skip
_TYPES = {
    "html": HTML, "htm": HTML, "css": "text/css", "js": "text/javascript", "json": JSON,
    "xml": "application/xml", "txt": "text/plain; charset=utf-8", "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}  # fmt: skip
_EMPTY = Rendered("")
_SVG_POLICY = (("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),)


class Renderer:
    """Makes the outputs of every kind of page.

    `state` is what page layouts may read as `site.time`, `site.data` and
    `site.collections`; the packaged theme reads none of them on the pages of
    a collection.
    """

    def __init__(
        self, templates: Templates, options: PageOptions, state: SiteState | None = None
    ) -> None:
        self._options = options
        self._press = PageRenderer(templates, options, state or SiteState())

    def fingerprint(self, layout: str, *inputs: object) -> str:
        """Return an identity of all that a page of `layout` made from `inputs` depends on."""
        return self._press.fingerprint(layout, *inputs)

    def collection(
        self,
        collection: Collection,
        texts: Mapping[str, Rendered],
        row: Row,
        children: Sequence[Row] = (),
        apps: Mapping[str, str] | None = None,
    ) -> Iterator[Output]:
        """Yield a collection's page, twin, feed, images and redirects, and its tags' pages.

        `texts` holds the README under the empty name and each tag's notes
        under the tag's; `children` are the rows of collections below it,
        `apps` where the web apps of tags are, empty for what is not unpacked.
        """
        about = PageContext.of(collection, row, self._options, texts, apps or {})
        key = _collection_key(collection)
        yield from self._collection_page(about, key, listing.visible(children))
        for tag in about.known.order:
            yield from self._tag_page(about, key, tag)
        for name, path in collection.files.items():
            media_type = _IMAGES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
            headers = _SVG_POLICY if name.lower().endswith(".svg") else ()
            yield Output(
                f"{collection.name}/{name}", media_type, Made(path.read_bytes),
                f"{collection.origin}/{name}", headers=headers, order=PAGES,
            )  # fmt: skip
        for old in row.redirect_from:
            yield self._press.redirect(old, row.url, collection.readme_path or collection.origin)

    def _collection_page(
        self, about: PageContext, key: str, children: tuple[Row, ...]
    ) -> Iterator[Output]:
        collection, row = about.collection, about.row
        text = about.texts.get("", _EMPTY)
        page = Page(
            title=row.title,
            url=row.url,
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
            keys=collection.keys,
        )  # fmt: skip
        whole = fingerprint(key, listing.row_key(row), row.blobs, self._press.rows_key(children))
        name = collection.name
        view = cache(partial(collection_view, about))
        context = partial(self._collection_context, view, children)
        yield self._press.html(
            f"{name}/index.html", "collection", page, context, key=whole, text=text.html
        )
        yield self._press.json(
            f"{name}/index.json",
            partial(self._collection_twin, view, row, children),
            key=whole,
            origin=collection.origin,
        )
        entries = feeds.collection_entries(collection, about.known)
        yield self._press.data(
            f"{name}/feed.xml",
            feeds.ATOM,
            partial(feeds.atom, row.title, row.url, entries, self._options),
            key=repr((row.title, entries)),
            origin=collection.origin,
        )

    def _collection_context(
        self, view: Callable[[], CollectionView], children: tuple[Row, ...]
    ) -> dict[str, Any]:
        return {
            "collection": view(),
            "children": children,
            "children_html": self._press.rows(children),
        }

    def _collection_twin(
        self, view: Callable[[], CollectionView], row: Row, children: tuple[Row, ...]
    ) -> Any:
        return json_pages.collection_json(view(), row, children, self._options)

    def _tag_page(self, about: PageContext, key: str, tag: Tag) -> Iterator[Output]:
        collection, row = about.collection, about.row
        text = about.texts.get(tag.name, _EMPTY)
        url = tag_url(collection.name, tag.name)
        description = plan.one_line(tag.keys.get("description")) or row.description
        page = Page(
            title=f"{collection.name}:{tag.name}",
            url=url,
            description=description,
            crumbs=(*crumbs(collection.name), Link(collection.name.rpartition("/")[2], row.url)),
            twin=f"{url}index.json",
            feed=f"{row.url}feed.xml",
            source=tag.origin,
            data=software(
                self._options, name=collection.name, url=url, description=description,
                softwareVersion=tag.name, dateModified=tag.created[:10],
                applicationCategory="Container image",
            ),
            unlisted=row.hidden,
            keys=tag.keys,
        )  # fmt: skip
        whole = fingerprint(key, row.title, row.deprecated, text.title)
        folder = url.strip("/")
        view = cache(partial(tag_view, about, tag))
        context = partial(_tag_context, view, text.title)
        yield self._press.html(
            f"{folder}/index.html", "tag", page, context, key=whole, text=text.html
        )
        yield self._press.json(
            f"{folder}/index.json",
            partial(_tag_twin, view, about.options),
            key=whole,
            origin=tag.origin,
        )

    def collection_claims(self, collection: Collection, row: Row) -> tuple[Claim, ...]:
        """Return the paths that the pages of a collection own.

        Its `tags/`, `manifests/` and `blobs/` belong to the endpoints, the
        tags' pages inside them included.
        """
        name, origin = collection.name, collection.readme_path or collection.origin
        mine = (f"{name}/index.html", f"{name}/index.json", f"{name}/feed.xml")
        folder = collection.origin
        images = (Claim(f"{name}/{file}", f"{folder}/{file}") for file in collection.files)
        return (
            *(Claim(path, origin) for path in mine),
            *images,
            *redirect_claims(row.redirect_from, origin),
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
        name, url = namespace.name, f"/{namespace.name}/"
        shown = listing.visible(rows)
        title = str(namespace.keys.get("title") or (text.title if text else "") or name)
        spaces = listing.namespace_choices(children, listing.counts_below(shown))
        deeper = {child.name for child in children}
        own = [row for row in shown if _part_below(name, row.name) not in deeper]
        html = text.html if text is not None else ""
        for part in listing.paged("name", title, f"{name}/", own):
            page = Page(
                title=title if part.number == 1 else f"{title}, page {part.number}",
                url=part.url,
                description=plan.one_line(namespace.keys.get("description"))
                or (text.excerpt if text else ""),
                crumbs=crumbs(name),
                twin=f"{url}index.json",
                feed=f"{url}feed.xml",
                source=namespace.origin,
                keys=namespace.keys,
            )
            people = tuple(plan.people(namespace.keys.get("maintainers")))
            context = partial(self._namespace_context, namespace, title, part, spaces, people)
            key = fingerprint(self._press.rows_key(part.rows), part.pages, len(own), spaces)
            shown_text = html if part.number == 1 else ""
            yield self._press.html(
                part.output, "namespace", page, context, key=key, text=shown_text
            )
        names = tuple(space.name for space in children)
        everything = "".join(map(listing.row_key, shown))
        yield self._press.json(
            f"{name}/index.json",
            partial(json_pages.namespace_json, namespace, shown, names, self._options),
            key=fingerprint(everything, names, title),
            origin=namespace.origin,
        )
        entries = feeds.row_entries(shown)
        yield self._press.data(
            f"{name}/feed.xml",
            feeds.ATOM,
            partial(feeds.atom, title, url, entries, self._options),
            key=repr((title, entries)),
            origin=namespace.origin,
        )

    def _namespace_context(
        self,
        namespace: Namespace,
        title: str,
        part: listing.Listing,
        spaces: tuple[listing.Choice, ...],
        people: tuple[plan.Person, ...],
    ) -> dict[str, Any]:
        return {
            "namespace": namespace,
            "title": title,
            "listing": part,
            "rows_html": self._press.rows(part.rows),
            "spaces": spaces,
            "maintainers": people,
        }

    def lists(self, state: SiteState, texts: Mapping[str, Rendered]) -> Iterator[Output]:
        """Yield the home page and everything else that shows all collections at once.

        `texts` holds rendered documents by their source path; the one that
        is published at `index.html` is the text of the home page. A document
        at the path of another of these outputs replaces it.
        """
        yield from Lists(self._press, state, texts).outputs()

    def lists_claims(self, state: SiteState) -> tuple[Claim, ...]:
        """Return the paths that `lists` owns for this state."""
        return list_claims(state)

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
            keys={**document.keys, "date": document.date, "excerpt": rendered.excerpt},
        )
        made = self._press.html(
            document.output, document_layout(document), page, dict, key="", text=rendered.html
        )
        yield made.at(document.output, _TYPES.get(document.output.rpartition(".")[2], HTML))
        for old in document.redirect_from:
            yield self._press.redirect(old, document.url, document.source)

    def page_claims(self, document: Document) -> tuple[Claim, ...]:
        """Return the paths that a document's page owns."""
        mine = Claim(document.output, document.source)
        return (mine, *redirect_claims(tuple(document.redirect_from), document.source))


def namespace_claims(namespace: Namespace) -> tuple[Claim, ...]:
    """Return the paths that the pages of a namespace own."""
    name = namespace.name
    mine = (f"{name}/index.html", f"{name}/index.json", f"{name}/feed.xml", f"{name}/page/")
    return tuple(Claim(path, namespace.origin) for path in mine)


def document_layout(document: Document) -> str:
    """Return the page layout of a document; `none` and `null` mean none at all."""
    if document.layout in {"none", "null"}:
        return ""
    if document.layout:
        return document.layout
    return "page" if document.output.endswith((".html", ".htm")) else ""


def _collection_key(collection: Collection) -> str:
    """Return an identity of what a collection's pages show, its texts apart.

    Manifests stand for their configs and layers, whose digests they name.
    """
    return fingerprint(
        collection.name,
        collection.keys,
        [_tag_key(tag) for tag in collection.tags],
        sorted(collection.manifests),
        sorted(collection.referrers.items()),
        sorted((place.digest, place.url) for place in collection.blobs.values()),
        sorted(collection.files),
        [(item.name, item.digest) for items in collection.companions.values() for item in items],
        [(item.path, item.size) for items in collection.archives.values() for item in items],
    )


def _tag_key(tag: Tag) -> tuple[object, ...]:
    return (
        tag.name,
        tag.manifest.digest if tag.manifest is not None else "",
        tag.legacy.raw if tag.legacy is not None else b"",
        (tag.recipe.path, tag.recipe.state, tag.recipe.text) if tag.recipe is not None else (),
        tag.keys,
        tag.created,
        tag.yanked,
        tag.available,
    )


def _tag_context(view: Callable[[], TagView], notes_title: str) -> dict[str, Any]:
    return {"tag": view(), "notes_title": notes_title}


def _tag_twin(view: Callable[[], TagView], options: PageOptions) -> Any:
    return json_pages.tag_json(view(), options)


def _part_below(folder: str, name: str) -> str:
    """Return the folder right below `folder` that leads to `name`."""
    return f"{folder}/{name[len(folder) + 1 :].partition('/')[0]}"
