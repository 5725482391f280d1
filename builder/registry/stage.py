"""The next state of a collection: made in hidden folders, judged, then put in place.

Nothing of it is seen before `commit`, which renames: content first, the names
that lead to it last. Nothing is brought to the disk before, and then all of
it together. What a killed run leaves is hidden, and swept by the next. Call with `edit.lock` held.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from builder.errors import ContentError, LocalError, Problem
from builder.oci.content import is_held
from builder.oci.descriptor import Descriptor
from builder.registry.content import hashed_key, was_hashed
from builder.registry.folder import TAGS, CollectionFolder
from builder.registry.load import load_collection
from builder.registry.model import RegistryOptions, Staged
from builder.registry.recipe import MANIFEST
from builder.registry.scan import README, is_litter
from builder.storage import LocalStorage
from builder.storage.base import Source
from builder.storage.cache import Cache
from builder.storage.local import (
    TEMPORARY,
    make_folder,
    open_regular,
    sync_files,
    sync_folder,
    sync_names,
    write_whole,
)

OUTGOING = ".builder-cache/outgoing"  # where what goes elsewhere waits until it was judged
_numbers = itertools.count()  # several may be made at once
# Says what is wrong with the collection of that name, `options.staged` being its state.
Judge = Callable[[RegistryOptions, str, Cache], Iterable[Problem]]


def judge_collection(options: RegistryOptions, name: str, cache: Cache) -> Iterable[Problem]:
    """Return what the loader says of a collection: the judge where no site is known."""
    return load_collection(options, name, cache).problems


def refuse(judge: Judge, options: RegistryOptions, staged: Staged, cache: Cache) -> None:
    """Raise ContentError with all that a judge has against the next state of a collection.

    What was wrong with other tags before is no reason.
    """
    folder = options.source / options.collections / staged.name
    judged = replace(options, staged=staged)
    problems = {item for item in judge(judged, staged.name, cache) if not item.warning}
    if problems and folder.is_dir():
        mine = set(_names(staged.folder / TAGS))
        others = f"{options.collections}/{staged.name}/{TAGS}/"
        known = {
            item
            for item in judge(options, staged.name, cache)
            if item.path.startswith(others)
            and item.path.removeprefix(others).partition("/")[0] not in mine
        }
        problems -= known
    if problems:
        raise ContentError(problems)


class Stage:
    """What a collection is to become; a context manager that leaves nothing behind.

    `blobs` are the collection's own, `large` those of the content store.
    """

    def __init__(self, options: RegistryOptions, folder: CollectionFolder) -> None:
        self._options = options
        self._target = folder
        self._lists = options.source / options.collections
        name = f"{TEMPORARY}{os.getpid()}-{next(_numbers)}"
        self.folder = self._lists / name
        self._store = options.source / options.store / name
        self.blobs = LocalStorage(self.folder, folder.origin, durable=False)
        self.large = LocalStorage(self._store, options.store, durable=False)
        self._shared = LocalStorage(options.source / options.store, options.store)
        self._cache = Cache(options.source / ".builder-cache" / "cache.sqlite")
        self._made = [path for path in (self._store.parent, self._lists) if not path.exists()]
        self._last: list[str] = []  # what is visible without a tag, once it is there
        self._tags: list[str] = []
        self._verified: list[str] = []

    def __enter__(self) -> Self:
        self._target.blobs.check()
        self._shared.check()
        return self

    def __exit__(self, *_: object) -> None:
        """Forget what was not put in place."""
        for path in (self.folder, self._store):
            shutil.rmtree(path, ignore_errors=True)
        for path in self._made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        self._cache.close()

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not (self.folder.exists() or self._store.exists())

    def learn(self, storage: LocalStorage, digest: str) -> None:
        """Note that a blob was verified while it was written, so that nobody hashes it again."""
        self._verified.append(digest)
        self._note(storage, digest)

    def _note(self, storage: LocalStorage, digest: str) -> None:
        self._cache.put(hashed_key(digest, os.lstat(storage.path(digest))), b"")

    def holds(self, storage: LocalStorage, descriptor: Descriptor) -> bool:
        """Tell whether a storage has content, hashing it unless somebody did since it changed."""
        if storage.size(descriptor.digest) != descriptor.size:
            return False
        return was_hashed(self._cache, storage, descriptor.digest) or is_held(storage, descriptor)

    def show_last(self, digest: str) -> None:
        """Put a blob in place after all others: it is a manifest that refers to another."""
        self._last.append(digest)

    def write_readme(self, text: str) -> None:
        """Let the collection have a README."""
        self._write(README, io.BytesIO(text.encode()))

    def write_tag(self, tag: str, manifest: bytes | None, readme: str) -> None:
        """Let a tag be `manifest` and `readme`; what else is in its folder stays."""
        if not self._tags and (text := self._target.readme()) is not None:
            self._write(self._target.readme_name(), io.BytesIO(text.encode()))
        self._tags.append(tag)
        self._copy(f"{TAGS}/{tag}")
        if manifest is not None:
            self._write(f"{TAGS}/{tag}/{MANIFEST}", io.BytesIO(manifest))
        name = self._target.readme_name(tag)
        self._write(f"{TAGS}/{tag}/{name}", io.BytesIO(readme.encode()))

    def judge(self, judge: Judge) -> None:
        """Raise ContentError, with every reason, unless a build would take it."""
        if self._options.companions.any:
            for tag in self._target.tags():
                if tag not in self._tags:
                    self._copy(f"{TAGS}/{tag}")
        staged = Staged(self._target.name, self.folder, self._store)
        self.folder.mkdir(parents=True, exist_ok=True)
        refuse(judge, self._options, staged, self._cache)
        self._cache.close()  # it belongs to the thread that opened it

    def commit(self) -> None:
        """Put it in place; on return all of it survives a power cut. Raises LocalError."""
        with _uninterrupted():
            try:
                self._settle()
                for stored in self.large.list():
                    self._shared.adopt(stored.digest, self.large.path(stored.digest))
                self._place()
            except OSError as error:
                raise LocalError.of(error, self._target.origin) from error
            self._cache.drain()  # of files that are elsewhere now
            for digest in self._verified:
                for storage in (self._target.blobs, self._shared):
                    if storage.size(digest) is not None:
                        self._note(storage, digest)
            self._cache.save(self._cache.drain())

    def _settle(self) -> None:
        """Bring all that is staged to the disk, with those names that go along with it."""
        for folder in (self._store, self.folder):
            sync_files(folder)
        if self.folder.is_dir():
            whole = not self._target.path.exists()
            for inner in [""] if whole else [f"{TAGS}/{tag}" for tag in self._tags]:
                sync_names(self.folder / inner)
        for path in self._made:
            if path.is_dir():
                sync_folder(path.parent)

    def _place(self) -> None:
        final = self._target.path
        fresh: list[str] = []
        try:
            if not final.exists() and self.folder.is_dir():
                make_folder(final.parent)
                self.folder.replace(final)
                sync_folder(final.parent)
                return
            self._place_blobs(fresh)
            for tag in self._tags:
                self._target.place_tag(tag, self.folder / TAGS / tag)
            if (self.folder / README).exists() and self._target.readme() is None:
                self._move(README)
        except BaseException:
            if not self._is_shown():
                for digest in reversed(fresh):  # what nothing leads to goes last, as it came first
                    self._target.blobs.delete(digest)
            self._target.prune()
            raise

    def _is_shown(self) -> bool:
        """Tell whether a tag may lead to what was staged: its manifest is here no more."""
        return any(not (self.folder / TAGS / tag / MANIFEST).exists() for tag in self._tags)

    def _place_blobs(self, fresh: list[str]) -> None:
        """Move the blobs, and note in `fresh` what was not there before."""
        target = LocalStorage(self._target.path, self._target.origin, durable=False)
        found = {stored.digest for stored in self.blobs.list()}
        for group in (found.difference(self._last), found.intersection(self._last)):
            for digest in sorted(group):
                if target.size(digest) is None:
                    fresh.append(digest)
                make_folder(target.path(digest).parent)
                target.adopt(digest, self.blobs.path(digest))
            for folder in {target.path(digest).parent for digest in group}:
                sync_folder(folder)
        for path in sorted((self.folder / "blobs").rglob("*")):
            if path.is_file():
                self._move(path.relative_to(self.folder).as_posix())

    def _move(self, inner: str) -> None:
        final = self._target.path / inner
        make_folder(final.parent)
        (self.folder / inner).replace(final)
        sync_folder(final.parent)

    def _copy(self, inner: str) -> None:
        """Bring over what a folder of the collection holds, for the judge to see."""
        before = self._target.path / inner
        for path in before.rglob("*"):
            name = path.relative_to(self._target.path).as_posix()
            if path.is_file() and not any(map(is_litter, name.split("/"))):
                with open_regular(path, name) as stream:
                    self._write(name, stream)

    def _write(self, inner: str, source: Source) -> None:
        path = self.folder / inner
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, source)
        except OSError as error:
            raise LocalError.of(error, f"{self._target.origin}/{inner}") from error


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C and SIGTERM off until the block has ended: it is short, and done whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came[:1]:
            os.kill(os.getpid(), late)


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []
