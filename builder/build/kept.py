"""What was made of collections, kept for builds that find neither a record nor a site.

A new checkout has other times and inodes, and no record holds for it. So what a
collection became is kept under its bytes: while they, the configuration, the
layouts and all software are as they were, it is neither loaded nor rendered
again, only written. What is kept is the work of one whole build, in a file of
its own: nothing has to be looked for that can go.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from builder.build.facts import Facts
from builder.config import Config
from builder.errors import BuilderError
from builder.fingerprint import fingerprint, software_key
from builder.layers.compression import packed, unpacked
from builder.output import Data, File, Output, Redirect
from builder.registry.content import encoded_digest
from builder.registry.scan import is_litter
from builder.storage.cache import Cache, CacheItem, files_of
from builder.storage.local import ALGORITHMS, CHUNK, open_regular

_MOST_FILES, _MOST_BYTES = 500, 1 << 20  # of one collection: what is larger is made again
_CHUNK = 64  # collections that are written at once


def anywhere(config: Config) -> Config:
    """Return a configuration without the paths of this machine."""
    nowhere = Path()
    return replace(
        config,
        source=nowhere,
        destination=nowhere,
        registry=replace(config.registry, source=nowhere),
        site=replace(config.site, source=nowhere, destination=""),
        files=(),
    )


def content_mark(folder: Path, cache: Cache, sound: Container[str] = ()) -> str:
    """Return an identity of all names below a folder, and of its files' bytes.

    A blob that `cache` knows to have been hashed, as it is now, is not read
    again, nor is one whose digest is in `sound`: what has just been verified.
    Raises OSError, ContentError and LocalError for what cannot be read.
    """
    total = hashlib.blake2b(digest_size=16)
    root = os.fspath(folder)
    for inner in _paths(root, ""):
        content = "" if inner.endswith("/") else _content(f"{root}/{inner}", cache, sound)
        total.update(os.fsencode(f"{inner}\0{content}\n"))
    return total.hexdigest()


def _paths(root: str, inner: str) -> Iterator[str]:
    """Yield all folders, with a `/` at their ends, and files below one."""
    with os.scandir(f"{root}/{inner}") as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{inner}{entry.name}"
        if is_litter(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield f"{path}/"
            yield from _paths(root, f"{path}/")
        else:
            yield path


def _content(path: str, cache: Cache, sound: Container[str]) -> str:
    """Return what identifies a file's bytes, and whether it may be run, as a recipe's may."""
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return "link"
    kind = "x" if found.st_mode & stat.S_IXUSR else "-"
    algorithm, name = path.split("/")[-2:]
    if algorithm in ALGORITHMS:
        digest = f"{algorithm}:{name}"
        return kind + (
            name if digest in sound else encoded_digest(path, digest, found, cache, path)
        )
    with open_regular(path, path) as file:
        return kind + _hash(file)


def _hash(file: BinaryIO) -> str:
    total = hashlib.blake2b()
    while chunk := file.read(CHUNK):
        total.update(chunk)
    return total.hexdigest()


class _Entry(NamedTuple):
    """What is kept of one collection: what its bytes are, and all that its files were made of."""

    facts: str
    content: str
    identity: str
    files: bytes

    @classmethod
    def of(cls, value: bytes) -> _Entry:
        facts, content, identity, files = value.split(b"\n", 3)
        return cls(facts.decode(), content.decode(), identity.decode(), files)


class Kept:
    """What the file `path` keeps of collections; `config` is what all of them were made with."""

    def __init__(self, path: Path, config: Config) -> None:
        self._cache = Cache(path) if path.exists() else None
        self._origin = fingerprint(software_key(), anywhere(config))
        self._contents: dict[str, str] = {}
        self._made_of: dict[str, str] = {}

    def facts(self, name: str, folder: Path, hashed: Cache) -> Facts | None:
        """Return the facts of a collection that was loaded from the very bytes it has now."""
        found = self._find(name)
        if found is None or found.content != self._content(name, folder, hashed):
            return None
        with suppress(ValueError):
            return Facts.from_text(found.facts)
        return None

    def learn(
        self, name: str, facts: Facts, folder: Path, hashed: Cache, sound: Container[str] = ()
    ) -> None:
        """Know what a collection is made of, of which the blobs `sound` were verified.

        What has parts in other places is not kept.
        """
        kept = facts.complete and not facts.elsewhere
        if kept and (content := self._content(name, folder, hashed, sound)):
            self._made_of[name] = fingerprint(content, facts.answers)

    def _content(self, name: str, folder: Path, hashed: Cache, sound: Container[str] = ()) -> str:
        """Return the identity of what a collection is made from, or nothing."""
        if name not in self._contents:
            try:
                mark = content_mark(folder, hashed, sound)
            except (OSError, BuilderError):
                return ""  # whoever loads it says what is wrong
            self._contents[name] = fingerprint(self._origin, mark)
        return self._contents[name]

    def outputs(self, name: str, made_with: object, folder: Path) -> list[Output] | None:
        """Return what was made of a collection of the same bytes, with the same."""
        found = self._find(name) if name in self._made_of else None
        if found is None or found.identity != self._identity(name, made_with):
            return None
        return list(_unpacked(found.files, folder))

    def keeps(self, name: str, outputs: Sequence[Output]) -> bool:
        """Tell whether it is worth while to keep what is made of a collection."""
        return name in self._made_of and len(outputs) <= _MOST_FILES

    def entry(
        self, name: str, made_with: object, outputs: Iterable[Output], folder: Path
    ) -> bytes | None:
        """Return what is to be kept of a collection, but its facts; all bodies are there."""
        if (files := _packed(outputs, folder)) is None:
            return None
        mark = f"{self._contents[name]}\n{self._identity(name, made_with)}\n"
        return mark.encode() + files

    def _identity(self, name: str, made_with: object) -> str:
        return fingerprint(self._made_of[name], made_with)

    def _find(self, name: str) -> _Entry | None:
        value = self._cache.get(name) if self._cache is not None else None
        return None if value is None else _Entry.of(value)


def _packed(outputs: Iterable[Output], folder: Path) -> bytes | None:
    """Return outputs as bytes; None for what is streamed, large, or not in the folder."""
    bodies: dict[bytes, int] = {}
    rows: list[list[Any]] = []
    inside = f"{folder}/"
    for output in outputs:
        body = output.body
        if isinstance(body, Redirect):
            told: list[Any] = [body.to, body.status]
        elif isinstance(body, File) and (path := str(body.path)).startswith(inside):
            told = [path.removeprefix(inside), body.size, body.digest]
        elif isinstance(body, Data):
            told = [bodies.setdefault(body.data, len(bodies))]
        else:
            return None
        rows.append([
            told, output.path, output.media_type, output.origin, output.fingerprint,
            output.headers, output.folder_answer, output.copy_of,
        ])  # fmt: skip
    if sum(map(len, bodies)) > _MOST_BYTES:
        return None
    head = json.dumps([[*map(len, bodies)], rows]).encode()
    return packed(head + b"\n" + b"".join(bodies))


def _unpacked(files: bytes, folder: Path) -> Iterator[Output]:
    head, _, rest = unpacked(files).partition(b"\n")
    sizes, rows = json.loads(head)
    bodies = []
    start = 0
    for size in sizes:
        bodies.append(Data(rest[start : start + size]))
        start += size
    for told, path, media_type, origin, mark, headers, folder_answer, copy_of in rows:
        if len(told) == 1:
            body: Data | File | Redirect = bodies[told[0]]
        else:
            body = Redirect(*told) if len(told) == 2 else File(folder / told[0], *told[1:])
        pairs = tuple((key, value) for key, value in headers)
        yield Output(path, media_type, body, origin, mark, pairs, folder_answer, copy_of)


class Keeping:
    """Writes what one whole build keeps; it takes the place of what the last one kept.

    Nothing is held open between two calls: processes may be forked then. `path`
    None is for builds that are given nothing to keep.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._waiting: list[CacheItem] = []
        self._added: set[str] = set()

    def begin(self) -> None:
        """Begin with nothing, whatever an earlier run left."""
        self._waiting, self._added = [], set()
        for file in files_of(self._new) if self._path else ():
            file.unlink(missing_ok=True)

    def add(self, name: str, facts: str, entry: bytes) -> None:
        """Keep one collection, if the build succeeds."""
        self._add(name, facts.encode() + b"\n" + entry)

    def _add(self, name: str, value: bytes) -> None:
        self._waiting.append((name, value))
        self._added.add(name)
        if len(self._waiting) >= _CHUNK:
            self._write()

    def finish(self, names: Iterable[str]) -> None:
        """Let it be seen, with what the last build kept of other collections of these names."""
        if self._path is None or not self._added:
            return
        before = Cache(self._path)
        for name in names:
            if name not in self._added and (value := before.get(name)) is not None:
                self._add(name, value)
        before.close()
        self._write()
        with suppress(OSError):  # its loss costs time alone
            for file in files_of(self._path):
                file.unlink(missing_ok=True)
            os.replace(self._new, self._path)
        self.begin()

    @property
    def _new(self) -> Path:
        return (self._path or Path()).with_suffix(".new")

    def _write(self) -> None:
        cache = Cache(self._new)
        cache.save(self._waiting)
        cache.close()
        self._waiting = []
