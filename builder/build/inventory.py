"""What is known of the collections: as they lie on disk, and as they were last loaded.

Kept between builds, so that an edit costs a look at what was touched alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.build.bundles import Loaded
from builder.build.worker import Facts
from builder.errors import Problem
from builder.fingerprint import fingerprint
from builder.registry.model import RegistryOptions
from builder.registry.scan import Folder, scan
from builder.text.addresses import Addresses
from builder.write.record import Known, Record

_RACY = 20_000_000  # nanoseconds: two writes this close can leave one time


class Inventory:
    """The folders below `collections/` by name, and the facts of those that are collections.

    `key` identifies all options that facts depend on.
    """

    def __init__(self, options: RegistryOptions, key: str) -> None:
        self._options = options
        self._key = key
        self.folders: dict[str, Folder] = {}
        self._facts: dict[str, Facts] = {}
        self._read: dict[str, str] = {}  # the signatures of those loaded in this run

    def scan(self, touched: frozenset[str] | None) -> list[Problem]:
        """Walk the collections; of those that were touched alone when that is enough.

        A file whose time is this very moment could change again and keep its
        time: such a walk is repeated a moment later.
        """
        started = time.time_ns()
        self._read.clear()
        names = self._touched_names(touched)
        problems = self._walk(names)
        seen = self.folders if names is None else names & self.folders.keys()
        if any(0 <= started - self.folders[name].newest + _RACY <= 2 * _RACY for name in seen):
            time.sleep(_RACY / 1e9)
            problems = self._walk(names)
        return problems

    def _walk(self, names: set[str] | None) -> list[Problem]:
        problems = []
        for name in names or ():
            found = scan(self._options.source, self._options.collections, name)
            if found.folders.keys() != {item for item in self.folders if _within(item, name)}:
                return self._walk(None)  # its files may be another's now
            self.folders.update(found.folders)
            problems += found.problems
        if names is None:
            found = scan(self._options.source, self._options.collections)
            self.folders, problems = found.folders, found.problems
            self._facts = {name: self._facts[name] for name in found.folders if name in self._facts}
        return problems

    def _touched_names(self, touched: frozenset[str] | None) -> set[str] | None:
        """Return the collections to look at again; None: all, because folders came or went."""
        if touched is None or not self.folders:
            return None
        base = self._options.collections + "/"
        names = set()
        for path in touched:
            if not path or f"{path}/" == base:  # all may be new
                return None
            if not path.startswith(base):
                continue
            parts = path.removeprefix(base).split("/")
            above = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
            name = next((item for item in above if item in self.folders), None)
            if name is None or not self.folders[name].is_collection:
                return None
            if not (self._options.source / base / name).is_dir():
                return None
            names.add(name)
        return names

    def _load_key(self, name: str) -> str:
        signature = self._read.get(name) or self.folders[name].signature
        return f"{signature} {self._key}"

    def changed(
        self, known: Mapping[str, Known], record: Record, addresses: Addresses
    ) -> list[str]:
        """Return the collections that must be loaded.

        These are new, changed, with blobs elsewhere, or with links that lead
        to another place than they did.
        """
        moved = record.meta("store") != self.store_key()
        self._read_facts(record)
        result = []
        for name, folder in self.folders.items():
            if not folder.is_collection:
                continue
            same = name in known and known[name].load_key == self._load_key(name)
            facts = self._facts.get(name)
            if (
                not same
                or (moved and self._depends_on_store(name))
                or (facts is not None and not addresses.hold(facts.answers))
            ):
                result.append(name)
        return result

    def _depends_on_store(self, name: str) -> bool:
        facts = self._facts.get(name)
        return facts is None or bool(facts.elsewhere) or not facts.complete

    def _read_facts(self, record: Record) -> None:
        """Take the facts of unchanged collections from the last build's record."""
        if self._facts:
            return
        for name, text in record.facts():
            if name in self.folders:
                self._facts[name] = Facts.from_text(text)

    def store_key(self) -> str:
        """Return an identity of the content store: names, sizes, times and inodes of its blobs."""
        folder = self._options.source / self._options.store / "blobs"
        blobs = []
        for algorithm in sorted(_names(folder)):
            for entry in sorted(_names(folder / algorithm)):
                found = os.lstat(folder / algorithm / entry)
                times = (found.st_mtime_ns, found.st_ctime_ns)
                blobs.append((entry, found.st_mode, found.st_size, times, found.st_ino))
        return fingerprint(blobs)

    def learn(self, name: str, facts: Facts, signature: str) -> None:
        """Keep what was loaded of a collection whose folder had this signature before."""
        self._facts[name] = facts
        self._read[name] = signature

    def facts(self) -> Iterator[Facts]:
        """Yield what is known of each collection that could be loaded."""
        for name, folder in self.folders.items():
            if folder.is_collection and name in self._facts:
                yield self._facts[name]

    def loaded(self) -> dict[str, Loaded]:
        """Return the facts of all collections that could be loaded, and what they came from."""
        names = (name for name, folder in self.folders.items() if folder.is_collection)
        return {n: Loaded(self._facts[n], self._load_key(n)) for n in names if n in self._facts}

    def booking(self, name: str, identity: str) -> tuple[Known, str]:
        """Return what the record keeps of a bundle of that name and identity."""
        folder = self.folders.get(name)
        if folder is None or not folder.is_collection:
            return Known(identity, ""), ""
        return Known(identity, self._load_key(name)), self._facts[name].to_text()


def _within(name: str, above: str) -> bool:
    return name == above or name.startswith(f"{above}/")


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
