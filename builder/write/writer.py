"""Writing bundles: what is equal to the last build's record is neither made nor written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from builder.errors import ContentError, Problem
from builder.output import Bundle, Data, Entry, File, Made, Output, Redirect, Streamed
from builder.write.folder import Folder, is_inside
from builder.write.record import Known, Record, shifted

Adapt = Callable[[Output], Iterator[Output]]


@dataclass(frozen=True, slots=True)
class Task:
    """A bundle to write, with its files as the record knows them.

    `trusted` tells whether the record describes what is on the disk.
    """

    bundle: Bundle
    known: Mapping[str, Entry]
    trusted: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What a bundle became; `written` counts the files that changed on the disk."""

    name: str
    entries: tuple[Entry, ...]
    written: int


@dataclass(slots=True)
class Report:
    """What a build did."""

    outputs: int = 0
    written: int = 0
    removed: int = 0
    warnings: list[Problem] = field(default_factory=list)


def write_bundle(task: Task, outputs: Iterable[Output], folder: Folder, adapt: Adapt) -> Written:
    """Write one bundle, content before names before pages; return its entries.

    Raises ContentError when an output lies outside the bundle's claims: that
    path could belong to somebody else.
    """
    adapted = [item for output in outputs for item in adapt(output)]
    _check_claims(task.bundle, adapted)
    adapted.sort(key=lambda output: output.order)
    fresh = (item.path for item in adapted if item.path not in task.known)
    folder.note(path for path in fresh)
    entries = []
    written = 0
    for output in adapted:
        known = task.known.get(output.path)
        entry, changed = _write(output, known, folder, trusted=task.trusted)
        entries.append(entry)
        written += changed
    return Written(task.bundle.name, tuple(entries), written)


def _check_claims(bundle: Bundle, outputs: Iterable[Output]) -> None:
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
        if other is not output:
            message = f"would be published at /{path}, which {other.origin} already owns"
            problems.append(Problem(output.origin, message=message, hint="rename one of the two"))
    if problems:
        raise ContentError(problems)


def _write(  # noqa: PLR0911 - one way out for each kind of body
    output: Output, known: Entry | None, folder: Folder, *, trusted: bool
) -> tuple[Entry, bool]:
    body = output.body
    if isinstance(body, Redirect):
        return _entry(output, "", 0, location=body.to), False
    believed = known if trusted and known is not None and not known.location else None
    if isinstance(body, File):
        if believed and believed.digest == body.digest:
            return _entry(output, body.digest, body.size), False
        if believed is None and folder.holds_blob(output.path, body.digest, body.size):
            return _entry(output, body.digest, body.size), False
        folder.write_blob(output.path, body.path, body.size)
        return _entry(output, body.digest, body.size), True
    if believed and output.fingerprint and believed.fingerprint == output.fingerprint:
        return _entry(output, believed.digest, believed.size), False
    if isinstance(body, Streamed):
        digest, changed = folder.write_stream(output.path, body.make(), body.size)
        return _entry(output, digest, body.size), changed
    data = body.data if isinstance(body, Data) else _made(body)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    entry = _entry(output, digest, len(data))
    if believed and believed.digest == digest:
        return entry, False
    if believed is None and folder.holds(output.path, data):
        return entry, False
    folder.write(output.path, data)
    return entry, True


def _made(body: Made) -> bytes:
    return body.make()


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
    )


class Transaction:
    """One build's writes to one destination, and to its record.

    `begin` finds out what the destination holds; `done` books a written
    bundle; `end` removes what is no longer published and closes the books.
    """

    def __init__(self, folder: Folder, record: Record) -> None:
        self.folder = folder
        self.record = record
        self._old_paths: set[str] = set()
        self._stale: set[str] = set()
        self._fresh: set[str] = set()
        self._identity = 0
        self.trusted = False
        self.report = Report()

    def begin(self) -> None:
        """Decide whether the record is believed; raises ContentError for a foreign folder."""
        held = self.folder.claim()
        self.trusted = bool(held) and held == self.record.meta("identity")
        if self.trusted:
            self._identity = int(held, 16)
        else:
            self.record.clear()

    def start(self) -> None:
        """Begin to write: from here on an interrupted build is seen by the next."""
        if not self.trusted:
            self._old_paths = self.folder.noted()
        self.folder.start()

    def task(self, bundle: Bundle) -> Task:
        """Return a bundle together with what the record knows of its files."""
        return Task(bundle, self.record.outputs_of(bundle.name), self.trusted)

    def done(self, written: Written, known: Known) -> None:
        """Book a bundle that has been written."""
        before = self.record.outputs_of(written.name)
        after = {entry.path for entry in written.entries if not entry.location}
        self._stale.update(path for path, entry in before.items() if not entry.location)
        self._fresh |= after
        self._identity = shifted(self._identity, minus=before.values(), plus=written.entries)
        self.record.replace_outputs(written.name, before, written.entries)
        self.record.save_bundle(written.name, known)
        self.report.outputs += len(written.entries)
        self.report.written += written.written

    def drop(self, name: str) -> None:
        """Book that a bundle of the last build is gone."""
        before = self.record.forget(name)
        self._stale.update(path for path, entry in before.items() if not entry.location)
        self._identity = shifted(self._identity, minus=before.values(), plus=())

    def end(self) -> None:
        """Remove what is no longer published, names before content, and seal the record."""
        gone = sorted((self._old_paths | self._stale) - self._fresh, key=_removal_order)
        for path in gone:
            self.folder.remove(path)
            self.report.removed += 1
        identity = f"{self._identity:032x}"
        self.record.set_meta("identity", identity)
        self.record.commit()
        changed = bool(gone) or not self.trusted or bool(self._fresh - self._stale)
        self.folder.finish(identity, self.record.paths() if changed else None)


def _removal_order(path: str) -> tuple[int, str]:
    """Pages first, then names, then content: a client may be in the middle of a pull."""
    if not path.startswith("v2/"):
        return 0, path
    return (2 if "/blobs/" in path else 1), path
