"""What a build does when something changed: load, plan, render, and publish."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import astuple
from pathlib import Path

from builder.apps.publish import unmatched
from builder.apps.store import AppStore
from builder.build.bundles import Made, bundles_of
from builder.build.facts import COLLECTION, Loaded
from builder.build.how import How
from builder.build.inventory import Inventory
from builder.build.kept import Keeping, Kept
from builder.build.loading import Texts, load
from builder.build.shards import sign
from builder.build.sources import ChangedError, Sources
from builder.build.worker import Item, MadeItem, Session
from builder.config import CONFIG, Config
from builder.documents.content import site_time
from builder.errors import BuilderError, ContentError, Problem
from builder.output import Bundle, Claim, Data, Output, OutputTree
from builder.pages import plan
from builder.pages.model import SiteState
from builder.pages.page import site_of
from builder.pages.render import COLLECTION_LAYOUTS
from builder.pages.search import Index
from builder.registry.endpoints import EndpointOptions
from builder.storage.cache import Cache
from builder.targets.limits import too_large, too_much
from builder.text.addresses import Answer, dead_anchors
from builder.theme.find import Theme
from builder.theme.templates import Templates
from builder.write.destination import Destination
from builder.write.engine import Pool
from builder.write.record import SIDE, Known, Record
from builder.write.workers import Death, few
from builder.write.writer import Task, Transaction, owned, write_bundle

FEW = 50  # up to this many changes a second process costs more than it does
_SMALL = 64 << 20  # bytes of them, up to which this is so


class Maker:
    """Makes one site into one destination, as often as asked; `folder` is that of caches.

    `options` identify the code and its configuration; `kept` is the file for what
    a build without a record could use. The compiled theme, the search index, the bundles
    of collections and who owns which path are kept from one time to the next.
    """

    def __init__(
        self,
        config: Config,
        how: How,
        inventory: Inventory,
        *,
        destination: Destination,
        folder: Path,
        options: str,
        kept: Path | None,
    ) -> None:
        self._config = config
        self._how = how
        self._inventory = inventory
        self._destination = destination
        self._folder = folder
        self._options = options
        self._cache = Cache(folder / "cache.sqlite")
        self._kept = kept
        self._keeping = Keeping(kept)
        self._checked: dict[str, tuple[Claim, ...]] | None = None
        self._compiled: tuple[str, Templates] | None = None
        self._index = Index()
        self._bundles: Made = {}
        self._known: Mapping[str, str] = {}  # what the record has where its state is this
        self._known_at = ("", "")

    def make(self, sources: Sources, change: Transaction) -> None:
        """Load what changed, plan the whole site, make what is new, and publish all of it."""
        record = change.record
        known = self._known if self._known_at == _state(record) else record.bundles()
        read = set(self._inventory.changed(record, sources.addresses))
        if self._checked is None:  # what the last build published has no clash
            self._checked = {**self._inventory.claims(), **record.claims()}
        try:
            session = self._session(sources, len(read), whole=not change.trusted)
            if self._how.parts:
                self._how.parts.teach(self._inventory, self._config, session.templates)
                read = set(self._inventory.changed(record, sources.addresses))
            with self._pool(session, much=self._is_much(read)) as pool:
                texts = load(
                    pool, read, sources,
                    inventory=self._inventory, cache=self._cache, progress=self._how.progress,
                )  # fmt: skip
                loaded = self._inventory.loaded()
                anchors = (place for item in loaded.values() for place in item.facts.anchors)
                dead = dead_anchors([*texts.anchors, *anchors])
                unused = session.templates.unused()
                problems = [*sources.problems, *texts.problems, *dead, *unused]
                warnings = self._warnings(loaded.values(), problems)
                self._check_sound(loaded.values(), problems, warnings)
                bundles = self._plan(sources, session, pool, texts, loaded)
                if self._how.shard:
                    bundles = [item for item in bundles if item.rank == 0]
                changed = self._changed(bundles, known, change)
                read |= {item.name.removeprefix(COLLECTION) for item in changed if item.rank == 0}
                gone = known.keys() - {item.name for item in bundles} - {SIDE}
                if changed or gone or not change.trusted or change.damaged:
                    self._check_claims(bundles, changed, record)
                    self._write(session, pool, changed, change, gone=gone, loaded=loaded)
            self._check_limits(record)
            change.report.warnings = self._how.judged(warnings)
        except (BuilderError, OSError):
            self._check_unchanged(sources, read)  # a file may have been half saved
            raise
        self._check_unchanged(sources, read)
        self._keeping.finish(self._inventory.names())
        answers = {answer for item in loaded.values() for answer in item.facts.answers}
        _remember(record, sources.key, answers.union(texts.answers), warnings)
        change.publish()
        self._known = {item.name: item.fingerprint for item in bundles}
        self._known_at = _state(record)

    def _pool(self, session: Session, *, much: bool) -> Pool:
        """Return who does the work: the engine, or if it is not much one process here."""
        return self._how.engine(session, self._how.processes) if much else few(session)

    def _is_much(self, names: Collection[str]) -> bool:
        """Tell whether loading these is work for several: many, or a few of many bytes to hash."""
        size = sum(self._inventory.folders[name].size for name in names)
        return len(names) > (FEW if size < _SMALL else 1)

    def _check_unchanged(self, sources: Sources, names: Iterable[str]) -> None:
        there = self._inventory.folders
        for path in sources.changed(name for name in names if name in there):
            raise ChangedError(path)

    def _session(self, sources: Sources, many: int, *, whole: bool) -> Session:
        """Return what workers know; what is kept is for builds of the `whole` site."""
        kept = self._kept if whole else None
        config, theme = self._config, sources.theme
        address, capable = config.address, config.pages.capabilities
        session = Session(
            config.registry,
            config.pages,
            EndpointOptions(address.url, address.baseurl, capable, apart=not config.pages.own_host),
            config.target,
            self._destination,
            self._cache,
            self._templates(theme),
            documents=sources.content.documents,
            assets=theme.assets,
            redirects=config.redirects,
            folders=self._inventory.folders,
            addresses=sources.addresses,
            apps=config.apps,
            app_store=AppStore(self._folder / "apps"),
            kept=Kept(kept, config) if kept else None,
            index=self._index,
        )
        self._keeping.begin()
        is_kept = kept is not None and kept.exists()
        if self._how.resident or (many > FEW and not is_kept):
            session.prepare()
        self._cache.close()  # before it is shared with other processes
        return session

    def _templates(self, theme: Theme) -> Templates:
        """Return the compiled theme, as long as it is the same."""
        if self._compiled is None or self._compiled[0] != theme.key:
            address, config = self._config.address, self._config
            made = theme.templates(
                self._cache,
                baseurl=address.baseurl, url=address.url, timezone=config.site.timezone,
                markdown=config.pages.markdown,
            )  # fmt: skip
            self._cache.save(self._cache.drain())
            self._compiled = (theme.key, made)
        return self._compiled[1]

    def _check_sound(
        self, loaded: Collection[Loaded], problems: list[Problem], warnings: list[Problem]
    ) -> None:
        """Raise what is wrong with the content, a sum of it that is too much included."""
        stored = sum(item.facts.stored for item in loaded)
        found = [*problems, *too_much(self._config.pages.capabilities, CONFIG, stored, 0)]
        if any(not problem.warning for problem in found):
            raise ContentError(self._how.strictly([*found, *warnings]))

    def _plan(
        self,
        sources: Sources,
        session: Session,
        pool: Pool,
        texts: Texts,
        loaded: Mapping[str, Loaded],
    ) -> list[Bundle]:
        """Return all that the site consists of; from here on workers know the whole of it."""
        content = sources.content
        rows = tuple(loaded[name].facts.row for name in sorted(loaded))
        documents = tuple(content.documents[name] for name in sorted(content.documents))
        time = site_time(rows, documents, self._config.site.timezone)
        namespaces = plan.namespaces_of(rows, texts.namespaces)
        session.state = SiteState(time, rows, namespaces, documents, content.data)
        session.words = tuple(loaded[name].facts.words for name in sorted(loaded))
        layouts = session.templates.names()
        session.learn(site_of(session.templates, layouts, session.pages, session.state))
        pool.tell("learn", {name: session.site[name] for name in COLLECTION_LAYOUTS})
        return bundles_of(
            loaded, session, content, texts.signatures, options=self._options, made=self._bundles
        )

    def _changed(
        self, bundles: Iterable[Bundle], known: Mapping[str, str], change: Transaction
    ) -> list[Bundle]:
        """Return the bundles that are not on the disk as they are to be."""
        damaged = change.record.bundles_of(change.damaged)
        return [
            item
            for item in bundles
            if item.name in damaged or known.get(item.name) != item.fingerprint
        ]

    def _write(
        self,
        session: Session,
        pool: Pool,
        changed: list[Bundle],
        change: Transaction,
        *,
        gone: Iterable[str],
        loaded: Mapping[str, Loaded],
    ) -> None:
        """Make what changed, and what the host needs beside it; forget what is gone."""
        change.open()
        if self._how.parts:
            changed = self._how.parts.adopt(session, loaded, changed, change, self._inventory)
        self._render(session, pool, changed, change)
        for name in gone:
            change.drop(name)
        record = change.record
        if self._how.shard:
            sign(record, self._how.shard, self._config, session, loaded)
        elif change.ruled or change.damaged or record.meta("rules") != self._options:
            self._side_files(change)

    def _check_claims(self, bundles: list[Bundle], changed: list[Bundle], record: Record) -> None:
        """Refuse two owners of one path, unless all claims are as they were."""
        checked = self._checked or {}
        if any(checked.get(item.name) != item.claims for item in changed):
            OutputTree(tuple(bundles))
            self._checked = {item.name: item.claims for item in bundles}
        # Those of collections are among their facts.
        record.set_claims({item.name: item.claims for item in bundles if item.rank > 0})

    def _render(
        self, session: Session, pool: Pool, bundles: list[Bundle], change: Transaction
    ) -> None:
        """Make bundles in worker processes: those of collections where they were loaded."""
        first = [item for item in bundles if item.rank == 0]
        rest = [item for item in bundles if item.rank > 0]
        problems = self._render_in(pool, first, change)
        pool.close()  # the rest may need its memory
        with self._pool(session, much=len(rest) > FEW) as anew:
            problems += self._render_in(anew, rest, change)
        if problems:
            raise ContentError(problems)

    def _render_in(self, pool: Pool, bundles: list[Bundle], change: Transaction) -> list[Problem]:
        by_name = {item.name: item for item in bundles}
        tasks = [change.task(item) for item in bundles]
        problems: list[Problem] = []
        results: Iterator[MadeItem] = pool.run("make", tasks, key=_task_key, died=_make_died)
        for count, made in enumerate(results, 1):
            self._how.progress("writing", count, len(tasks))
            if made.written is None:
                problems.extend(made.problems)
                continue
            item = by_name[made.written.name]
            known = self._inventory.booking(item.name, item.fingerprint)
            if made.kept is not None:
                self._keeping.add(item.name.removeprefix(COLLECTION), known.facts, made.kept)
            change.done(made.written, known)
        return problems

    def _side_files(self, change: Transaction) -> None:
        """Hand over what the target needs beside the content."""
        config = self._config
        inside, outside = [], {}
        beside = f"../{config.destination.name}.{config.target.capabilities.name}"
        for file in config.target.side_files(change.record.ruled(), config.address):
            if file.in_site:
                body = Data(file.data)
                inside.append(Output(file.path, "application/octet-stream", body, "target"))
            elif change.destination.beside:
                outside[f"{beside}/{file.path}"] = file.data
        name = config.target.capabilities.name
        claims = tuple(Claim(item.path, f"the {name} target") for item in inside)
        task = change.task(Bundle(SIDE, "", list, claims))
        made = write_bundle(task, owned(task.bundle, inside), change.destination)
        change.done(made, Known(""))
        change.beside(outside)
        change.record.set_meta("rules", self._options)

    def _check_limits(self, record: Record) -> None:
        """Refuse a site that its host would not take whole, now that every size is known."""
        capable = self._config.pages.capabilities
        if not (capable.max_file or capable.max_site or capable.max_files):
            return
        without = "" if self._config.pages.own_host else "v2/"
        files = record.larger_than(capable.max_file, without=without) if capable.max_file else []
        problems = [
            *too_large(capable, ((f"/{path}", size) for path, size in files)),
            *too_much(capable, CONFIG, *record.totals(without=without)),
        ]
        if problems:
            record.prove()  # a damaged size is no refusal
            raise ContentError(problems)

    def _warnings(self, loaded: Iterable[Loaded], problems: Iterable[Problem]) -> list[Problem]:
        """Return everything that stops nothing, also of what did not change."""
        folders = self._inventory.folders.values()
        found = {warning for item in loaded for warning in item.facts.warnings}
        found |= {item for item in problems if item.warning}
        names = [folder.name for folder in folders if folder.is_collection]
        found |= set(unmatched(self._config.apps, names))
        return sorted({*self._config.warnings, *found})


def _state(record: Record) -> tuple[str, str]:
    """Return what tells whether anybody has built since."""
    return record.meta("identity"), record.meta("inputs")


def _remember(
    record: Record, inputs: str, answers: set[Answer], warnings: Iterable[Problem]
) -> None:
    """Note what a later build needs to see that nothing changed, and to say the same."""
    record.set_meta("inputs", inputs)
    on_disk = sorted(answer for answer in answers if answer.on_disk)
    record.set_meta("asked", json.dumps(on_disk))
    record.set_meta("warnings", json.dumps([*map(astuple, warnings)]))


def _task_key(task: Task) -> Item:
    return ("collection", task.bundle.name.removeprefix(COLLECTION))


def _make_died(task: Task, death: Death) -> MadeItem:
    if death.path:
        raise ContentError([death.problem()])  # every page of its layout would take as long
    name = task.bundle.name
    raise death.error(f"{name}: the process that made its pages")
