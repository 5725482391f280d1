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
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.build.how import How
from builder.build.inventory import Inventory
from builder.build.sources import ChangedError, look
from builder.config import Config
from builder.errors import ContentError, LockedError, Problem
from builder.fingerprint import code_key, fingerprint
from builder.registry.model import Row
from builder.storage.cache import DamagedError, guarded
from builder.storage.lock import lock
from builder.text.addresses import Answer
from builder.write.destination import Destination, Nowhere
from builder.write.folder import Folder
from builder.write.lookup import BuiltSite, PreviewSite
from builder.write.objects import Objects, Part
from builder.write.record import SCHEMA, Record
from builder.write.workers import Workers
from builder.write.writer import Report, Transaction

if TYPE_CHECKING:
    from builder.build.making import Maker

ATTEMPTS = 3  # at reading sources that change while they are read
_USUAL = How()


@dataclass(frozen=True, slots=True)
class Checked:
    """What a build would say of content that it would take."""

    warnings: tuple[Problem, ...]
    collections: int
    tags: int
    hidden: int = 0  # of the collections, which no list shows


def check(config: Config, how: How) -> Checked:
    """Build the site to nowhere: believe no cache, hash every blob, make every page.

    Raises whatever `Pipeline.build` would raise from an empty folder. Writes
    nothing to the registry's folder; machines of a cluster share its caches'.
    """
    with tempfile.TemporaryDirectory(prefix="builder-check-") as folder:
        made = Pipeline(config, how, cache=Path(folder), destination=Nowhere())
        report = made.build()
        rows = made.rows()
        tags, hidden = sum(len(row.tags) for row in rows), sum(row.hidden for row in rows)
        return Checked(tuple(report.warnings), len(rows), tags, hidden)


def preview(config: Config, *, jobs: int = 0) -> Pipeline:
    """Return what builds for `serve`: into a store whose map changes in one moment."""
    return Pipeline(config, How(jobs, resident=True), destination=Objects(config.destination))


class Pipeline:
    """Builds one site into one destination, as often as asked.

    `cache` is the folder of caches and records, `.builder-cache` by default, as
    the destination is a folder.
    """

    def __init__(
        self,
        config: Config,
        how: How = _USUAL,
        *,
        cache: Path | None = None,
        destination: Destination | None = None,
    ) -> None:
        self.config = config
        self._how = how
        place: type[Folder | Part] = Part if how.shard else Folder
        self._destination = destination or place(config.destination)
        self._folder = cache or config.cache
        self._maker: Maker | None = None
        self._sound = False  # whether the last build had no problem anywhere
        self._options = fingerprint(code_key(), config)
        names = how.shard.names if how.shard else None
        self._inventory = Inventory(config.registry, self._options, names)
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
                except ChangedError as error:
                    changed, touched = str(error), None
                except DamagedError:  # the loss of a record costs time alone
                    changed, touched = str(self.record_path), None
        message = "changes while it is read"
        raise ContentError.at(changed, message, "build again when nothing writes to it")

    @contextmanager
    def built(self) -> Iterator[BuiltSite]:
        """Hold the last build still while it is read; raises ContentError when there is none."""
        destination = self.config.destination
        with self._locked(), guarded(self.record_path):
            with closing(Record(self.record_path)) as record:
                self._destination.claim()
                is_here = self._destination.is_at(record.meta("identity"))
            if not is_here:
                message = "does not hold a whole site that was built from here for this target"
                raise ContentError.at(str(destination), message, "run 'builder build' first")
            with closing(BuiltSite(destination, self.record_path)) as site:
                yield site

    def has_site(self) -> bool:
        """Tell whether there is a last build, whole, and nobody is at work on another."""
        try:
            with self.built():
                return True
        except (ContentError, LockedError, DamagedError):
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
            # Who stays reads all that an edit will need before there is one.
            same = same and not (self._how.resident and self._maker is None)
            with change:  # which also clears away what a killed run had begun
                if same and change.trusted and not change.damaged and not sources.problems:
                    kept = [Problem(*item) for item in json.loads(record.meta("warnings"))]
                    change.report.warnings = self._how.judged(kept)
                else:
                    self._making().make(sources, change)
        if self._how.shard:
            from builder.build.shards import export  # noqa: PLC0415 - few builds make a part

            export(self.record_path, self.config.destination)
        self._sound = True
        return change.report

    def _making(self) -> Maker:
        """Return what makes pages, which a build after no change can do without."""
        if self._maker is None:
            from builder.build.making import Maker  # noqa: PLC0415 - half of a start's time

            whole = isinstance(self._destination, Folder) and not self._how.parts
            place = os.path.relpath(self.config.destination, self.config.source)  # on any machine
            name = fingerprint(place, self.config.target.capabilities.name, self.config.address)
            kept = self._folder / "kept" / f"{name}.sqlite"
            self._maker = Maker(
                self.config, self._how, self._inventory,
                destination=self._destination, folder=self._folder, options=self._options,
                kept=kept if whole and self._how.engine is Workers else None,
            )  # fmt: skip
        return self._maker

    def rows(self) -> tuple[Row, ...]:
        """Return what the lists show of each collection."""
        loaded = self._inventory.loaded()
        return tuple(loaded[name].facts.row for name in sorted(loaded))
