"""Which bundles a site consists of, and what each depends on.

A bundle's fingerprint holds everything that its outputs are made of; what is
not in it here must not be read there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.build.worker import Facts, bundle, collection_bundle
from builder.documents.content import Content
from builder.output import Bundle, Claim, fingerprint
from builder.pages.lists import list_claims
from builder.pages.model import SiteState
from builder.pages.plan import moved_pages
from builder.pages.render import namespace_claims
from builder.pages.renderer import redirect_claims
from builder.registry.endpoints import REGISTRY_CLAIMS
from builder.registry.model import Namespace, Row
from builder.theme.find import Theme

EVERYTHING = frozenset({"collections", "namespaces", "pages"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """All collections as loaded: facts, load keys and row keys by name."""

    facts: Mapping[str, Facts]
    load_keys: Mapping[str, str]
    row_keys: Mapping[str, str]

    def keys_of(self, rows: Iterable[Row]) -> list[str]:
        """Return what identifies some rows."""
        return [self.row_keys[row.name] for row in rows]


def bundles_of(
    loaded: Loaded,
    state: SiteState,
    content: Content,
    theme: Theme,
    *,
    options: str,
    reads: frozenset[str],
    redirects: Mapping[str, str],
) -> list[Bundle]:
    """Return every bundle of the site, collections first.

    `options` identifies the code and its configuration; `reads` are the
    attributes of `site` that the pages of collections read; `redirects` are
    old names of collections.
    """
    below = rows_below(state.rows)
    everything = fingerprint(loaded.keys_of(state.rows))
    base = fingerprint(
        options,
        theme.key,
        content.key if "data" in reads else "",
        state.time if "time" in reads else "",
        everything if reads & EVERYTHING else "",
    )
    total = fingerprint(options, theme.key, content.key, state.time, everything)
    return [
        *_collections(loaded, below, base),
        *_namespaces(loaded, state.namespaces, below, base),
        *_site(state, content, theme, total, redirects),
    ]


def _collections(loaded: Loaded, below: Mapping[str, Sequence[Row]], base: str) -> Iterator[Bundle]:
    for name, facts in sorted(loaded.facts.items()):
        children = below.get(name, ())
        mark = fingerprint(base, loaded.load_keys[name], facts.complete, loaded.keys_of(children))
        yield collection_bundle(name, mark, facts, children)


def _namespaces(
    loaded: Loaded,
    namespaces: Sequence[Namespace],
    below: Mapping[str, Sequence[Row]],
    base: str,
) -> Iterator[Bundle]:
    children: dict[str, list[Namespace]] = {}
    for namespace in namespaces:
        children.setdefault(namespace.name.rpartition("/")[0], []).append(namespace)
    for namespace in namespaces:
        rows = below.get(namespace.name, ())
        inner = children.get(namespace.name, [])
        mark = fingerprint(base, namespace, loaded.keys_of(rows), inner)
        arguments = (namespace, tuple(rows), tuple(inner))
        name = f"namespace {namespace.name}"
        yield bundle(name, mark, "namespace_outputs", arguments, namespace_claims(namespace))


def _site(
    state: SiteState, content: Content, theme: Theme, total: str, redirects: Mapping[str, str]
) -> Iterator[Bundle]:
    pages = moved_pages(redirects, state.rows)
    moved = (Claim(f"{old}/index.html", "_config.yml") for old, _ in pages)
    claims = (*list_claims(state), *REGISTRY_CLAIMS, *moved)
    yield bundle("lists", total, "lists_outputs", (), claims)
    assets = (Claim(path, f"assets/{name}") for name, (_, path) in theme.assets.items())
    yield bundle("assets", theme.key, "asset_outputs", (), assets)
    for document in state.documents:
        if document.output == "index.html":
            continue
        claim = Claim(document.output, document.source)
        old = redirect_claims(tuple(document.redirect_from), document.source)
        name = f"page {document.source}"
        yield bundle(name, total, "document_outputs", (document.source,), (claim, *old))
    if content.static:
        files = (Claim(path, source) for path, source in content.static.items())
        yield bundle("static", content.key, "static_outputs", (dict(content.static),), files)


def rows_below(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows below every folder, at any depth."""
    result: dict[str, list[Row]] = {}
    for row in rows:
        parts = row.name.split("/")
        for count in range(1, len(parts)):
            result.setdefault("/".join(parts[:count]), []).append(row)
    return result
