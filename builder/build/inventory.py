"""What is known of the collections: as they lie on disk, and as they were last loaded.

Kept between builds, so that an edit costs a look at what was touched alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from builder.build.facts import COLLECTION, Facts, Loaded
from builder.errors import Problem
from builder.fingerprint import fingerprint
from builder.output import Claim
from builder.registry.model import RegistryOptions
from builder.registry.scan import Folder, scan
from builder.storage.local import changed_at
from builder.text.addresses import Addresses
from builder.write.record import Known, Record

Names = Callable[[frozenset[str]], frozenset[str]]
_COARSE = 5  # Linux's CLOCK_REALTIME_COARSE, whose ticks are the times of files
_RACY = int(2e9 * time.clock_getres(_COARSE))  # nanoseconds: writes this close can leave one time


class Inventory:
    """The folders below `collections/` by name, and the facts of those that are collections.

    `key` identifies all options that facts depend on; `only` takes a part of the names.
    """

    def __init__(self, options: RegistryOptions, key: str, only: Names | None = None) -> None:
        self._options = options
        self._key = key
        self._only = only
        self.folders: dict[str, Folder] = {}
        self.store_key = ""
        self._loaded: dict[str, Loaded] | None = None  # None until the record was asked
        self._current: dict[str, Loaded] | None = None  # of these, what is as it was loaded

    def scan(self, touched: frozenset[str] | None) -> list[Problem]:
        """Walk the collections; of those that were touched alone when that is enough.

        A file whose time is this very moment could change again and keep its
        time: such a walk is repeated a moment later.
        """
        started = time.time_ns()
        names = self._touched_names(touched)
        problems = self._walk(names)
        seen = self.folders if names is None else names & self.folders.keys()
        if any(0 <= started - self.folders[name].newest + _RACY <= 2 * _RACY for name in seen):
            time.sleep(_RACY / 1e9)
            problems = self._walk(names)
        return problems

    def _walk(self, names: set[str] | None) -> list[Problem]:
        problems = []
        store, self.store_key = self.store_key, self.look_at_store()
        if names is None or store != self.store_key:
            self._current = None
        for name in names or ():
            found = scan(self._options.source, self._options.collections, name)
            if found.folders.keys() != {item for item in self.folders if _within(item, name)}:
                return self._walk(None)  # its files may be another's now
            self.folders.update(found.folders)
            problems += found.problems
            self._judge(found.folders)
        if names is None:
            found = scan(self._options.source, self._options.collections)
            self.folders, problems = found.folders, found.problems
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

    def names(self) -> frozenset[str]:
        """Return the names of the collections, of those that are wanted."""
        folders = self.folders.items()
        names = frozenset(name for name, folder in folders if folder.is_collection)
        return self._only(names) if self._only else names

    def changed(self, record: Record, addresses: Addresses) -> list[str]:
        """Return the collections that must be loaded.

        These are new, changed, with blobs elsewhere that are new or changed,
        or with links that lead to another place than they did.
        """
        if self._loaded is None:
            self._loaded, self._current = {}, None
            for name, key, text in record.facts():
                if self._key not in key:
                    continue  # other code may have kept other facts
                with suppress(ValueError):
                    facts = Facts.from_text(text)
                    self._loaded[name.removeprefix(COLLECTION)] = Loaded(facts, key)
        names = self.names()
        gone = [
            name
            for name, loaded in self._loaded.items()
            if name not in names
            or (loaded.facts.answers and not addresses.hold(loaded.facts.answers))
        ]
        for name in gone:
            del self._loaded[name]
        self._judge(gone)
        return list(names - self.loaded().keys())

    def claims(self) -> dict[str, tuple[Claim, ...]]:
        """Return by the names of their bundles what the collections that are known claim."""
        known = (self._loaded or {}).items()
        return {f"{COLLECTION}{name}": loaded.facts.claims for name, loaded in known}

    def learn(self, name: str, facts: Facts, signature: str) -> None:
        """Keep what was loaded of a collection whose folder had this signature before."""
        self.folders[name] = replace(self.folders[name], signature=signature)
        if self._loaded is not None:
            self._loaded[name] = Loaded(facts, self._load_key(name, facts))
            self._judge((name,))

    def loaded(self) -> Mapping[str, Loaded]:
        """Return every collection that was loaded as it is now."""
        if self._current is None:
            self._current = {}
            self._judge(self._loaded or ())
        return self._current

    def _judge(self, names: Iterable[str]) -> None:
        """Find out of some collections whether they are as they were loaded."""
        if self._current is None or self._loaded is None:
            return  # all will be asked for
        for name in names:
            loaded = self._loaded.get(name)
            if loaded and loaded.load_key == self._load_key(name, loaded.facts):
                self._current[name] = loaded
            else:
                self._current.pop(name, None)

    def _load_key(self, name: str, facts: Facts) -> str:
        """Return the identity of all that was read; the store is, for what is not in the folder."""
        store = self.store_key if facts.elsewhere or not facts.complete else ""
        return f"{self.folders[name].signature} {self._key} {store}"

    def look_at_store(self) -> str:
        """Return an identity of the content store: names, sizes, times and inodes of its blobs."""
        folder = self._options.source / self._options.store / "blobs"
        blobs = []
        for algorithm in sorted(_names(folder)):
            for entry in sorted(_names(folder / algorithm)):
                found = os.lstat(folder / algorithm / entry)
                times = (found.st_mtime_ns, changed_at(found))
                blobs.append((entry, found.st_mode, found.st_size, times, found.st_ino))
        return fingerprint(blobs)

    def booking(self, name: str, identity: str) -> Known:
        """Return what the record keeps of the bundle of that name and identity."""
        loaded = (self._loaded or {}).get(name.removeprefix(COLLECTION))
        if loaded is None or not name.startswith(COLLECTION):
            return Known(identity)
        return Known(identity, loaded.load_key, loaded.facts.to_text())


def _within(name: str, above: str) -> bool:
    return name == above or name.startswith(f"{above}/")


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
