"""The whole build, in order: scan, load, plan, write.

A `Pipeline` keeps what it read, so that `serve` can build again after an
edit and look only at what was touched. One call of `build` either finds
problems, and then writes nothing, or leaves the destination whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from builder import session as work
from builder.config import Config
from builder.errors import ContentError, LocalError, Problem
from builder.output import Bundle, Claim, Data, Output, OutputTree, fingerprint
from builder.registry.endpoints import REGISTRY_CLAIMS, EndpointOptions
from builder.registry.load import load_namespace
from builder.registry.model import Namespace, Row
from builder.registry.scan import Folder as ScannedFolder
from builder.registry.scan import scan
from builder.session import Facts, Item, LoadedItem, Session, row_key
from builder.site import plan
from builder.site.data import load_data
from builder.site.dates import parse_date
from builder.site.discover import SourceFile, discover
from builder.site.model import SiteState
from builder.site.parse import Document, parse
from builder.site.templates import Templates
from builder.storage.cache import Cache
from builder.storage.lock import lock
from builder.theme import Theme, find_theme
from builder.write.folder import Folder
from builder.write.record import Known, Record
from builder.write.workers import Workers
from builder.write.writer import Report, Task, Transaction, Written, write_bundle

Progress = Callable[[str, int, int], None]

FEW = 50  # below this many changes a second process costs more than it does
RENDER_SECONDS = 5  # of processor time for one text
_RACY = 20_000_000  # nanoseconds: two writes this close can leave one time
_LAYOUTS = ("collection", "tag", "namespace", "page")


def build(config: Config, *, jobs: int = 0, progress: Progress | None = None) -> Report:
    """Build the site once; see `Pipeline.build`."""
    return Pipeline(config, jobs=jobs, progress=progress).build()


class _Content(NamedTuple):
    """What the site holds beside the collections."""

    documents: dict[str, Document]
    static: dict[str, str]
    files: tuple[SourceFile, ...]


class Pipeline:
    """Builds one site into one destination, as often as asked."""

    def __init__(self, config: Config, *, jobs: int = 0, progress: Progress | None = None) -> None:
        self._config = config
        self._jobs = jobs or min(os.cpu_count() or 1, 8)
        self._progress = progress or _silent
        self._cache = Cache(config.cache / "cache.sqlite")
        self._folders: dict[str, ScannedFolder] = {}
        self._facts: dict[str, Facts] = {}
        self._row_keys: dict[str, str] = {}
        self._checked: dict[str, tuple[Claim, ...]] = {}
        self._compiled: tuple[str, Templates] | None = None
        self._code = code_key()
        options = fingerprint(self._code, config.registry, config.site, config.pages)
        self._options = options
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
        return fingerprint(config.destination, config.target.capabilities.name, config.address)

    def build(self, touched: frozenset[str] | None = None) -> Report:
        """Build, looking only at `touched` source paths when they are given.

        Raises ContentError with every problem of the run, before anything is
        written; LockedError when another build is at work here.
        """
        with lock(self._config.cache / f"build-{self._record_name()}.lock", "this destination"):
            return self._build(touched)

    def _build(self, touched: frozenset[str] | None) -> Report:
        config = self._config
        problems = self._scan(touched)
        theme = find_theme(config.source)
        content = self._content(problems)
        folder = Folder(config.destination)
        record = Record(self._record_path)
        transaction = Transaction(folder, record)
        transaction.begin()
        known = record.bundles()
        if record.meta("code") != self._options:
            transaction.trusted = transaction.trusted and not known
        data = load_data(config.site, content.files)
        inputs = self._inputs(theme, content, data)
        if transaction.trusted and not problems and record.meta("inputs") == inputs:
            report = transaction.report
            report.warnings = [Problem(*item) for item in json.loads(record.meta("warnings"))]
            record.close()
            return report
        dirty = self._changed(known, record)
        reads = self._reads(theme)
        session = Session(
            config.registry,
            config.pages,
            EndpointOptions(config.address.url, config.address.baseurl, config.pages.capabilities),
            config.target,
            folder,
            self._cache,
            self._templates(theme),
            documents=content.documents,
            assets=theme.assets,
            redirects=config.redirects,
        )
        self._cache.close()
        with Workers(session, self._jobs if len(dirty) > FEW else 1) as workers:
            problems += self._load(workers, dirty, content, known)
            errors = [problem for problem in problems if not problem.warning]
            if errors:
                record.close()
                raise ContentError(problems)
            state = self._state(content, data)
            session.state = state
            bundles = self._bundles(state, content, theme, reads)
            changed = [item for item in bundles if self._is_dirty(item, known)]
            gone = known.keys() - {item.name for item in bundles} - {"side"}
            report = transaction.report
            if changed or gone or not transaction.trusted:
                self._check_claims(bundles, changed)
                transaction.start()
                first = [item for item in changed if item.rank == 0]
                reuse = workers if not reads & {"collections", "namespaces", "pages"} else None
                self._write(session, reuse, first, transaction)
                rest = [item for item in changed if item.rank > 0]
                self._write(session, None, rest, transaction)
                for name in gone:
                    transaction.drop(name)
                self._side_files(record, transaction, folder)
                record.set_meta("code", self._options)
                record.set_meta("store", self._store_key())
                transaction.end()
        warnings = [item for facts in self._all_facts() for item in facts.warnings]
        report.warnings = sorted(
            {*config.warnings, *warnings, *(item for item in problems if item.warning)}
        )
        record.set_meta("inputs", inputs)
        record.set_meta("warnings", json.dumps([astuple(item) for item in report.warnings]))
        record.commit()
        record.close()
        return report

    def _inputs(self, theme: Theme, content: _Content, data: Mapping[str, object]) -> str:
        """Return an identity of everything that is read: equal means that nothing changed."""
        total = hashlib.blake2b(digest_size=16)
        for name, folder in sorted(self._folders.items()):
            total.update(f"{name} {folder.signature}\n".encode())
        stamps = [(path, _stamp(source)) for path, source in sorted(content.static.items())]
        epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
        return fingerprint(
            total.hexdigest(), self._options, theme.key, self._store_key(), stamps,
            sorted(content.documents.items()), data, epoch,
        )  # fmt: skip

    def _templates(self, theme: Theme) -> Templates:
        """Return the compiled theme, as long as it is the same."""
        if self._compiled is None or self._compiled[0] != theme.key:
            address = self._config.address
            zone = self._config.site.timezone
            made = theme.templates(baseurl=address.baseurl, url=address.url, timezone=zone)
            self._compiled = (theme.key, made)
        return self._compiled[1]

    def _check_claims(self, bundles: list[Bundle], changed: list[Bundle]) -> None:
        """Refuse two owners of one path, unless all claims are as they were."""
        if any(self._checked.get(item.name) != item.claims for item in changed):
            OutputTree(tuple(bundles))
            self._checked = {item.name: item.claims for item in bundles}

    def _scan(self, touched: frozenset[str] | None) -> list[Problem]:
        """Walk the collections; of those that were touched alone when that is enough.

        A file whose time is this very moment could change again and keep its
        time: such a walk is repeated a moment later.
        """
        started = time.time_ns()
        names = self._touched_names(touched)
        problems = self._walk(names)
        seen = self._folders if names is None else names & self._folders.keys()
        if any(0 <= started - self._folders[name].newest + _RACY <= 2 * _RACY for name in seen):
            time.sleep(_RACY / 1e9)
            problems = self._walk(names)
        return problems

    def _walk(self, names: set[str] | None) -> list[Problem]:
        config = self._config
        if names is None:
            found = scan(config.source, config.registry.collections)
            self._folders = found.folders
            self._facts = {name: self._facts[name] for name in found.folders if name in self._facts}
            return found.problems
        problems = []
        for name in names:
            found = scan(config.source, config.registry.collections, name)
            self._folders.pop(name, None)
            self._folders.update(found.folders)
            problems += found.problems
        return problems

    def _touched_names(self, touched: frozenset[str] | None) -> set[str] | None:
        """Return the collections to look at again; None: all, because folders came or went."""
        if touched is None or not self._folders:
            return None
        base = self._config.registry.collections + "/"
        names = set()
        for path in touched:
            if not path.startswith(base):
                continue
            parts = path.removeprefix(base).split("/")
            above = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
            name = next((item for item in above if item in self._folders), None)
            if name is None or not self._folders[name].is_collection:
                return None
            if not (self._config.source / base / name).is_dir():
                return None
            names.add(name)
        return names

    def _content(self, problems: list[Problem]) -> _Content:
        """Read the site's own documents and static files."""
        files = discover(self._config.site)
        documents: dict[str, Document] = {}
        static: dict[str, str] = {}
        for file in files:
            if file.kind in ("page", "document"):
                try:
                    document = parse(file, self._config.site)
                except ContentError as error:
                    problems.extend(error.problems)
                    continue
                if document is not None and document.output:
                    documents[file.path] = document
            elif file.kind == "static":
                static[file.published_path] = file.path
        return _Content(documents, static, files)

    def _reads(self, theme: Theme) -> frozenset[str]:
        """Return which attributes of `site` the pages of collections read."""
        key = f"reads {theme.key} {self._code}"
        if (kept := self._cache.get(key)) is not None:
            return frozenset(kept.decode().split())
        templates = self._templates(theme)
        names: set[str] = set()
        for layout in _LAYOUTS:
            read = templates.site_attributes(layout)
            names |= {"collections", "time", "data"} if read is None else read
        self._cache.save([(key, " ".join(sorted(names)).encode())])
        return frozenset(names)

    def _load_key(self, name: str) -> str:
        return f"{self._folders[name].signature} {self._options}"

    def _changed(self, known: Mapping[str, Known], record: Record) -> list[str]:
        """Return the collections that must be loaded: new, changed, or with blobs elsewhere."""
        moved = record.meta("store") != self._store_key()
        if moved and known:
            self._read_facts(record)
        result = []
        for name, folder in self._folders.items():
            if not folder.is_collection:
                continue
            same = name in known and known[name].load_key == self._load_key(name)
            if not same or (moved and self._depends_on_store(name)):
                result.append(name)
        if result or not self._facts:
            self._read_facts(record)
        return result

    def _depends_on_store(self, name: str) -> bool:
        facts = self._facts.get(name)
        return facts is None or bool(facts.outside) or not facts.complete

    def _read_facts(self, record: Record) -> None:
        """Take the facts of unchanged collections from the last build's record."""
        if self._facts:
            return
        for name, text in record.facts():
            if name in self._folders:
                self._facts[name] = Facts.from_text(text)

    def _store_key(self) -> str:
        folder = self._config.source / self._config.registry.store / "blobs"
        total = hashlib.blake2b(digest_size=12)
        for algorithm in sorted(_names(folder)):
            for entry in sorted(_names(folder / algorithm)):
                found = os.lstat(folder / algorithm / entry)
                total.update(f"{entry} {found.st_size} {found.st_mtime_ns}\n".encode())
        return total.hexdigest()

    def _load(
        self,
        workers: Workers,
        dirty: Iterable[str],
        content: _Content,
        known: Mapping[str, Known],
    ) -> list[Problem]:
        """Load in worker processes; a text that takes too long is its own problem."""
        items: list[Item] = [("collection", name) for name in sorted(dirty)]
        for name, folder in sorted(self._folders.items()):
            seen = known.get(f"namespace {name}")
            if not folder.is_collection and (seen is None or seen.load_key != folder.signature):
                items.append(("namespace", name))
        items += [("document", name) for name in sorted(content.documents)]
        problems: list[Problem] = []
        learnt = []
        results: Iterator[LoadedItem] = workers.run(
            "load", items, key=lambda item: item, died=self._died, cpu_seconds=RENDER_SECONDS
        )
        for count, result in enumerate(results, 1):
            self._progress("reading", count, len(items))
            problems.extend(result.problems)
            learnt += result.learnt
            if result.facts is not None:
                self._facts[result.item[1]] = result.facts
                self._row_keys.pop(result.item[1], None)
        if learnt:
            self._cache.save(learnt)
            self._cache.close()
        return problems

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

    def _all_facts(self) -> Iterator[Facts]:
        for name, folder in self._folders.items():
            if folder.is_collection and name in self._facts:
                yield self._facts[name]

    def _row_key(self, name: str) -> str:
        if name not in self._row_keys:
            self._row_keys[name] = row_key(self._facts[name])
        return self._row_keys[name]

    def _state(self, content: _Content, data: Mapping[str, Any]) -> SiteState:
        """Put together what the lists show."""
        rows = tuple(sorted((facts.row for facts in self._all_facts()), key=lambda row: row.name))
        known = []
        for name, folder in sorted(self._folders.items()):
            if not folder.is_collection:
                known.append(load_namespace(self._config.registry, name)[0])
        documents = tuple(content.documents[name] for name in sorted(content.documents))
        return SiteState(
            self._time(rows, documents), rows, plan.namespaces_of(rows, known), documents, data
        )

    def _time(self, rows: Iterable[Row], documents: Iterable[Document]) -> datetime | None:
        """Return `site.time`: SOURCE_DATE_EPOCH, else the newest date in the content."""
        if epoch := os.environ.get("SOURCE_DATE_EPOCH", ""):
            try:
                return datetime.fromtimestamp(int(epoch), UTC)
            except (ValueError, OverflowError):
                message = f"SOURCE_DATE_EPOCH is {epoch!r}, not a number of seconds"
                raise ContentError.at("SOURCE_DATE_EPOCH", message) from None
        zone = self._config.site.timezone
        dates = [parse_date(row.updated, zone) for row in rows if row.updated]
        dates += [document.date for document in documents]
        return max((date for date in dates if date is not None), default=None)

    def _bundles(
        self, state: SiteState, content: _Content, theme: Theme, reads: frozenset[str]
    ) -> list[Bundle]:
        """Return every bundle of the site with its fingerprint, collections first."""
        below = _below(state.rows)
        everything = fingerprint([self._row_key(row.name) for row in state.rows])
        base = fingerprint(
            self._options, theme.key, repr(state.data) if "data" in reads else "",
            state.time if "time" in reads else "",
            everything if reads & {"collections", "namespaces", "pages"} else "",
        )  # fmt: skip
        bundles = []
        for name in sorted(self._folders):
            facts = self._facts.get(name)
            if self._folders[name].is_collection and facts is not None:
                children = below.get(name, [])
                keys = [self._row_key(row.name) for row in children]
                mark = fingerprint(base, self._load_key(name), facts.complete, keys)
                bundles.append(work.collection_bundle(name, mark, facts, children))
        total = fingerprint(base, everything, state.time, repr(state.data), theme.key)
        bundles += self._namespace_bundles(state, below, base)
        bundles += _site_bundles(state, content, theme, total, session_claims(state, self._config))
        return bundles

    def _namespace_bundles(
        self, state: SiteState, below: Mapping[str, list[Row]], base: str
    ) -> Iterator[Bundle]:
        children: dict[str, list[Namespace]] = {}
        for namespace in state.namespaces:
            children.setdefault(namespace.name.rpartition("/")[0], []).append(namespace)
        for namespace in state.namespaces:
            rows = below.get(namespace.name, [])
            inner = children.get(namespace.name, [])
            mark = fingerprint(base, namespace, [self._row_key(row.name) for row in rows], inner)
            claims = _namespace_claims(namespace)
            arguments = (namespace, tuple(rows), tuple(inner))
            yield work.bundle(
                f"namespace {namespace.name}", mark, "namespace_outputs", arguments, claims
            )

    def _is_dirty(self, item: Bundle, known: Mapping[str, Known]) -> bool:
        return item.name not in known or known[item.name].fingerprint != item.fingerprint

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
                transaction.done(written, *self._booking(item))
        finally:
            if workers is None:
                pool.close()

    def _booking(self, item: Bundle) -> tuple[Known, str]:
        """Return what the record keeps of a bundle."""
        name = item.name.removeprefix("namespace ")
        folder = self._folders.get(name)
        if folder is None:
            return Known(item.fingerprint, "", ""), ""
        if not folder.is_collection:
            return Known(item.fingerprint, folder.signature, ""), ""
        facts = self._facts[name]
        key = self._row_key(name)
        return Known(item.fingerprint, self._load_key(name), key), facts.to_text()

    def _side_files(self, record: Record, transaction: Transaction, folder: Folder) -> None:
        """Write what the target needs beside the content."""
        config = self._config
        entries = (entry for entry in record.under("") if entry.path != "side")
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
        item = Bundle("side", "", list, claims)
        written = write_bundle(
            transaction.task(item), inside, folder, lambda output: iter((output,))
        )
        transaction.done(written, Known("", "", ""), "")
        write_beside(config.destination, name, outside)


def _silent(label: str, done: int, total: int) -> None:
    """Show no progress."""


def write_beside(destination: Path, target: str, files: Mapping[str, bytes]) -> None:
    """Write a target's files to `<destination>.<target>/`, leaving equal ones alone."""
    folder = destination.with_name(f"{destination.name}.{target}")
    for path, data in files.items():
        file = folder / path
        if file.is_file() and file.read_bytes() == data:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.new")
        temporary.write_bytes(data)
        temporary.replace(file)


def session_claims(state: SiteState, config: Config) -> list[Claim]:
    """Return what the lists and the old names of collections own."""
    from builder.site.lists import list_claims  # noqa: PLC0415 - heavy, and only a build needs it

    moved = [Claim(f"{old.strip('/')}/index.html", "_config.yml") for old in config.redirects]
    return [*list_claims(state), *REGISTRY_CLAIMS, *moved]


def _namespace_claims(namespace: Namespace) -> tuple[Claim, ...]:
    name = namespace.name
    files = ("index.html", "index.json", "feed.xml", "page/")
    return tuple(Claim(f"{name}/{file}", namespace.origin) for file in files)


def _site_bundles(
    state: SiteState, content: _Content, theme: Theme, total: str, claims: list[Claim]
) -> Iterator[Bundle]:
    documents = fingerprint([(item.source, item.keys, item.body) for item in state.documents])
    yield work.bundle("lists", fingerprint(total, documents), "lists_outputs", (), claims)
    assets = [Claim(path, f"assets/{name}") for name, (_, path) in theme.assets.items()]
    yield work.bundle("assets", theme.key, "asset_outputs", (), assets)
    for document in state.documents:
        if document.output == "index.html":
            continue
        mark = fingerprint(total, document)
        mine = [Claim(document.output, document.source)]
        mine += [Claim(_page_path(old), document.source) for old in document.redirect_from]
        yield work.bundle(
            f"page {document.source}", mark, "document_outputs", (document.source,), mine
        )
    if content.static:
        stamps = [(path, _stamp(source)) for path, source in sorted(content.static.items())]
        mine = [Claim(path, source) for path, source in content.static.items()]
        mark = fingerprint(stamps)
        yield work.bundle("static", mark, "static_outputs", (dict(content.static),), mine)


def _page_path(url: str) -> str:
    path = url.strip("/")
    return path if path.endswith((".html", ".htm")) else f"{path}/index.html"


def _stamp(source: str) -> tuple[int, int]:
    try:
        found = os.stat(source)
    except FileNotFoundError:
        return (0, 0)
    return found.st_size, found.st_mtime_ns


def _below(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows below every folder, at any depth."""
    result: dict[str, list[Row]] = {}
    for row in rows:
        parts = row.name.split("/")
        for count in range(1, len(parts)):
            result.setdefault("/".join(parts[:count]), []).append(row)
    return result


def _task_key(task: Task) -> Item:
    return ("collection", task.bundle.name)


def _write_died(task: Task, why: str) -> Written:
    message = f"{task.bundle.name}: the process that made its pages stopped ({why})"
    raise LocalError(message, "is there enough memory?")


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def code_key() -> str:
    """Return an identity of this package's code, for caches that outlive a version."""
    total = hashlib.blake2b(digest_size=12)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()
