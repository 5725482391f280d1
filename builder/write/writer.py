"""Handing bundles to a destination: what the last build has is neither made nor written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from builder.errors import ContentError, Problem
from builder.output import Bundle, Data, Entry, File, Made, Output, Redirect, Streamed
from builder.write.destination import Change, Destination
from builder.write.folder import is_inside
from builder.write.record import SIDE, Known, Record, shifted
from builder.write.workers import Limited

PAGE_SECONDS = 20  # of processor time for one page
_PAGE_HINT = "a page layout, an include or a row does not finish"


@dataclass(frozen=True, slots=True)
class Task:
    """A bundle to make, with its files as the record knows them and the disk has them.

    `trusted` tells whether the record describes what is on the disk.
    """

    bundle: Bundle
    known: Mapping[str, Entry]
    trusted: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What a bundle became; `written` are the paths whose files are new."""

    name: str
    entries: tuple[Entry, ...]
    written: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What a build did."""

    outputs: int = 0
    written: int = 0
    removed: int = 0
    warnings: list[Problem] = field(default_factory=list)


def write_bundle(task: Task, outputs: Iterable[Output], destination: Destination) -> Written:
    """Hand over what is new of a bundle's outputs, which it owns; return its entries."""
    entries = []
    written = []
    for output in outputs:
        known = task.known.get(output.path)
        entry, is_new = _write(output, known, destination, trusted=task.trusted)
        entries.append(entry)
        if is_new:
            written.append(output.path)
    return Written(task.bundle.name, tuple(entries), tuple(written))


def owned(bundle: Bundle, outputs: Iterable[Output]) -> list[Output]:
    """Return each output once.

    Raises ContentError when one lies outside the bundle's claims: that path
    could belong to somebody else.
    """
    files = {claim.path for claim in bundle.claims if not claim.path.endswith("/")}
    folders = tuple(claim.path for claim in bundle.claims if claim.path.endswith("/"))
    seen: dict[str, Output] = {}
    problems = []
    for output in outputs:
        path = output.path
        if not is_inside(path):
            problems.append(Problem(output.origin, message=f"{path!r} leaves the site"))
        twin = path.removesuffix(".html") + ".json"  # an index.json answers as index.html too
        owned = path in files or twin in files or path.startswith(folders)
        if not owned:
            message = f"would be published at /{path}, which {bundle.name} does not own"
            problems.append(Problem(output.origin, message=message))
        other = seen.setdefault(path, output)
        if other is not output and not _is_same(other, output):
            message = f"would be published at /{path}, which {other.origin} already owns"
            problems.append(Problem(output.origin, message=message, hint="rename one of the two"))
    if problems:
        raise ContentError(problems)
    return list(seen.values())


def _is_same(one: Output, other: Output) -> bool:
    """Tell whether two outputs are one: two tags may lead to the same bytes under one digest."""
    if (one.media_type, one.headers) != (other.media_type, other.headers):
        return False
    if isinstance(one.body, File) and isinstance(other.body, File):
        return one.body.digest == other.body.digest
    if isinstance(one.body, Made) and isinstance(other.body, Made):
        known = bool(one.fingerprint) and one.fingerprint == other.fingerprint
        return known or one.body.make() == other.body.make()
    return one.body == other.body


def _write(
    output: Output, known: Entry | None, destination: Destination, *, trusted: bool
) -> tuple[Entry, bool]:
    body, path = output.body, output.path
    if isinstance(body, Redirect):
        return _entry(output, "", 0, location=body.to), False
    believed = known if trusted and known is not None and known.has_file else None
    if believed and _is_known(output, believed):
        return _entry(output, believed.digest, believed.size), False
    if isinstance(body, Streamed):
        digest, is_new = destination.stream(path, body.make(), body.size)
        return _entry(output, digest, body.size), is_new
    data = _made(output) if not isinstance(body, File) else b""
    if isinstance(body, File):
        digest, size = body.digest, body.size
    else:
        digest, size = f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)
    entry = _entry(output, digest, size)
    if output.copy_of:
        return entry, False
    if believed.digest == digest if believed else destination.holds(path, digest, size):
        return entry, False
    if isinstance(body, File):
        destination.link(path, body)
    else:
        destination.write(path, data, digest)
    return entry, True


def whole(output: Output) -> Output:
    """Return an output whose body is no longer to be made."""
    is_made = isinstance(output.body, Made)
    return output._replace(body=Data(_made(output))) if is_made else output


def _is_known(output: Output, believed: Entry) -> bool:
    return bool(output.fingerprint) and believed.fingerprint == output.fingerprint


def _made(output: Output) -> bytes:
    if isinstance(output.body, Data):
        return output.body.data
    if not isinstance(output.body, Made):
        raise TypeError(output.path)
    what = f"to make /{output.path}"
    with Limited(output.origin or output.path, what, PAGE_SECONDS, _PAGE_HINT):
        return output.body.make()


def _entry(output: Output, digest: str, size: int, *, location: str = "") -> Entry:
    return Entry(
        output.path,
        output.media_type,
        output.headers,
        digest,
        size,
        location,
        output.fingerprint,
        output.folder_answer,
        output.copy_of,
    )


class Transaction:
    """One build's change of one destination and of its record: all of it or nothing.

    `begin` finds out what the destination holds; `done` books a bundle that
    was handed over; `publish` lets all of it be seen, and the record with it.
    As a context it gives up what was not published. `ruled` tells whether
    anything changed that a host's rules are made from.
    """

    def __init__(self, destination: Destination, record: Record) -> None:
        self.destination = destination
        self.record = record
        self.trusted = False
        self.damaged: set[str] = set()
        self.report = Report()
        self.ruled = False
        self._known: set[str] = set()  # paths that the marker lists
        self._stale: set[str] = set()
        self._fresh: set[str] = set()
        self._written: list[str] = []
        self._identity = 0
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.destination.discard()

    def begin(self, *, look: bool = True) -> None:
        """Decide what of the record is believed; `look` at what is on the disk.

        Raises ContentError for a foreign folder.
        """
        self.destination.claim()
        identity = self.record.meta("identity")
        self.trusted = self.destination.is_at(identity)
        if self.trusted:
            self._identity = int(identity, 16)
            self.damaged = self.destination.damaged(self.record) if look else set()
        else:
            self._known = self.destination.noted()
            self.record.clear()

    def task(self, bundle: Bundle) -> Task:
        """Return a bundle together with what the record knows of its files."""
        known = self.record.outputs_of(bundle.name)
        sound = {path: entry for path, entry in known.items() if path not in self.damaged}
        return Task(bundle, sound, self.trusted)

    def done(self, made: Written, known: Known) -> None:
        """Book a bundle that has been handed over."""
        before = self.record.outputs_of(made.name)
        self._stale.update(path for path, entry in before.items() if entry.has_file)
        self._fresh.update(entry.path for entry in made.entries if entry.has_file)
        self._written += made.written
        new = [entry for entry in made.entries if before.get(entry.path) != entry]
        same = {entry.path for entry in made.entries}.difference(entry.path for entry in new)
        old = {path: entry for path, entry in before.items() if path not in same}
        self._compare(made.name, old.values(), new)
        self._identity = shifted(self._identity, minus=old.values(), plus=new)
        self.record.replace_outputs(made.name, old, new)
        self.record.save_bundle(made.name, known)
        self.report.outputs += len(made.entries)
        self.report.written += len(made.written)

    def beside(self, files: Mapping[str, bytes]) -> None:
        """Hand over files that lie beside the site, by their paths from it."""
        before = self.record.beside()
        after = {}
        for path, data in files.items():
            digest, size = f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)
            after[path] = (digest, size)
            known = path not in self.damaged and before.get(path) == after[path]
            if not known and not self.destination.holds(path, digest, size):
                self.destination.write(path, data, digest)
                self._written.append(path)
        self._stale.update(before)
        self._fresh.update(after)
        self.record.set_beside(after)

    def _compare(self, name: str, before: Iterable[Entry], after: Iterable[Entry]) -> None:
        if name != SIDE and not self.ruled:
            self.ruled = {entry.ruled for entry in before} != {entry.ruled for entry in after}

    def drop(self, name: str) -> None:
        """Book that a bundle of the last build is gone."""
        before = self.record.forget(name)
        self._compare(name, before.values(), ())
        self._stale.update(path for path, entry in before.items() if entry.has_file)
        self._identity = shifted(self._identity, minus=before.values(), plus=())

    def open(self) -> None:
        """Make ready for what is handed over."""
        self._is_open = True
        self.destination.open(self.record)

    def publish(self) -> None:
        """Let the new tree be seen, and keep the record of it."""
        if not self._is_open:  # what was read has changed, and nothing that is made of it
            self.record.commit()
            return
        identity = f"{self._identity:032x}"
        self.record.set_meta("identity", identity)
        before = self._known | self._stale
        gone = before - self._fresh
        change = Change(self._written, self._fresh - before, gone, identity, self.record.paths)
        self.destination.publish(change, self.record.commit)
        self.report.removed = len(gone)
