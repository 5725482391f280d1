"""The whole build, in order: scan, load, plan, write.

A `Pipeline` keeps what it read, so that `serve` can build again after an
edit and look only at what was touched. One call of `build` either finds
problems, and then writes nothing, or leaves the destination whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import astuple
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from builder.apps.publish import unmatched
from builder.apps.store import AppStore
from builder.build.bundles import COLLECTION, bundles_of
from builder.build.inventory import Inventory
from builder.build.worker import Item, LoadedItem, Session
from builder.config import CONFIG, Config
from builder.documents.content import Content, epoch, read_content, site_time
from builder.errors import ContentError, LocalError, Problem, SiteError
from builder.fingerprint import fingerprint
from builder.output import Bundle, Capabilities, Claim, Data, Output, OutputTree
from builder.pages import plan
from builder.pages.lists import LISTS
from builder.pages.model import SiteState
from builder.pages.page import site_of
from builder.pages.render import COLLECTION_LAYOUTS
from builder.registry.endpoints import EndpointOptions
from builder.registry.model import Namespace, Row
from builder.registry.scan import is_picture
from builder.storage.cache import Cache
from builder.storage.lock import lock
from builder.targets.limits import too_large, too_much
from builder.text.addresses import Addresses, Answer
from builder.theme.find import Theme, find_theme
from builder.theme.templates import Templates
from builder.write.folder import Folder, write_beside
from builder.write.lookup import BuiltSite
from builder.write.record import SCHEMA, SIDE, Known, Record
from builder.write.workers import Workers
from builder.write.writer import Report, Task, Transaction, Written, write_bundle

Progress = Callable[[str, int, int], None]

FEW = 50  # below this many changes a second process costs more than it does
RENDER_SECONDS = 10  # of processor time for one text


def build(config: Config, *, jobs: int = 0, progress: Progress | None = None) -> Report:
    """Build the site once; see `Pipeline.build`."""
    return Pipeline(config, jobs=jobs, progress=progress).build()


class Pipeline:
    """Builds one site into one destination, as often as asked."""

    def __init__(self, config: Config, *, jobs: int = 0, progress: Progress | None = None) -> None:
        self._config = config
        self._jobs = jobs or min(os.cpu_count() or 1, 8)
        self._progress = progress or _silent
        self._cache = Cache(config.cache / "cache.sqlite")
        self._checked: dict[str, tuple[Claim, ...]] = {}
        self._compiled: tuple[str, Templates] | None = None
        self._sound = False  # whether the last build had no problem anywhere
        self._options = fingerprint(code_key(), config)
        self._inventory = Inventory(config.registry, self._options)
        self._record_path = config.cache / "records" / f"{self._record_name()}.sqlite"

    @property
    def config(self) -> Config:
        """The configuration that this pipeline builds with."""
        return self._config

    @property
    def record_path(self) -> Path:
        """The file of the last build's record."""
        return self._record_path

    def _record_name(self) -> str:
        config = self._config
        name = config.target.capabilities.name
        return fingerprint(SCHEMA, config.destination, name, config.address)

    def build(self, touched: frozenset[str] | None = None) -> Report:
        """Build, looking only at `touched` source paths when they are given.

        Raises ContentError with every problem of the run, before anything is
        written; LockedError when another build is at work here.
        """
        with self._locked():
            return self._build(touched)

    @contextmanager
    def built(self) -> Iterator[BuiltSite]:
        """Hold the last build still while it is read; raises ContentError when there is none."""
        destination = self._config.destination
        with self._locked(), closing(Record(self._record_path)) as record:
            held = Folder(destination).claim()
            if not held or held != record.meta("identity"):
                message = "does not hold a whole site that was built from here for this target"
                raise ContentError.at(str(destination), message, "run 'builder build' first")
            with closing(BuiltSite(destination, self._record_path)) as site:
                yield site

    def _locked(self) -> AbstractContextManager[None]:
        name = f"build-{self._record_name()}.lock"
        return lock(self._config.cache / name, "this destination")

    def _build(self, touched: frozenset[str] | None) -> Report:
        problems = self._inventory.scan(touched if self._sound else None)
        self._sound = False
        theme = find_theme(self._config.source)
        content = read_content(self._config.site, problems)
        with closing(Record(self._record_path)) as record:
            transaction = Transaction(Folder(self._config.destination), record)
            transaction.begin()
            inputs = self._inputs(theme, content)
            addresses = self._addresses(theme, content)
            asked = json.loads(record.meta("asked") or "[]")
            same = record.meta("inputs") == inputs and addresses.hold(Answer(*a) for a in asked)
            if transaction.trusted and not problems and same:
                report = transaction.report
                report.warnings = [Problem(*item) for item in json.loads(record.meta("warnings"))]
            else:
                report = self._make(theme, content, addresses, transaction, problems)
                record.set_meta("inputs", inputs)
                record.set_meta("warnings", json.dumps([*map(astuple, report.warnings)]))
                record.commit()
        self._sound = True
        return report

    def _make(
        self,
        theme: Theme,
        content: Content,
        addresses: Addresses,
        transaction: Transaction,
        problems: list[Problem],
    ) -> Report:
        """Load what changed, plan the whole site, write what is new."""
        record = transaction.record
        known = record.bundles()
        dirty = self._inventory.changed(record, addresses)
        session = self._session(theme, content, transaction.folder, addresses)
        self._cache.close()
        with Workers(session, self._jobs if len(dirty) > FEW else 1) as workers:
            found, namespaces, texts, asked = self._load(workers, dirty, content)
            loaded = self._inventory.loaded()
            problems += found
            stored = sum(item.facts.stored for item in loaded.values())
            problems += too_much(self._limits, CONFIG, stored, 0)
            warnings = {warning for item in loaded.values() for warning in item.facts.warnings}
            if any(not problem.warning for problem in problems):
                raise ContentError(sorted({*problems, *warnings}))
            rows = tuple(loaded[name].facts.row for name in sorted(loaded))
            session.state = self._state(rows, content, namespaces)
            layouts = session.templates.names()
            session.learn(site_of(session.templates, layouts, session.pages, session.state))
            workers.tell("learn", {name: session.site[name] for name in COLLECTION_LAYOUTS})
            bundles = bundles_of(loaded, session, content, texts, options=self._options)
            changed = [item for item in bundles if known.get(item.name) != item.fingerprint]
            gone = known.keys() - {item.name for item in bundles} - {SIDE}
            if changed or gone or not transaction.trusted:
                self._check_claims(bundles, changed)
                transaction.start()
                first = [item for item in changed if item.rank == 0]
                self._write(session, workers, first, transaction)
                rest = [item for item in changed if item.rank > 0]
                self._write(session, None, rest, transaction)
                for name in gone:
                    transaction.drop(name)
                self._side_files(transaction)
                transaction.end()
            self._check_limits(record)
        for item in loaded.values():
            asked += item.facts.answers
        record.set_meta("asked", json.dumps(sorted({a for a in asked if a.on_disk})))
        warnings |= {item for item in problems if item.warning}
        names = [name for name, folder in self._inventory.folders.items() if folder.is_collection]
        warnings |= set(unmatched(self._config.apps, names))
        transaction.report.warnings = sorted({*self._config.warnings, *warnings})
        return transaction.report

    @property
    def _limits(self) -> Capabilities:
        return self._config.pages.capabilities

    def _check_limits(self, record: Record) -> None:
        """Refuse a site that its host would not take whole, now that every size is known."""
        capable = self._limits
        if not (capable.max_file or capable.max_site or capable.max_files):
            return
        without = "" if self._config.pages.own_host else "v2/"
        files = record.larger_than(capable.max_file, without=without) if capable.max_file else []
        problems = [
            *too_large(capable, ((f"/{path}", size) for path, size in files)),
            *too_much(capable, CONFIG, *record.totals(without=without)),
        ]
        if problems:
            raise SiteError(problems)

    def _addresses(self, theme: Theme, content: Content) -> Addresses:
        """Return where every source file is published."""
        config, folders = self._config, self._inventory.folders.values()
        files = {document.source: unquote(document.url) for document in content.documents.values()}
        files |= {file.source: f"/{path}" for path, file in content.static.items()}
        files |= {f"assets/{name}": f"/{asset.published}" for name, asset in theme.assets.items()}
        old = {f"/{name.strip('/')}/*" for name in config.redirects}
        old |= {path for document in content.documents.values() for path in document.redirect_from}
        names = frozenset(folder.name for folder in folders if folder.is_collection)
        patterns = [app.name for app in config.apps]
        return Addresses(
            config.source,
            config.registry.collections,
            files,
            names,
            frozenset(folder.name for folder in folders if not folder.is_collection),
            frozenset(
                f"{folder.name}/{file}"
                for folder in folders for file in folder.files if is_picture(file)
            ),
            frozenset(n for n in names if any(fnmatchcase(n, pattern) for pattern in patterns)),
            frozenset(old | LISTS),
            config.pages.repository,
            config.pages.branch,
        )  # fmt: skip

    def _session(
        self, theme: Theme, content: Content, folder: Folder, addresses: Addresses
    ) -> Session:
        config = self._config
        address, capable = config.address, config.pages.capabilities
        return Session(
            config.registry,
            config.pages,
            EndpointOptions(address.url, address.baseurl, capable),
            config.target,
            folder,
            self._cache,
            self._templates(theme),
            documents=content.documents,
            assets=theme.assets,
            redirects=config.redirects,
            folders=self._inventory.folders,
            addresses=addresses,
            apps=config.apps,
            app_store=AppStore(config.cache / "apps"),
        )

    def _inputs(self, theme: Theme, content: Content) -> str:
        """Return an identity of everything that is read: equal means that nothing changed."""
        total = hashlib.blake2b(digest_size=16)
        for name, folder in sorted(self._inventory.folders.items()):
            total.update(f"{name} {folder.signature}\n".encode())
        parts = (self._options, theme.key, content.key, self._inventory.store_key, epoch())
        return fingerprint(total.hexdigest(), *parts)

    def _templates(self, theme: Theme) -> Templates:
        """Return the compiled theme, as long as it is the same."""
        if self._compiled is None or self._compiled[0] != theme.key:
            address = self._config.address
            zone = self._config.site.timezone
            engine = self._config.pages.markdown
            made = theme.templates(
                baseurl=address.baseurl, url=address.url, timezone=zone, markdown=engine
            )
            self._compiled = (theme.key, made)
        return self._compiled[1]

    def _check_claims(self, bundles: list[Bundle], changed: list[Bundle]) -> None:
        """Refuse two owners of one path, unless all claims are as they were."""
        if any(self._checked.get(item.name) != item.claims for item in changed):
            OutputTree(tuple(bundles))
            self._checked = {item.name: item.claims for item in bundles}

    def _load(
        self,
        workers: Workers,
        dirty: Iterable[str],
        content: Content,
    ) -> tuple[list[Problem], list[Namespace], dict[Item, str], list[Answer]]:
        """Load in worker processes; a text that takes too long is its own problem.

        The third value identifies what namespaces and documents are made from,
        the fourth is what their texts asked.
        """
        items: list[Item] = [("collection", name) for name in sorted(dirty)]
        folders = sorted(self._inventory.folders.items())
        items += [("namespace", name) for name, folder in folders if not folder.is_collection]
        items += [("document", name) for name in sorted(content.documents)]
        problems: list[Problem] = []
        namespaces: list[Namespace] = []
        texts: dict[Item, str] = {}
        asked: list[Answer] = []
        learnt = []
        results: Iterator[LoadedItem] = workers.run(
            "load", items, key=lambda item: item, died=self._died, cpu_seconds=RENDER_SECONDS
        )
        for count, result in enumerate(results, 1):
            self._progress("reading", count, len(items))
            problems.extend(result.problems)
            learnt += result.learnt
            texts[result.item] = result.signature
            asked += result.answers
            if isinstance(result.facts, Namespace):
                namespaces.append(result.facts)
            elif result.facts is not None:
                self._inventory.learn(result.item[1], result.facts, result.signature)
        if learnt:
            self._cache.save(learnt)
            self._cache.close()
        return problems, namespaces, texts, asked

    def _died(self, item: Item, why: str) -> LoadedItem:
        kind, name = item
        path = name if kind == "document" else f"{self._config.registry.collections}/{name}"
        if kind != "document":
            path = f"{path}/README.md"
        message = f"took more than {RENDER_SECONDS} seconds of processor time to render"
        if why != "time":
            message = f"stopped the process that rendered it ({why})"
        hint = "write it more simply: less nesting, fewer brackets"
        return LoadedItem(item, None, (Problem(path, message=message, hint=hint),), [])

    def _state(self, rows: tuple[Row, ...], content: Content, known: list[Namespace]) -> SiteState:
        """Put together what the lists show."""
        documents = tuple(content.documents[name] for name in sorted(content.documents))
        time = site_time(rows, documents, self._config.site.timezone)
        namespaces = plan.namespaces_of(rows, known)
        return SiteState(time, rows, namespaces, documents, content.data)

    def _write(
        self,
        session: Session,
        workers: Workers | None,
        bundles: list[Bundle],
        transaction: Transaction,
    ) -> None:
        """Write bundles in worker processes, forked anew where the state is needed."""
        if not bundles:
            return
        by_name = {item.name: item for item in bundles}
        tasks = [transaction.task(item) for item in bundles]
        pool = workers or Workers(session, self._jobs if len(bundles) > FEW else 1)
        try:
            results: Iterator[Written] = pool.run("write", tasks, key=_task_key, died=_write_died)
            for count, written in enumerate(results, 1):
                self._progress("writing", count, len(tasks))
                item = by_name[written.name]
                known = self._inventory.booking(item.name, item.fingerprint)
                transaction.done(written, known)
        finally:
            if workers is None:
                pool.close()

    def _side_files(self, transaction: Transaction) -> None:
        """Write what the target needs beside the content."""
        config = self._config
        entries = transaction.record.content()
        inside, outside = [], {}
        for file in config.target.side_files(entries, config.address):
            if file.in_site:
                inside.append(
                    Output(file.path, "application/octet-stream", Data(file.data), "target")
                )
            else:
                outside[file.path] = file.data
        name = config.target.capabilities.name
        claims = tuple(Claim(item.path, f"the {name} target") for item in inside)
        item = Bundle(SIDE, "", list, claims)
        written = write_bundle(
            transaction.task(item), inside, transaction.folder, lambda output: iter((output,))
        )
        transaction.done(written, Known(""))
        write_beside(config.destination, name, outside)


def _silent(label: str, done: int, total: int) -> None:
    """Show no progress."""


def _task_key(task: Task) -> Item:
    return ("collection", task.bundle.name.removeprefix(COLLECTION))


def _write_died(task: Task, why: str) -> Written:
    message = f"{task.bundle.name}: the process that made its pages stopped ({why})"
    raise LocalError(message, "is there enough memory?")


@cache
def code_key() -> str:
    """Return an identity of this package's code, for caches that outlive a version."""
    total = hashlib.blake2b(digest_size=12)
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()
