"""The whole build, in order: look, load, plan, render, publish.

Everything that can fail is done before `publish`, where a finished tree takes
the place of the last one: a build that fails has changed nothing. What is
judged without being published goes the same way, to nowhere. A `Pipeline`
keeps what it read, so that `serve` can build again after an edit and look
only at what was touched.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from builder.apps.publish import unmatched
from builder.apps.store import AppStore
from builder.build.bundles import COLLECTION, Loaded, bundles_of
from builder.build.inventory import Inventory
from builder.build.loading import Texts, load
from builder.build.shards import Parts, Shard, export, sign
from builder.build.sources import Sources, look
from builder.build.worker import Item, MadeItem, Session
from builder.config import CONFIG, Config
from builder.documents.content import site_time
from builder.errors import BuilderError, ContentError, LockedError, Problem
from builder.fingerprint import code_key, fingerprint
from builder.output import Bundle, Claim, Data, Output, OutputTree
from builder.pages import plan
from builder.pages.model import SiteState
from builder.pages.page import site_of
from builder.pages.render import COLLECTION_LAYOUTS
from builder.registry.endpoints import EndpointOptions
from builder.registry.model import Row
from builder.storage.cache import Cache, DamagedError, guarded
from builder.storage.lock import lock
from builder.storage.parallel import Steps
from builder.targets.limits import too_large, too_much
from builder.text.addresses import Answer, dead_anchors
from builder.theme.find import Theme
from builder.theme.templates import Templates
from builder.write.destination import Destination, Nowhere
from builder.write.engine import Engine, Pool
from builder.write.folder import Folder
from builder.write.lookup import BuiltSite, PreviewSite
from builder.write.objects import Objects, Part
from builder.write.record import SCHEMA, SIDE, Known, Record
from builder.write.workers import Death, Workers
from builder.write.writer import Report, Task, Transaction, write_bundle

FEW = 50  # below this many changes a second process costs more than it does
ATTEMPTS = 3  # at reading sources that change while they are read


@dataclass(frozen=True, slots=True)
class Checked:
    """What a build would say of content that it would take."""

    warnings: tuple[Problem, ...]
    collections: int
    tags: int


def check(
    config: Config,
    *,
    jobs: int = 0,
    strict: bool = False,
    progress: Steps | None = None,
    engine: Engine = Workers,
) -> Checked:
    """Build the site to nowhere: believe no cache, hash every blob, make every page.

    Raises whatever `Pipeline.build` would raise from an empty folder. Writes
    nothing to the registry's folder; machines of a cluster share its caches'.
    """
    with tempfile.TemporaryDirectory(prefix="builder-check-") as folder:
        made = Pipeline(config, jobs=jobs, strict=strict, progress=progress, cache=Path(folder),
                        destination=Nowhere(), engine=engine)  # fmt: skip
        report = made.build()
        rows = made.rows()
        return Checked(tuple(report.warnings), len(rows), sum(len(row.tags) for row in rows))


def preview(config: Config, *, jobs: int = 0) -> Pipeline:
    """Return what builds for `serve`: into a store whose map changes in one moment."""
    return Pipeline(config, jobs=jobs, destination=Objects(config.destination))


class _ChangedError(Exception):
    """Sources were not the same when they were read and when they had been read."""


class Pipeline:
    """Builds one site into one destination, as often as asked.

    `strict` makes problems of warnings; `cache` is the folder of caches and
    records, `.builder-cache` by default, as the destination is a folder; `engine`
    does what is worth while to do in several places at once. With a `shard` only
    that part of the site is made, into the destination as `shards` keeps it; with
    `parts` what these have is not made again.
    """

    def __init__(
        self,
        config: Config,
        *,
        jobs: int = 0,
        strict: bool = False,
        progress: Steps | None = None,
        cache: Path | None = None,
        destination: Destination | None = None,
        engine: Engine = Workers,
        shard: Shard | None = None,
        parts: Parts | None = None,
    ) -> None:
        self.config = config
        self._shard = shard
        self._parts = parts
        self._jobs = jobs or min(os.cpu_count() or 1, 8)
        self._engine = engine
        self._strict = strict
        self._progress = progress or _silent
        place: type[Folder | Part] = Part if shard else Folder
        self._destination = destination or place(config.destination)
        self._folder = cache or config.cache
        self._cache = Cache(self._folder / "cache.sqlite")
        self._checked: dict[str, tuple[Claim, ...]] | None = None
        self._compiled: tuple[str, Templates] | None = None
        self._sound = False  # whether the last build had no problem anywhere
        self._options = fingerprint(code_key(), config)
        self._inventory = Inventory(config.registry, self._options, shard.names if shard else None)
        target = config.target.capabilities.name
        kind = type(self._destination).__name__
        address = "" if kind == Objects.__name__ else config.address  # a preview has one record
        self._name = fingerprint(SCHEMA, config.destination, kind, target, address)
        self.record_path = self._folder / "records" / f"{self._name}.sqlite"

    def build(self, touched: frozenset[str] | None = None) -> Report:
        """Build, looking only at `touched` source paths when they are given.

        Raises ContentError with every problem of the run, LockedError when
        another build is at work here; nothing has changed then.
        """
        changed = ""
        with self._locked():
            for _ in range(ATTEMPTS):
                try:
                    with guarded(self.record_path):
                        return self._build(touched)
                except _ChangedError as error:
                    changed, touched = str(error), None
                except DamagedError:  # the loss of a record costs time alone
                    changed, touched = str(self.record_path), None
        message = "changes while it is read"
        raise ContentError.at(changed, message, "build again when nothing writes to it")

    @contextmanager
    def built(self) -> Iterator[BuiltSite]:
        """Hold the last build still while it is read; raises ContentError when there is none."""
        destination = self.config.destination
        with self._locked(), closing(Record(self.record_path)) as record:
            self._destination.claim()
            if not self._destination.is_at(record.meta("identity")):
                message = "does not hold a whole site that was built from here for this target"
                raise ContentError.at(str(destination), message, "run 'builder build' first")
            with closing(BuiltSite(destination, self.record_path)) as site:
                yield site

    def has_site(self) -> bool:
        """Tell whether there is a last build, whole, and nobody is at work on another."""
        try:
            with self.built():
                return True
        except (ContentError, LockedError):
            return False

    def site(self) -> PreviewSite:
        """Return the last build of a preview, as it stays however often it is built again."""
        return PreviewSite(Objects(self.config.destination), self.record_path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with lock(self._folder / f"build-{self._name}.lock", "this destination"):
            yield

    def _build(self, touched: frozenset[str] | None) -> Report:
        touched = touched if self._sound else None
        self._sound = False
        sources = look(self.config, self._inventory, self._options, touched)
        with closing(Record(self.record_path)) as record:
            change = Transaction(self._destination, record)
            change.begin(look=touched is None)
            asked = [Answer(*item) for item in json.loads(record.meta("asked") or "[]")]
            same = record.meta("inputs") == sources.key and sources.addresses.hold(asked)
            if same and change.trusted and not change.damaged and not sources.problems:
                kept = [Problem(*item) for item in json.loads(record.meta("warnings"))]
                change.report.warnings = self._judged(kept)
            else:
                with change:
                    self._make(sources, change)
        if self._shard:
            export(self.record_path, self.config.destination)
        self._sound = True
        return change.report

    def _make(self, sources: Sources, change: Transaction) -> None:
        """Load what changed, plan the whole site, make what is new, and publish all of it."""
        record = change.record
        known = record.bundles()
        read = set(self._inventory.changed(record, sources.addresses))
        if self._checked is None:  # what the last build published has no clash
            self._checked = {**self._inventory.claims(), **record.claims()}
        try:
            session = self._session(sources)
            if self._parts:
                self._parts.teach(self._inventory, self.config, session.templates)
                read = set(self._inventory.changed(record, sources.addresses))
            with self._pool(session, len(read)) as pool:
                texts = load(
                    pool,
                    read,
                    sources,
                    inventory=self._inventory,
                    cache=self._cache,
                    progress=self._progress,
                )
                loaded = self._inventory.loaded()
                anchors = (place for item in loaded.values() for place in item.facts.anchors)
                dead = dead_anchors([*texts.anchors, *anchors])
                unused = session.templates.unused()
                problems = [*sources.problems, *texts.problems, *dead, *unused]
                warnings = self._warnings(loaded.values(), problems)
                self._check_sound(loaded.values(), problems, warnings)
                bundles = self._plan(sources, session, pool, texts, loaded)
                if self._shard:
                    bundles = [item for item in bundles if item.rank == 0]
                changed = self._changed(bundles, known, change)
                read |= {item.name.removeprefix(COLLECTION) for item in changed if item.rank == 0}
                gone = known.keys() - {item.name for item in bundles} - {SIDE}
                if changed or gone or not change.trusted or change.damaged:
                    self._check_claims(bundles, changed, record)
                    change.open()
                    if self._parts:
                        changed = self._parts.adopt(
                            session, loaded, changed, change, self._inventory
                        )
                    self._render(session, pool, changed, change)
                    for name in gone:
                        change.drop(name)
                    if self._shard:
                        sign(record, self._shard, self.config, session, loaded)
                    elif change.ruled or change.damaged or record.meta("rules") != self._options:
                        self._side_files(change)
            self._check_limits(record)
            change.report.warnings = self._judged(warnings)
        except (BuilderError, OSError):
            self._check_unchanged(
                sources, read
            )  # a file may have been in the middle of being saved
            raise
        self._check_unchanged(sources, read)
        record.set_meta("inputs", sources.key)
        asked = {answer for item in loaded.values() for answer in item.facts.answers}
        on_disk = sorted(answer for answer in asked.union(texts.answers) if answer.on_disk)
        record.set_meta("asked", json.dumps(on_disk))
        record.set_meta("warnings", json.dumps([*map(astuple, warnings)]))
        change.publish()

    def _pool(self, session: Session, many: int) -> Pool:
        """Return who makes so many things: the engine, or for a few of them one process here."""
        return self._engine(session, self._jobs) if many > FEW else Workers(session, 1)

    def _check_unchanged(self, sources: Sources, names: Iterable[str]) -> None:
        there = self._inventory.folders
        for path in sources.changed(name for name in names if name in there):
            raise _ChangedError(path)

    def _session(self, sources: Sources) -> Session:
        config, theme = self.config, sources.theme
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
        )
        self._cache.close()  # before it is shared with other processes
        return session

    def _templates(self, theme: Theme) -> Templates:
        """Return the compiled theme, as long as it is the same."""
        if self._compiled is None or self._compiled[0] != theme.key:
            address, config = self.config.address, self.config
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
        found = [*problems, *too_much(self.config.pages.capabilities, CONFIG, stored, 0)]
        if any(not problem.warning for problem in found):
            raise ContentError(self._strictly([*found, *warnings]))

    def rows(self) -> tuple[Row, ...]:
        """Return what the lists show of each collection."""
        loaded = self._inventory.loaded()
        return tuple(loaded[name].facts.row for name in sorted(loaded))

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
        time = site_time(rows, documents, self.config.site.timezone)
        namespaces = plan.namespaces_of(rows, texts.namespaces)
        session.state = SiteState(time, rows, namespaces, documents, content.data)
        layouts = session.templates.names()
        session.learn(site_of(session.templates, layouts, session.pages, session.state))
        pool.tell("learn", {name: session.site[name] for name in COLLECTION_LAYOUTS})
        return bundles_of(loaded, session, content, texts.signatures, options=self._options)

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
        with self._pool(session, len(rest)) as anew:
            problems += self._render_in(anew, rest, change)
        if problems:
            raise ContentError(problems)

    def _render_in(self, pool: Pool, bundles: list[Bundle], change: Transaction) -> list[Problem]:
        by_name = {item.name: item for item in bundles}
        tasks = [change.task(item) for item in bundles]
        problems: list[Problem] = []
        results: Iterator[MadeItem] = pool.run("make", tasks, key=_task_key, died=_make_died)
        for count, made in enumerate(results, 1):
            self._progress("writing", count, len(tasks))
            if made.written is None:
                problems.extend(made.problems)
                continue
            item = by_name[made.written.name]
            change.done(made.written, self._inventory.booking(item.name, item.fingerprint))
        return problems

    def _side_files(self, change: Transaction) -> None:
        """Hand over what the target needs beside the content."""
        config = self.config
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
        made = write_bundle(task, inside, change.destination, lambda output: iter((output,)))
        change.done(made, Known(""))
        change.beside(outside)
        change.record.set_meta("rules", self._options)

    def _check_limits(self, record: Record) -> None:
        """Refuse a site that its host would not take whole, now that every size is known."""
        capable = self.config.pages.capabilities
        if not (capable.max_file or capable.max_site or capable.max_files):
            return
        without = "" if self.config.pages.own_host else "v2/"
        files = record.larger_than(capable.max_file, without=without) if capable.max_file else []
        problems = [
            *too_large(capable, ((f"/{path}", size) for path, size in files)),
            *too_much(capable, CONFIG, *record.totals(without=without)),
        ]
        if problems:
            raise ContentError(problems)

    def _warnings(self, loaded: Iterable[Loaded], problems: Iterable[Problem]) -> list[Problem]:
        """Return everything that stops nothing, also of what did not change."""
        folders = self._inventory.folders.values()
        found = {warning for item in loaded for warning in item.facts.warnings}
        found |= {item for item in problems if item.warning}
        names = [folder.name for folder in folders if folder.is_collection]
        found |= set(unmatched(self.config.apps, names))
        return sorted({*self.config.warnings, *found})

    def _judged(self, warnings: list[Problem]) -> list[Problem]:
        """Return warnings; raises ContentError with them where they count as problems."""
        if self._strict and warnings:
            raise ContentError(self._strictly(warnings))
        return warnings

    def _strictly(self, problems: list[Problem]) -> list[Problem]:
        return [replace(item, warning=item.warning and not self._strict) for item in problems]


def _silent(label: str, done: int, total: int) -> None:
    """Show no progress."""


def _task_key(task: Task) -> Item:
    return ("collection", task.bundle.name.removeprefix(COLLECTION))


def _make_died(task: Task, death: Death) -> MadeItem:
    if death.path:
        raise ContentError([death.problem()])  # every page of its layout would take as long
    name = task.bundle.name
    raise death.error(f"{name}: the process that made its pages")
