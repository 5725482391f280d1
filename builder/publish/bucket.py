"""Publishing to a bucket: objects with their own types, content before what points to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from itertools import chain, groupby
from typing import TypeVar

from builder.errors import ContentError, Problem, RemoteError
from builder.fingerprint import code_key
from builder.output import Entry
from builder.publish.moves import HEAD, next_log, paths_of
from builder.publish.plan import (
    PAST,
    Plan,
    PublishOptions,
    cache_control,
    in_half,
    in_order,
    is_content,
    is_stale,
    stage_of,
    staying,
    with_lists,
)
from builder.publish.release import (
    LISTS,
    RELEASE,
    Release,
    is_signed_by,
    read_list,
    read_release,
)
from builder.publish.signing import PublicKey
from builder.publish.site import Candidate, Site, made_entry, verified
from builder.storage.object_faults import ConflictError
from builder.storage.objects import SINGLE, ObjectStore, Stat
from builder.storage.parallel import Progress, Stopped, run_parallel

Item = TypeVar("Item")
ROOT = "v2/"  # the key that answers for /v2/ where nothing else does
_REMOVE = "remove it if nobody needs it, then publish again"
_MOST_UNSIGNED = 1 << 20  # releases of a site that began to sign after that many
_DIGEST = "digest"  # the name of the metadata that says that an object is ours, and which it is


def publish_bucket(
    store: ObjectStore,
    candidate: Candidate,
    options: PublishOptions,
    *,
    dry_run: bool,
    progress: Progress,
) -> Plan:
    """Put a site into a bucket; return what was done.

    What is there is not sent again, also after a run that ended early. Names
    are written only while they are as they were seen: when somebody else
    publishes at the same time, ConflictError stops this run. Raises
    ContentError for a site that redirects, RemoteError.
    """
    run = _Publisher(store, candidate, options)
    if (same := run.unchanged()) is not None:
        return same
    plan = run.plan()
    if not dry_run:
        with progress(plan.size) as advance:
            run.send(plan, advance)
        run.remove(plan)
    return plan


class _Publisher:
    """One publish to one bucket."""

    def __init__(self, store: ObjectStore, candidate: Candidate, options: PublishOptions) -> None:
        self._store = store
        self._candidate = candidate
        self._key = candidate.key()
        self._options = options
        self._listed = {stat.key: stat for stat in store.list()}
        if ROOT[:-1] in self._listed and store.slash_keys:
            self._listed[ROOT] = self._listed.pop(ROOT[:-1])
        self._pointer = store.get(RELEASE)
        self._previous, self._last = self._predecessor()
        self._conditions: dict[str, Stat | None] = {}

    def _predecessor(self) -> tuple[Release | None, int]:
        """Return the release that is there, if it is believed, and the last one's number.

        Where releases are signed, only the word of a signed one counts:
        whoever can write here could say any number, or put an older one back.
        """
        found = _read(self._store, self._pointer[0]) if self._pointer else None
        signers = self._options.signers
        if not signers:
            return found, found.generation if found else 0
        believed = found if found and _is_signed(found, signers) else None
        last = believed.generation if believed else 0
        for number in sorted(self._past(), reverse=True):
            if number <= last:
                break
            past = self._store.get(f"{PAST}{number}.json")
            release = _read(self._store, past[0]) if past else None
            if release and release.generation == number and _is_signed(release, signers):
                return believed, number
        if found and not last and found.generation > _MOST_UNSIGNED:
            message = f"says that it is release {found.generation}, but is not signed"
            raise ContentError.at(f"{self._store.label}/{RELEASE}", message, _REMOVE)
        return believed, last or (found.generation if found else 0)

    def _log(self, site: Site) -> dict[str, bytes]:
        """Return the files of the log of tag moves, with those that this release makes."""
        if not site.has_tags:
            return {}

        def read(path: str) -> bytes | None:
            found = self._store.get(path) if path in self._listed else None
            return found[0] if found else None

        time, label = self._options.time, self._store.label
        return next_log(site.entries, time, read, self._rows, label)

    def unchanged(self) -> Plan | None:
        """Return the plan where the listing alone tells that nothing is to be done, else None."""
        previous, pointer = self._previous, self._pointer
        if previous is None or pointer is None or self._options.prune:
            return None
        made_of = (pointer[1].attributes.get("rules"), pointer[1].attributes.get("site"))
        if made_of != (code_key(), self._key) or is_stale(previous, self._options):
            return None
        if previous.generation != self._last or previous.name != self._options.name:
            return None
        lists = ((item.path, item.size) for item in previous.lists)
        for path, size in chain(self._candidate.sizes(), lists, self._log_sizes()):
            if path not in self._listed or not self._is_kept(self._listed[path], size):
                return None
        same = len(self._listed)
        return Plan(self._store.label, previous.generation, (), same, changed=False)

    def _log_sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the paths that the log's head speaks of, with the sizes of what is there."""
        if self._candidate.half == "pages":
            return
        head = self._store.get(HEAD)
        for path in paths_of(head[0]) if head else [HEAD]:
            yield path, self._listed[path].size if path in self._listed else 0

    def plan(self) -> Plan:
        """Return what must be sent, and removed, looking where the listing is not enough."""
        self._site = self._sendable()
        label = self._store.label
        release, lists = with_lists(self._site.entries, self._last, self._options, label)
        kept = {entry.path for entry in self._site.entries} | lists.keys()
        self._site = self._site.adding(lists, "application/json")
        self._add_root()
        lacking = self._lacking()
        previous = self._previous
        changed = bool(lacking) or previous is None or is_stale(previous, self._options)
        if previous and (release.lists, release.name) != (previous.lists, previous.name):
            changed = True
        if changed or previous is None:
            envelope = release.to_bytes()
            past = f"{PAST}{release.generation}.json"
            self._site = self._site.adding({RELEASE: envelope, past: envelope}, "application/json")
            for path in (past, RELEASE):
                lacking.append(self._entry(path))
                self._conditions[path] = self._store.head(path)
            self._conditions[RELEASE] = self._pointer[1] if self._pointer else None
        else:
            release = previous
        same = len(self._site.entries) - len(lacking)
        remove = self._surplus(kept, release) if self._options.prune else ()
        return Plan(label, release.generation, tuple(lacking), same, tuple(remove), changed)

    def _sendable(self) -> Site:
        """Return the site with its rules and log; raises ContentError for one that redirects."""
        site = self._candidate.site()
        redirects = [entry.path for entry in site.entries if entry.location]
        if redirects:
            message = f"{len(redirects)} paths redirect, which objects in a bucket cannot"
            hint = "build for it with '-t s3'"
            raise ContentError([Problem(redirects[0], message=message, hint=hint)])
        return site.with_rules()[0].adding(self._log(site), "application/json")

    def _add_root(self) -> None:
        """Let `v2/` answer as `v2/index.json` does, on hosts that look for that very key."""
        index = next((item for item in self._site.entries if item.path == "v2/index.json"), None)
        if index and self._store.slash_keys:
            with self._site.open(index) as stream:
                self._site = self._site.adding({ROOT: stream.read()}, "application/json")

    def _entry(self, path: str) -> Entry:
        return made_entry(path, self._site.made[path], "application/json")

    def _lacking(self) -> list[Entry]:
        """Return the entries that the bucket does not have as they should be, in order."""
        known = self._known()
        lacking, unsure = [], []
        for entry in self._site.entries:
            found = self._listed.get(entry.path)
            if found is None:
                self._conditions[entry.path] = None
                lacking.append(entry)
            elif not self._is_sure(entry, found, known):
                unsure.append(entry)

        def look(entry: Entry) -> None:
            found = self._store.head(entry.path)
            if not _is_same(entry, found):
                self._conditions[entry.path] = found
                lacking.append(entry)

        self._each(unsure, look)
        return in_order(lacking)

    def _is_sure(self, entry: Entry, found: Stat, known: dict[str, str]) -> bool:
        """Tell whether the last release speaks for an object: then nobody need look at it.

        What must be replaced is looked at: a listing can lag behind.
        """
        return known.get(entry.path) == entry.digest and self._is_kept(found, entry.size)

    def _is_kept(self, found: Stat, size: int) -> bool:
        """Tell whether an object is as it was when the last release came, by the server's clock."""
        if self._pointer is None or size > SINGLE:
            return False
        return found.size == size and found.modified < self._pointer[1].modified

    def _known(self) -> dict[str, str]:
        """Return the digests of the last release's files by their path; empty if in doubt."""
        if self._pointer is None or self._pointer[1].attributes.get("rules") != code_key():
            return {}
        return self._rows

    @cached_property
    def _rows(self) -> dict[str, str]:
        """The digests of the last release's files by their path; empty if it is not believed."""
        try:
            return dict(self._files(self._previous)) if self._previous else {}
        except ContentError:  # a list is gone or damaged: then all objects are looked at
            return {}

    def _files(self, release: Release) -> Iterator[tuple[str, str]]:
        """Yield path and digest of a release's files, and of its lists; raises ContentError."""
        for item in release.lists:
            label = f"{self._store.label}/{item.path}"
            found = self._store.get(item.path)
            if found is None:
                message = f"is missing, so it is unknown what release {release.generation} needs"
                hint = f"to give that release up, remove {PAST}{release.generation}.json"
                raise ContentError.at(label, message, hint)
            yield item.path, item.digest
            for row in read_list(found[0], item, label):
                yield row.path, row.digest

    def send(self, plan: Plan, advance: Callable[[int], None]) -> None:
        """Send stage after stage; what was sent is looked at before the next one begins."""
        pointers = {f"{PAST}{plan.generation}.json", RELEASE, HEAD}  # each after what it needs
        for _, stage in groupby(
            plan.send, key=lambda it: (stage_of(it.path), it.path if it.path in pointers else "")
        ):
            self._each(list(stage), partial(self._send, advance=advance))

    def _send(self, entry: Entry, *, advance: Callable[[int], None]) -> None:
        path, wanted = entry.path, _attributes(entry)
        if path == RELEASE:
            # What chose the headers of all, and what all of it was made from.
            wanted |= {"rules": code_key(), "site": self._key}
        try:
            with self._site.open(entry) as stream:
                pieces = iter(partial(verified(entry, stream).read, 1 << 20), b"")
                if entry.size > SINGLE:
                    self._store.upload(path, _counted(pieces, advance), entry.size, wanted)
                else:
                    seen = self._conditions[path]
                    self._store.put(path, b"".join(pieces), wanted, only_if=seen or "absent")
                    advance(entry.size)
        except ConflictError as error:
            self._accept(entry, error)
        found = self._store.head(path)
        if found is None or not _is_same(entry, found):
            how = "it is missing" if found is None else "what is there is something else"
            message = (
                f"{self._store.label}/{path}: cannot be verified: the server took it, but {how}"
            )
            raise RemoteError(message, "nothing points to it yet; do not trust this server")

    def _accept(self, entry: Entry, error: ConflictError) -> None:
        """Accept what is there already, if it is what was sent; else somebody else publishes."""
        if _is_same(entry, self._store.head(entry.path)):
            return
        message = f"{error.message}: somebody else publishes here at the same time"
        raise ConflictError(message, "publish again when that is done") from None

    def _surplus(self, kept: set[str], release: Release) -> list[str]:
        """Return our objects that neither this release nor a kept one needs, pages first."""
        kept |= {RELEASE, ROOT, ROOT[:-1], f"{PAST}{release.generation}.json"}
        for number in self._staying(release.generation):
            path = f"{PAST}{number}.json"
            if (found := self._store.get(path)) is None:
                continue
            kept.add(path)
            old = read_release(found[0], label=f"{self._store.label}/{path}")
            kept |= {name for name, _ in self._files(old) if is_content(name)}
        surplus: list[str] = []

        def look(key: str) -> None:
            found = self._store.head(key)
            if found is not None and _DIGEST in found.attributes:
                surplus.append(key)

        self._each([key for key in self._listed if key not in kept and self._is_ours(key)], look)
        return sorted(surplus, key=lambda key: (-stage_of(key), key))

    def _staying(self, generation: int) -> list[int]:
        """Return the releases before `generation` whose content stays."""
        made = [
            (number, stat.modified.timestamp())
            for number, stat in self._past().items()
            if number < generation
        ]
        return staying(sorted(made), time.time(), self._options, extra=1)

    def _past(self) -> dict[int, Stat]:
        """Return the envelopes of releases that are there, by number."""
        names = ((key.removeprefix(PAST).removesuffix(".json"), key) for key in self._listed)
        return {
            int(number): self._listed[key]
            for number, key in names
            if key.startswith(PAST) and number.isdecimal()
        }

    def _is_ours(self, key: str) -> bool:
        return key.startswith((LISTS, PAST)) or in_half(key, self._candidate.half)

    def remove(self, plan: Plan) -> None:
        """Remove what the plan says, pages before names before content."""
        for _, keys in groupby(plan.remove, key=stage_of):
            self._each(list(keys), self._store.delete)

    def _each(self, items: Iterable[Item], work: Callable[[Item], None]) -> None:
        stop = threading.Event()

        def one(item: Item) -> None:
            if stop.is_set():
                raise Stopped
            work(item)

        run_parallel(items, one, threads=self._options.jobs, stop=stop)


def _read(store: ObjectStore, data: bytes) -> Release:
    label = f"{store.label}/{RELEASE}"
    try:
        return read_release(data, label=label)
    except ContentError as error:
        raise ContentError.at(label, error.problems[0].message, _REMOVE) from None


def _is_signed(release: Release, signers: Iterable[PublicKey]) -> bool:
    return any(is_signed_by(release, key) for key in signers)


def _attributes(entry: Entry) -> dict[str, str]:
    """Return the headers that an object is served with, and the mark that it is ours.

    Never a Content-Encoding: what is compressed is compressed content.
    """
    return {
        "Content-Type": entry.media_type,
        "Cache-Control": cache_control(entry.path),
        _DIGEST: entry.digest,
    }


def _is_same(entry: Entry, found: Stat | None) -> bool:
    if found is None or found.size != entry.size:
        return False
    wanted = _attributes(entry)
    return all(found.attributes.get(name) == value for name, value in wanted.items())


def _counted(pieces: Iterable[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        advance(len(piece))
