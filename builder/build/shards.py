"""A site that is built in parts, each on a machine of its own, and joined from them.

Every machine has the whole content and makes a slice of the collections, into
a folder that holds their files under their digests and a record of what they
are. To join them is to build: what a part has is taken from it where it is
what would be made, which its identity says, and only the rest is made. So a
joined site is that of one build whatever the parts hold.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from builder.build.bundles import identities
from builder.build.facts import COLLECTION, Facts, Loaded
from builder.build.inventory import Inventory
from builder.build.kept import anywhere, content_mark
from builder.build.worker import Session
from builder.config import Config
from builder.errors import ContentError, Problem, UsageError
from builder.fingerprint import fingerprint, software_key
from builder.output import Bundle, Entry, File
from builder.storage.cache import Cache, DamagedError, guarded
from builder.storage.local import open_regular
from builder.theme.templates import Templates
from builder.write.destination import Destination
from builder.write.objects import Part
from builder.write.record import Known, Record
from builder.write.writer import Task, Transaction, Written

RECORD = "shard.sqlite"
_ORIGIN = "shard"  # the record's key
_AGAIN = "build all shards anew, from the same commit and with the same flags"


class Shard(NamedTuple):
    """The slice `number`, counted from 1, of `total` slices of the collections."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard of `2/3`; raises UsageError."""
        found = re.fullmatch(r"([1-9]\d{0,4})/([1-9]\d{0,4})", text)
        shard = cls(int(found[1]), int(found[2])) if found else cls(1, 0)
        if shard.number > shard.total:
            hint = "write I/N: --shard 2/3 is the second of three"
            raise UsageError(f"{text}: is no shard", hint)
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def names(self, names: Iterable[str]) -> frozenset[str]:
        """Return the names of this slice: neighbours, so that most of what is nested stays so."""
        ordered = sorted(names)
        first, end = (len(ordered) * n // self.total for n in (self.number - 1, self.number))
        return frozenset(ordered[first:end])


class Origin(NamedTuple):
    """What must be equal where parts were made and where they are joined."""

    software: str
    configuration: str
    theme: str

    def fault(self, here: Origin) -> str:
        """Return what differs here, in words; empty where nothing does."""
        if self.software != here.software:
            return "was made by another version of the builder or of a library"
        if self.configuration != here.configuration:
            return "was made with another configuration, or with other flags"
        return "" if self.theme == here.theme else "was made with another theme"


def origin_of(config: Config, templates: Templates) -> Origin:
    """Return what parts made here have in common; paths of this machine are no part of it."""
    theme = [(name, templates.fingerprint(name)) for name in sorted(templates.names())]
    return Origin(software_key(), fingerprint(anywhere(config)), fingerprint(theme))


def sign(
    record: Record, shard: Shard, config: Config, session: Session, loaded: Mapping[str, Loaded]
) -> None:
    """Write into a part's record what it is, in words that hold on other machines."""
    folder = config.source / config.registry.collections
    contents = {name: content_mark(folder / name, session.cache) for name in loaded}
    marks = identities(loaded, session, contents)
    for name, item in loaded.items():
        bundle = f"{COLLECTION}{name}"
        record.save_bundle(bundle, Known(marks[bundle], contents[name], item.facts.to_text()))
    record.set_meta(_ORIGIN, json.dumps([*shard, *origin_of(config, session.templates)]))


def export(record: Path, folder: Path) -> None:
    """Put a part's record beside its files, which makes it whole."""
    shutil.copyfile(record, folder / f"{RECORD}.new")
    os.replace(folder / f"{RECORD}.new", folder / RECORD)


class _Opened(NamedTuple):
    """A part, its shard and its origin."""

    folder: Path
    record: Record
    shard: Shard
    origin: Origin

    @property
    def name(self) -> str:
        """What problems call it."""
        return f"shard {self.shard} in {self.folder}"


class Parts:
    """All parts of one site. Raises ContentError where one is missing, doubled or not whole."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._parts: dict[int, _Opened] = {}
        self._of: dict[str, tuple[_Opened, str]] = {}  # of collections, with their identities
        self._contents: dict[str, str] = {}  # what identifies what these were made from
        problems = []
        for part in map(_opened, (found for folder in folders for found in _parts_in(folder))):
            other = self._parts.setdefault(part.shard.number, part)
            if other is not part:
                message = f"is shard {part.shard}, as {other.folder} is"
                problems.append(Problem(str(part.folder), message=message, hint="give it once"))
        first = next(iter(self._parts.values()))
        for part in self._parts.values():
            if part.shard.total != first.shard.total:
                message = f"is shard {part.shard}, and {first.folder} is {first.shard}"
                hint = "give all shards of one number of them"
                problems.append(Problem(str(part.folder), 0, message, hint))
        missing = sorted(set(range(1, first.shard.total + 1)) - self._parts.keys())
        if missing and not problems:
            message = f"missing: {', '.join(f'{number}/{first.shard.total}' for number in missing)}"
            problems.append(Problem("shards", message=message, hint="give the folders of all"))
        if problems:
            raise ContentError(problems)

    def teach(self, inventory: Inventory, config: Config, templates: Templates) -> None:
        """Let the inventory know what the parts know of collections.

        Raises ContentError for a part of other content, configuration or software.
        """
        here = origin_of(config, templates)
        parts = self._parts.values()
        faults = ((part, part.origin.fault(here)) for part in parts)
        problems = [Problem(str(part.folder), 0, fault, _AGAIN) for part, fault in faults if fault]
        if problems:
            raise ContentError(problems)
        folder = config.registry.collections
        for part in parts:
            with _whole(part.folder):
                told = {row[0].removeprefix(COLLECTION): row for row in part.record.facts()}
                identity = part.record.bundles()
            for name in told.keys() | part.shard.names(inventory.names()):
                bundle, content, text = told.get(name, ("", "", ""))
                if name in inventory.names() and _is_of(config.source / folder / name, content):
                    self._of[name] = part, identity[bundle]
                    self._contents[name] = content
                    signature = inventory.folders[name].signature
                    inventory.learn(name, Facts.from_text(text), signature)
                else:
                    message = f"is not what it was for {part.name}"
                    problems.append(Problem(f"{folder}/{name}", 0, message, _AGAIN))
        if problems:
            raise ContentError(problems)

    def adopt(
        self,
        session: Session,
        loaded: Mapping[str, Loaded],
        bundles: Iterable[Bundle],
        change: Transaction,
        inventory: Inventory,
    ) -> list[Bundle]:
        """Hand over what the parts have as it is to be; return what is still to make."""
        marks = identities(loaded, session, self._contents)
        rest = []
        for item in bundles:
            part, mark = self._of.get(item.name.removeprefix(COLLECTION), (None, ""))
            if part is None or mark != marks.get(item.name):
                rest.append(item)
                continue
            task = change.task(item)
            with _whole(part.folder):
                entries = part.record.outputs_of(item.name)
            written = [path for path, entry in entries.items()
                       if _taken(entry, task, part, change.destination)]  # fmt: skip
            made = Written(item.name, tuple(entries.values()), tuple(written))
            change.done(made, inventory.booking(item.name, item.fingerprint))
        return rest

    def close(self) -> None:
        """Close the parts' records."""
        for part in self._parts.values():
            part.record.close()


def _parts_in(folder: Path) -> Iterator[Path]:
    """Yield a folder that is a part, or those in it that are; raises ContentError for none."""
    found = [path.parent for path in (folder / RECORD, *sorted(folder.glob(f"*/{RECORD}")))
             if path.is_file()]  # fmt: skip
    if not found:
        hint = "'builder build --shard I/N' makes one"
        raise ContentError.at(str(folder), "holds no shard of a site", hint)
    yield from found


def _opened(folder: Path) -> _Opened:
    with _whole(folder):
        record = Record(folder / RECORD)
        try:
            number, count, *origin = json.loads(record.meta(_ORIGIN))
            return _Opened(folder, record, Shard(number, count), Origin(*origin))
        except BaseException:
            record.close()
            raise


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """Refuse a part whose record is damaged; raises ContentError."""
    try:
        with guarded(folder / RECORD):
            yield
    except (ValueError, TypeError, DamagedError):
        raise ContentError.at(str(folder), "is not a whole shard", "build it again") from None


def _is_of(folder: Path, content: str) -> bool:
    """Tell whether a collection's files are those of this identity."""
    return bool(content) and content_mark(folder, Cache(None)) == content


def _taken(entry: Entry, task: Task, part: _Opened, destination: Destination) -> bool:
    """Hand over one file of a part, unless it is there; tell whether it was handed over.

    Raises ContentError for a file that is not what the record says.
    """
    known = task.known.get(entry.path) if task.trusted else None
    if not entry.has_file or (known and known.has_file and known.digest == entry.digest):
        return False
    if known is None and destination.holds(entry.path, entry.digest, entry.size):
        return False
    path = Part(part.folder).path(entry.digest)
    algorithm, _, encoded = entry.digest.partition(":")
    try:
        with open_regular(path, str(path)) as file:
            is_whole = hashlib.file_digest(file, algorithm).hexdigest() == encoded
    except OSError:
        is_whole = False
    if not is_whole:
        raise ContentError.at(str(path), f"is damaged or missing, of {part.name}", "build it again")
    destination.link(entry.path, File(path, entry.size, entry.digest))
    return True
