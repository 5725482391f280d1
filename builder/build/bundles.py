"""Which bundles a site consists of, and what each is made from.

A bundle is a method of `Session` with its arguments and the layouts it may
use; these are its identity. What is the same for many bundles and large is
given by its name in the session (`Shared`), and counts as its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from builder.build.facts import COLLECTION, Loaded
from builder.build.worker import Below, Item, Session, Shared, make, values_of
from builder.documents.content import Content
from builder.fingerprint import fingerprint
from builder.latest import latest
from builder.output import Bundle, Claim
from builder.pages.family import families
from builder.pages.lists import HOME, list_claims, search_claims
from builder.pages.plan import moved_pages
from builder.pages.render import (
    COLLECTION_LAYOUTS,
    NAMESPACE_LAYOUTS,
    document_claims,
    document_layout,
    namespace_claims,
)
from builder.registry.endpoints import REGISTRY_CLAIMS
from builder.registry.model import Namespace, Row

Made = dict[str, tuple[object, Bundle]]
_families = latest(families)


@dataclass(frozen=True, slots=True)
class _Bundles:
    """Makes bundles; `options` identifies the code and its configuration.

    `texts` identify what namespaces and documents are made from; `made` are bundles of
    collections that were made before, by names, each with what it was made from.
    """

    session: Session
    options: str
    texts: Mapping[Item, str]
    made: Made
    keys: dict[tuple[str, ...], str] = field(default_factory=dict)  # of layouts together

    def bundle(
        self,
        name: str,
        method: str,
        arguments: tuple[Any, ...],
        claims: Iterable[Claim],
        *,
        layouts: Iterable[str] = (),
        seen: object = None,
        rank: int = 1,
    ) -> Bundle:
        """Return a bundle; `seen` identifies what its method reads beside its arguments."""
        values = values_of(arguments, self.session)
        layouts = tuple(layouts)
        mark = fingerprint(self.options, method, values, self.key(layouts), seen)
        return Bundle(name, mark, partial(make, method, arguments, layouts), tuple(claims), rank)

    def key(self, layouts: tuple[str, ...]) -> str:
        """Return an identity of layouts together."""
        if (known := self.keys.get(layouts)) is None:
            found = [self.session.press.layout_key(layout) for layout in layouts]
            known = self.keys[layouts] = fingerprint(found)
        return known


def bundles_of(
    loaded: Mapping[str, Loaded],
    session: Session,
    content: Content,
    texts: Mapping[Item, str],
    *,
    options: str,
    made: Made,
) -> list[Bundle]:
    """Return every bundle of the site, collections first.

    `session` is in the state that the bundles will be made in; `texts` identify
    what namespaces and documents are made from, `options` the code and its
    configuration; `made` is what this kept of the last time.
    """
    makers = _Bundles(session, options, texts, made)
    return [
        *_collections(makers, loaded, _rows_below(session.state.rows)),
        *_namespaces(makers, session.state.namespaces),
        *_site(makers, content),
    ]


def identities(
    loaded: Mapping[str, Loaded], session: Session, contents: Mapping[str, str]
) -> dict[str, str]:
    """Return what identifies the pages of each collection on any machine with this software.

    `contents` identify what collections are made from, by their names.
    """
    makers = _Bundles(session, "", {}, {})
    there = {name: loaded[name]._replace(load_key=mark) for name, mark in contents.items()}
    below = _rows_below(session.state.rows)
    return {item.name: item.fingerprint for item in _collections(makers, there, below)}


def _collections(
    makers: _Bundles, loaded: Mapping[str, Loaded], below: Mapping[str, Sequence[Row]]
) -> Iterator[Bundle]:
    known, keys = _families(makers.session.state.rows), makers.key(COLLECTION_LAYOUTS)
    for name, (facts, load_key) in sorted(loaded.items()):
        arguments = (name, below.get(name, ()), known.get(name))
        given = (facts, load_key, arguments, keys)
        last, made = makers.made.get(name, (None, None))
        if made is None or last != given:
            made = makers.bundle(
                f"{COLLECTION}{name}", "collection_outputs", arguments, facts.claims,
                layouts=COLLECTION_LAYOUTS, seen=(load_key, facts.answers), rank=0,
            )  # fmt: skip
            makers.made[name] = given, made
        yield made


def _namespaces(makers: _Bundles, namespaces: Sequence[Namespace]) -> Iterator[Bundle]:
    children: dict[str, list[Namespace]] = {}
    for namespace in namespaces:
        children.setdefault(namespace.name.rpartition("/")[0], []).append(namespace)
    for namespace in namespaces:
        rows, inner = Below(namespace.name), tuple(children.get(namespace.name, ()))
        yield makers.bundle(
            f"namespace {namespace.name}", "namespace_outputs",
            (namespace, rows, inner), namespace_claims(namespace),
            layouts=NAMESPACE_LAYOUTS, seen=makers.texts.get(("namespace", namespace.name)),
        )  # fmt: skip


def _site(makers: _Bundles, content: Content) -> Iterator[Bundle]:
    session = makers.session
    pages = moved_pages(session.redirects, session.state.rows)
    moved = (Claim(f"{old}/index.html", "_config.yml") for old, _ in pages)
    claims = (*list_claims(session.state), *REGISTRY_CLAIMS, *moved)
    shared = (Shared("state"), Shared("redirects"))
    home = [makers.texts["document", name] for name in sorted(content.documents)]
    every = sorted(session.templates.names())  # a home page has whichever it names
    yield makers.bundle("lists", "lists_outputs", shared, claims, layouts=every, seen=home)
    found = (Shared("state"), Shared("words"))
    yield makers.bundle("search", "search_outputs", found, search_claims(session.state))
    assets = (Claim(asset.published, f"assets/{name}") for name, asset in session.assets.items())
    yield makers.bundle("assets", "asset_outputs", (Shared("assets"),), assets)
    for document in session.state.documents:
        if document.output == HOME:
            continue
        layout = document_layout(document)
        yield makers.bundle(
            f"page {document.source}", "document_outputs", (document,), document_claims(document),
            layouts=(layout,) if layout in session.templates.names() else (),
            seen=makers.texts["document", document.source],
        )  # fmt: skip
    if content.static:
        files = (Claim(path, file.source) for path, file in content.static.items())
        yield makers.bundle("static", "static_outputs", (content.static,), files)


@latest
def _rows_below(rows: tuple[Row, ...]) -> Mapping[str, tuple[Row, ...]]:
    """Return the rows below every folder, at any depth."""
    result: dict[str, list[Row]] = {}
    for row in rows:
        parts = row.name.split("/")
        for count in range(1, len(parts)):
            result.setdefault("/".join(parts[:count]), []).append(row)
    return {name: tuple(below) for name, below in result.items()}
