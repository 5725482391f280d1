"""Publishing to a folder that a web server serves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from builder.errors import ContentError, LocalError
from builder.fingerprint import code_key
from builder.output import Entry
from builder.publish.moves import next_log
from builder.publish.plan import (
    Plan,
    PublishOptions,
    in_order,
    is_content,
    is_stale,
    staying,
    with_lists,
)
from builder.publish.release import LISTS, RELEASE
from builder.publish.releases import LOCK, Releases, readable
from builder.publish.site import Candidate, Site, verified
from builder.storage import LocalStorage
from builder.storage.local import LINK_ABOVE
from builder.storage.lock import lock
from builder.storage.parallel import Steps, Stopped, run_parallel
from builder.targets import apache, caddy
from builder.targets.nginx import maps as nginx_maps

# The file of a target's rules that also says where a release is, and how.
_ROOTS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "apache": ("root.conf", apache.root_directive),
    "caddy": ("site.caddy", caddy.root_line),
    "nginx": ("http.conf", nginx_maps.root_map),
}


def publish_folder(
    root: Path,
    candidate: Candidate,
    options: PublishOptions,
    *,
    dry_run: bool,
    progress: Steps,
    reload: Callable[[], None] | None = None,
) -> Plan:
    """Make a release of a site below `root` and point to it; return what was done.

    On return all of it survives a power cut. A run that ends early leaves the
    current release as it is, and the next one goes on with what is there.
    `reload` makes the server read its rules, and returns when it has.
    Raises ContentError for a folder that is not ours and for a built site
    that was changed, LockedError, LocalError.
    """
    root = root.absolute()
    releases = Releases(root)
    releases.check()
    holding = nullcontext() if dry_run else lock(root / LOCK, str(root))
    try:
        with readable(), holding:
            if not dry_run:
                releases.claim()
            run = _Publisher(releases, candidate, options, progress, reload)
            return run.publish(dry_run=dry_run)
    except OSError as error:
        hint = "the current release did not change; publish again"
        raise LocalError.of(error, error.filename or root, hint) from error


class _Publisher:
    """One publish to one folder."""

    def __init__(
        self,
        releases: Releases,
        candidate: Candidate,
        options: PublishOptions,
        progress: Steps,
        reload: Callable[[], None] | None,
    ) -> None:
        self._releases = releases
        self._candidate = candidate
        self._options = options
        self._progress = progress
        self._reload = reload
        self._target = candidate.target.capabilities.name
        self._maker = f"{self._target} {code_key()} {candidate.key()}"
        self._numbers = releases.numbers()
        # A number is a folder's name here, and never what somebody wrote into a release.
        self._last = self._numbers[-1] if self._numbers else 0
        self._previous = releases.release(self._last) if self._last else None

    @cached_property
    def _newest(self) -> tuple[list[Entry], list[Entry]]:
        """The entries of the last release: its own, and what it carries on."""
        return self._releases.entries(self._last) if self._last else ([], [])

    @cached_property
    def _sealed(self) -> int:
        """When the last release was complete, in nanoseconds; 0 where there is none."""
        return self._releases.sealed(self._last) if self._last else 0

    def _prepare(self) -> None:
        """Learn what every file of the release is."""
        site = self._candidate.site()
        self._carried = self._carry(site)
        with_rules, self._beside = site.with_rules(self._carried)
        self._site = with_rules.adding(self._log(site), "application/json")

    def _carry(self, site: Site) -> list[Entry]:
        """Return the content of the last releases that this one has no more.

        A client that read a tag a moment ago finds all of its image yet.
        """
        seen = {entry.path for entry in site.entries}
        found = []
        stay = staying(self._releases.made(), time.time(), self._options, extra=1)
        for number in reversed(stay):
            entries = self._newest if number == self._last else self._releases.entries(number)
            for entry in entries[0]:
                if is_content(entry.path) and entry.path not in seen:
                    seen.add(entry.path)
                    if entry.location or self._releases.store.size(entry.digest) == entry.size:
                        found.append(entry)
        return found

    def _log(self, site: Site) -> dict[str, bytes]:
        """Return the files of the log of tag moves, with those that this release makes."""
        if not site.has_tags:
            return {}
        last = self._last
        known = {entry.path: entry.digest for entry in self._newest[0]}

        def read(path: str) -> bytes | None:
            file = self._releases.tree(last) / path
            return file.read_bytes() if last and file.is_file() else None

        label = str(self._releases.tree(last))
        return next_log(site.entries, self._options.time, read, known, label)

    def publish(self, *, dry_run: bool) -> Plan:
        """Plan, and unless `dry_run` do."""
        if self._is_served() and self._releases.maker(self._last) == self._maker:
            return self._unchanged(self._releases.count(self._last), dry_run=dry_run)
        self._prepare()
        if self._is_current():
            return self._unchanged(len(self._site.entries), dry_run=dry_run)
        label = str(self._releases.root)
        release, lists = with_lists(self._site.entries, self._last, self._options, label)
        number = release.generation
        files = lists | {RELEASE: release.to_bytes()}
        self._site = self._site.adding(files, "application/json")
        self._carried = [entry for entry in self._carried if entry.path not in self._site.made]
        send, same = self._lacking()
        if not dry_run:
            self._fill(send)
            beside = (self._target, self._rooted(number, self._beside))
            self._releases.make(
                number,
                maker=self._maker,
                own=self._site.entries,
                carried=self._carried,
                beside=beside,
                progress=self._step,
            )
            self._admit()
            self._releases.point(number, self._target)
            if self._reload:
                self._reload()
        return self._finish(
            Plan(str(self._releases.root), number, tuple(send), same), dry_run=dry_run
        )

    def _unchanged(self, same: int, *, dry_run: bool) -> Plan:
        if self._reload and not dry_run:  # the last run may have ended before it did
            self._reload()
        plan = Plan(str(self._releases.root), self._last, (), same, changed=False)
        return self._finish(plan, dry_run=dry_run)

    def _finish(self, plan: Plan, *, dry_run: bool) -> Plan:
        """Prune what is old, when asked to; return what was done."""
        if not self._options.prune:
            return plan
        made = self._releases.made()
        extra = 1 if plan.changed and dry_run else 0
        stay = {*staying(made, time.time(), self._options, extra=extra), self._releases.current()}
        old = [number for number, _ in made if number not in stay]
        if old and not dry_run:
            self._releases.prune(old)
        return replace(plan, remove=tuple(f"releases/{number}" for number in old))

    def _is_served(self) -> bool:
        """Tell whether the newest release is the one that is served, and in date."""
        served = bool(self._last) and self._releases.current() == self._last
        return served and not is_stale(self._previous, self._options)

    def _is_current(self) -> bool:
        """Tell whether the release that is served is this very site, though made otherwise."""
        if not self._is_served():
            return False
        made_by = self._releases.maker(self._last)
        if made_by.rpartition(" ")[0] != self._maker.rpartition(" ")[0]:
            return False
        own = [item for item in self._newest[0] if not _is_of_release(item.path)]
        return [_facts(item) for item in own] == [_facts(item) for item in self._site.entries]

    def _lacking(self) -> tuple[list[Entry], int]:
        """Return an entry for each content that the store lacks, and how many files it has."""
        lacking: dict[str, Entry] = {}
        same = 0
        for entry in in_order(self._site.entries):
            if entry.location or entry.digest in lacking:
                continue
            if self._holds(entry):
                same += 1
            else:
                lacking[entry.digest] = entry
        return list(lacking.values()), same

    def _holds(self, entry: Entry) -> bool:
        """Tell whether the store has content as it was put there: hashed, if written to since."""
        store = self._releases.store
        if store.size(entry.digest) != entry.size:
            return False
        if store.path(entry.digest).stat().st_mtime_ns < self._sealed:  # a clock has ticks
            return True
        try:
            with store.open(entry.digest) as stream:
                reader = verified(entry, stream)
                while reader.read():
                    pass
        except ContentError:
            return False
        return True

    def _fill(self, entries: list[Entry]) -> None:
        """Put content into the store, several files at a time."""
        stop = threading.Event()
        done = iter(range(1, len(entries) + 1))

        def keep(entry: Entry) -> None:
            if stop.is_set():
                raise Stopped
            with self._site.open(entry) as stream:
                _keep(self._releases.store, entry, stream)
            self._progress("storing", next(done), len(entries))

        run_parallel(entries, keep, threads=self._options.jobs, stop=stop)

    def _admit(self) -> None:
        """Let the release that is served answer for the new content, before any name leads there.

        Where a server can be told, it also learns the types beforehand.
        """
        served = self._releases.current()
        if not served:
            return
        content = [entry for entry in in_order(self._site.entries) if is_content(entry.path)]
        added = self._releases.admit(served, content)
        if added and self._beside and self._reload:
            own, carried = self._releases.entries(served)
            beside = replace(self._site, entries=tuple(own)).with_rules([*carried, *added])[1]
            self._releases.write_beside(served, self._target, self._rooted(served, beside))
            self._reload()

    def _rooted(self, number: int, files: dict[str, bytes]) -> dict[str, bytes]:
        """Return the rules for a release, which say where its files are.

        A server reads both from one file, so that it never has the types of
        one release and the files of another.
        """
        if self._target not in _ROOTS:
            return files
        name, root = _ROOTS[self._target]
        return {
            **files,
            name: files.get(name, b"") + root(str(self._releases.tree(number))).encode(),
        }

    def _step(self, count: int) -> None:
        total = len(self._site.entries) + len(self._carried)
        self._progress("linking", count, total)


def _keep(store: LocalStorage, entry: Entry, stream: BinaryIO) -> None:
    """Put one file into the store, sharing its blocks or its inode where it is large."""
    if entry.size > LINK_ABOVE and (
        store.clone(entry.digest, stream, entry.size, lambda it: verified(entry, it))
        or store.link(entry.digest, stream, entry.size, lambda it: verified(entry, it))
    ):
        return
    store.put(entry.digest, verified(entry, stream))


def _facts(entry: Entry) -> tuple[object, ...]:
    return entry.path, entry.media_type, entry.headers, entry.digest, entry.location


def _is_of_release(path: str) -> bool:
    return path == RELEASE or path.startswith(LISTS)
