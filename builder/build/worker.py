"""What a worker process knows and does: load one thing, make one bundle.

The parent fills a `Session` and forks; each worker then owns a copy. What a
worker loaded it keeps until the whole registry is judged, so that the pages of
a collection are made from the value that was checked, without reading it again:
packed, a tenth of its size, for there may be very many.
"""

from __future__ import annotations

import pickle
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from builder.apps.model import AppOptions, options_for
from builder.apps.publish import PublishedApps
from builder.apps.store import AppStore
from builder.build.facts import COLLECTION, Facts
from builder.build.judge import Rules, judge_collection
from builder.build.kept import Kept
from builder.documents.content import StaticFile
from builder.documents.parse import Document
from builder.errors import ContentError, Problem
from builder.fingerprint import fingerprint
from builder.layers.compression import packed, unpacked
from builder.oci import mediatype
from builder.output import Data, Made, Output, Redirect
from builder.pages import plan
from builder.pages.family import Family
from builder.pages.lists import search_outputs
from builder.pages.model import PageOptions, SiteState
from builder.pages.render import COLLECTION_LAYOUTS, Renderer, page_claims
from builder.pages.renderer import PageRenderer
from builder.pages.search import Index
from builder.registry.endpoints import (
    EndpointOptions,
    collection_claims,
    collection_endpoints,
    registry_endpoints,
)
from builder.registry.load import load_namespace
from builder.registry.model import Collection, Namespace, RegistryOptions, Row
from builder.registry.scan import Folder as ContentFolder
from builder.storage.cache import Cache, CacheItem
from builder.targets.active import active_pictures
from builder.targets.base import Target
from builder.text.addresses import Addresses, Anchors, Answer
from builder.text.markdown import MarkdownRenderer, Rendered, engine_key
from builder.theme.find import Asset
from builder.theme.templates import Templates
from builder.write.destination import Destination
from builder.write.workers import Limited
from builder.write.writer import Task, Written, owned, whole, write_bundle

FEW_TAGS = 20  # up to which all pages of a collection are made again, whatever changed in it
TEXT_SECONDS = 10  # of processor time for one text
_TEXT_HINT = "write it more simply: less nesting, fewer brackets"
Kind = Literal["collection", "namespace", "document"]
Item = tuple[Kind, str]


class LoadedItem(NamedTuple):
    """The result of loading one item in a worker.

    `signature` is that of what was read; of namespaces and documents that of
    what their text became, too. `answers` and `anchors` are the latter's.
    """

    item: Item
    facts: Facts | Namespace | None
    problems: tuple[Problem, ...]
    learnt: list[CacheItem]
    signature: str = ""
    answers: tuple[Answer, ...] = ()
    anchors: tuple[Anchors, ...] = ()


class MadeItem(NamedTuple):
    """The result of making one bundle in a worker."""

    written: Written | None
    problems: tuple[Problem, ...] = ()
    kept: bytes | None = None


class Shared(NamedTuple):
    """An argument of a bundle that every worker has: the session's attribute of this name."""

    name: str

    def of(self, session: Session) -> Any:
        """Return the value."""
        return getattr(session, self.name)


class Below(NamedTuple):
    """The same: the rows of all collections below the folder of this name."""

    name: str

    def of(self, session: Session) -> Sequence[Row]:
        """Return the rows, which stand together: all are in order of their names."""
        rows = session.state.rows
        ends = (f"{self.name}/", f"{self.name}0")  # which is the character after "/"
        first, last = (bisect_left(rows, end, key=lambda row: row.name) for end in ends)
        return rows[first:last]


class _Loaded(NamedTuple):
    """A collection as it was loaded, its texts rendered and its apps unpacked."""

    collection: Collection
    texts: dict[str, Rendered]
    row: Row
    apps: PublishedApps
    known: plan.Facts


@dataclass(slots=True)
class Session:
    """Everything a worker needs; made by the pipeline before it forks."""

    registry: RegistryOptions
    pages: PageOptions
    endpoints: EndpointOptions
    target: Target
    destination: Destination
    cache: Cache
    templates: Templates
    state: SiteState = field(default_factory=SiteState)
    words: tuple[str, ...] = ()  # beside the rows of `state`
    index: Index = field(default_factory=Index)
    site: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by layout
    documents: Mapping[str, Document] = field(default_factory=dict)
    assets: Mapping[str, Asset] = field(default_factory=dict)
    redirects: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, ContentFolder] = field(default_factory=dict)
    addresses: Addresses = field(default_factory=lambda: Addresses(Path()))
    apps: tuple[AppOptions, ...] = ()
    app_store: AppStore = field(default_factory=lambda: AppStore(Path()))
    kept: Kept | None = None
    _loaded: dict[str, bytes] = field(default_factory=dict)
    _rendered: list[Rendered] = field(default_factory=list)  # of the item at hand
    _markdown: MarkdownRenderer | None = None
    _press: PageRenderer | None = None

    def __reduce__(self) -> tuple[type[Session], tuple[Any, ...]]:
        """Let another machine begin with what was given, and make the rest itself."""
        given = [item.name for item in fields(self) if not item.name.startswith("_")]
        return Session, tuple(getattr(self, name) for name in given)

    @property
    def press(self) -> PageRenderer:
        """The maker of pages, for the `site` that is known."""
        if self._press is None:
            self._press = PageRenderer(self.templates, self.pages, self.site)
        return self._press

    @property
    def renderer(self) -> MarkdownRenderer:
        """The maker of HTML from Markdown."""
        if self._markdown is None:
            engine, baseurl = self.pages.markdown, self.pages.baseurl
            self._markdown = MarkdownRenderer(engine, baseurl, self.addresses)
        return self._markdown

    def prepare(self) -> None:
        """Import and compile now what each process that is forked later would for itself."""
        self.templates.compile()
        self.renderer.render("text", path="", first_line=0)

    def learn(self, site: Mapping[str, Mapping[str, Any]]) -> None:
        """Take what layouts are given as `site`, known once everything is loaded."""
        self.site, self._press = site, None

    def load(self, item: Item) -> LoadedItem:
        """Load one item and render its texts; problems are returned, not raised."""
        kind, name = item
        facts: Facts | Namespace | None = None
        signature = ""
        self._rendered.clear()
        try:
            if kind == "collection":
                facts, problems, signature = self._recall(name) or self._load_collection(name)
            elif kind == "namespace":
                facts, problems, signature = self._load_namespace(name)
            else:
                document = self.documents[name]
                text = self.document_text(document)
                problems, signature = _warnings(document.source, text), fingerprint(text)
        except ContentError as error:
            problems = error.problems
        others = [] if kind == "collection" else self._rendered  # whose facts hold theirs
        answers = tuple(answer for made in others for answer in made.answers)
        anchors = tuple(made.anchors for made in others)
        return LoadedItem(item, facts, problems, self.cache.drain(), signature, answers, anchors)

    def make(self, task: Task) -> MadeItem:
        """Make one bundle and hand it over; problems are returned, not raised."""
        try:
            if task.bundle.rank == 0 and self.kept is not None:
                return self._make_collection(task, self.kept)
            return MadeItem(write_bundle(task, self._outputs(task), self.destination))
        except ContentError as error:
            return MadeItem(None, error.problems)

    def _outputs(self, task: Task) -> list[Output]:
        outputs: Iterable[Output] = task.bundle.make(self)
        adapted = (item for output in outputs for item in self.target.adapt(output))
        return owned(task.bundle, adapted)

    def _make_collection(self, task: Task, kept: Kept) -> MadeItem:
        """Write what is kept of a collection, or make it; what is made as a whole is kept."""
        name = task.bundle.name.removeprefix(COLLECTION)
        folder = self.registry.folder(name)
        made_with = (task.bundle.make, [self.press.layout_key(one) for one in COLLECTION_LAYOUTS])
        found = kept.outputs(name, made_with, folder)
        if found is not None:
            return MadeItem(write_bundle(task, owned(task.bundle, found), self.destination))
        outputs, entry = self._outputs(task), None
        if kept.keeps(name, outputs):
            outputs = [*map(whole, outputs)]
            entry = kept.entry(name, made_with, outputs, folder)
        return MadeItem(write_bundle(task, outputs, self.destination), (), entry)

    def _recall(self, name: str) -> tuple[Facts, tuple[Problem, ...], str] | None:
        """Return what is kept of a collection, while links in it lead where they did."""
        if self.kept is None or options_for(name, self.apps) is not None:
            return None
        folder = self.registry.folder(name)
        facts = self.kept.facts(name, folder, self.cache)
        if facts is None or not self.addresses.hold(facts.answers):
            return None
        self.kept.learn(name, facts, folder, self.cache)
        return facts, facts.warnings, self.folders[name].signature

    def _load_collection(self, name: str) -> tuple[Facts | None, tuple[Problem, ...], str]:
        rules = Rules(self.pages, self.apps, self.app_store)
        judged = judge_collection(self.registry, name, self.cache, rules, self.folders.get(name))
        collection, apps = judged.collection, judged.apps
        if collection is None:
            return None, judged.problems, judged.signature
        texts, found = self._texts(collection)
        problems = (*judged.problems, *found)
        if any(not problem.warning for problem in problems):
            return None, problems, judged.signature
        known = plan.facts(collection)
        row = plan.row(collection, texts, known)
        origin = collection.readme_path or collection.origin
        claims = (*page_claims(collection, row), *collection_claims(name, origin), *apps.claims())
        elsewhere = tuple(sorted(collection.elsewhere.items()))
        complete = all(tag.available for tag in collection.tags)
        stored = sum(size for _, size in judged.files)
        answers = tuple(answer for text in texts.values() for answer in text.answers)
        anchors = tuple(text.anchors for text in texts.values())
        words = plan.found_by(collection, row, known)
        facts = Facts(row, claims, problems, elsewhere, complete, stored, answers, anchors, words)
        self._loaded[name] = packed(pickle.dumps(_Loaded(collection, texts, row, apps, known)))
        if self.kept is not None:
            self.kept.learn(name, facts, self.registry.folder(name), self.cache, collection.blobs)
        return facts, problems, judged.signature

    def _texts(self, collection: Collection) -> tuple[dict[str, Rendered], list[Problem]]:
        """Render the README and every tag's notes."""
        texts: dict[str, Rendered] = {}
        problems: list[Problem] = []
        parts = [("", collection.readme, collection.readme_line, collection.readme_path)]
        parts += [(tag.name, tag.notes, tag.notes_line, tag.notes_path) for tag in collection.tags]
        for key, body, line, path in parts:
            if not body.strip():
                continue
            address = f"/{collection.name}/tags/{key}/" if key else f"/{collection.name}/"
            try:
                texts[key] = self._render(body, path, line, address)
                problems.extend(_warnings(path, texts[key]))
            except ContentError as error:
                problems.extend(error.problems)
        return texts, problems

    def _load_namespace(self, name: str) -> tuple[Namespace, tuple[Problem, ...], str]:
        folder = self.folders[name]
        namespace, problems = load_namespace(self.registry, folder)
        text = self._text_of(namespace)
        shown = (f"{namespace.origin}/{path}" for path in namespace.files)
        active = active_pictures(self.pages.capabilities, shown)
        problems = (*problems, *active, *_warnings(namespace.readme_path, text))
        return namespace, problems, fingerprint(text, folder)

    def _text_of(self, namespace: Namespace) -> Rendered:
        if not namespace.readme.strip():
            return Rendered("")
        path, line = namespace.readme_path, namespace.readme_line
        return self._render(namespace.readme, path, line, f"/{namespace.name}/")

    def document_text(self, document: Document) -> Rendered:
        """Return a document's body as HTML: Markdown rendered, anything else as it is."""
        if not document.is_markdown:
            return Rendered(document.body)
        address = f"/{document.output.removesuffix('index.html')}"
        return self._render(document.body, document.source, document.body_line, address)

    def _render(self, text: str, path: str, line: int, address: str) -> Rendered:
        """Return a text rendered; a kept one is good while its answers are what they were."""
        engine = self.pages.markdown
        mark = fingerprint(engine_key(), engine, text, path, line, address, self.pages.baseurl)
        key = f"markdown {mark}"
        if (kept := self.cache.get(key)) is not None:
            held = Rendered.from_text(kept.decode())
            if self.addresses.hold(held.answers):
                self._rendered.append(held)
                return held
        with Limited(path, "to render", TEXT_SECONDS, _TEXT_HINT):
            made = self.renderer.render(text, path=path, first_line=line, address=address)
        self._rendered.append(made)
        self.cache.put(key, made.to_text().encode("utf-8", "replace"))
        return made

    def collection_outputs(
        self, name: str, children: Sequence[Row], family: Family | None
    ) -> Iterator[Output]:
        """Yield everything that is published of one collection."""
        if name not in self._loaded:
            _, problems, _ = self._load_collection(name)
            if name not in self._loaded:
                raise ContentError(problems)
        loaded: _Loaded = pickle.loads(unpacked(self._loaded.pop(name)))  # noqa: S301 - our own
        collection, texts, row, apps, known = loaded
        yield from collection_endpoints(collection, self.endpoints)
        pages = Renderer(self.press if len(collection.tags) > FEW_TAGS else self.press.unmarked())
        yield from pages.collection(
            collection,
            texts,
            row,
            children=children,
            apps=apps.urls(),
            family=family,
            known=known,
        )
        yield from apps.outputs(self.app_store)

    def namespace_outputs(
        self, namespace: Namespace, rows: Sequence[Row], children: Sequence[Namespace]
    ) -> Iterator[Output]:
        """Yield the pages of a namespace."""
        pages = Renderer(self.press)
        yield from pages.namespace(namespace, self._text_of(namespace), rows, children)

    def lists_outputs(self, state: SiteState, redirects: Mapping[str, str]) -> Iterator[Output]:
        """Yield everything that shows all collections at once."""
        texts = {document.source: self.document_text(document) for document in state.documents}
        yield from registry_endpoints(state.rows)
        yield from Renderer(self.press).lists(state, texts)
        for old, new in plan.moved_pages(redirects, state.rows):
            to = Redirect(f"{self.pages.baseurl}/{new}/", 301)
            yield Output(f"{old}/index.html", "text/html", to, "_config.yml")

    def search_outputs(self, state: SiteState, words: Sequence[str]) -> Iterator[Output]:
        """Yield what a search reads."""
        return search_outputs(state, words, self.index)

    def document_outputs(self, document: Document) -> Iterator[Output]:
        """Yield one document of the site's own."""
        yield from Renderer(self.press).page(document, self.document_text(document))

    def asset_outputs(self, assets: Mapping[str, Asset]) -> Iterator[Output]:
        """Yield the theme's files under their published names."""
        for name, asset in assets.items():
            body = Data(asset.read())
            yield Output(asset.published, mediatype.of_file(name), body, f"assets/{name}")

    def static_outputs(self, files: Mapping[str, StaticFile]) -> Iterator[Output]:
        """Yield the site's files that are published as they are."""
        for published, file in files.items():
            make = partial(Path.read_bytes, self.registry.source / file.source)
            yield Output(published, mediatype.of_file(published), Made(make), file.source)


def _warnings(path: str, text: Rendered) -> tuple[Problem, ...]:
    return tuple(Problem(path, line, message, warning=True) for line, message in text.warnings)


def make(
    method: str, arguments: tuple[Any, ...], layouts: tuple[str, ...], session: Session
) -> Iterable[Output]:
    """Return what a method of `Session` makes of a bundle's arguments, with its layouts alone."""
    session.press.allow(layouts)
    outputs: Iterable[Output] = getattr(session, method)(*values_of(arguments, session))
    return outputs


def values_of(arguments: Iterable[Any], session: Session) -> list[Any]:
    """Return the arguments of a bundle as its method takes them."""
    return [item.of(session) if isinstance(item, Shared | Below) else item for item in arguments]
