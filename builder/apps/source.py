"""Web apps straight out of another registry: `/NAME/VERSION/` is what it says a tag holds.

A `Lookup` for the preview server. Tags are asked for again after a short
while; what they point to never changes, so an app is fetched and unpacked
once and kept by digest. Its answers take as long as the registry does: call
it from a thread of its own.
"""

from __future__ import annotations

import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from builder.apps.listing import listing_page
from builder.apps.model import (
    CONFIG_TYPE,
    App,
    AppFile,
    find_app,
    parse_config,
)
from builder.apps.publish import FOUND_PAGE, MISSING_PAGE
from builder.apps.store import AppStore
from builder.apps.unpack import MAX_BYTES, PAGE
from builder.errors import BuilderError, RemoteError
from builder.oci import mediatype
from builder.oci.content import read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.oci.reference import is_name, is_tag
from builder.oci.validate import ManifestError, parse_manifest
from builder.output import Entry
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError, RegistryClient, Repository
from builder.transports.archive import unpacked_limit
from builder.transports.remote import RemoteSource

FRESH = 5.0  # seconds for which what a tag points to is believed
CACHE_BYTES = 2 << 30  # of unpacked apps on the disk
_REMEMBERED = 1000  # tags, and pages: any path can be asked for
_LISTING = "listing"
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a tag was found to be: what it points to, the app in that, or what went wrong."""

    until: float = 0.0
    top: Digest | None = None
    app: Digest | None = None
    error: BuilderError | None = None


class RegistryApps:
    """The apps of one registry; `cache` is a folder for what is unpacked.

    `config_type` is the media type that makes an artifact an app; `limit` how
    many bytes of them are kept.
    """

    def __init__(
        self,
        host: str,
        options: RemoteOptions,
        cache: Path,
        *,
        config_type: str = CONFIG_TYPE,
        limit: int = CACHE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self._client = RegistryClient(host, options)
        self._store = AppStore(cache)
        self._config_type = config_type
        self._limit = limit
        self._clock = clock
        self._seen: _Recent[tuple[str, str], _Seen] = _Recent()
        self._pages: _Recent[str, tuple[float, bytes]] = _Recent()
        self._room = threading.Condition()
        self._promised = 0  # bytes, to apps that are being unpacked
        self._locks = [threading.Lock() for _ in range(64)]

    def check(self) -> None:
        """Raise RemoteError when the registry cannot be reached at all."""
        _ = self._client.base

    def find(self, path: str) -> Entry | None:
        """Return a file of an app, or a page that lists what there is.

        Raises RemoteError when the registry does not say, ContentError for an
        app that cannot be unpacked.
        """
        failure: BuilderError | None = None
        for name, tag, inner in _splits(path):
            try:
                app = self._app(name, tag)
            except BuilderError as error:  # a name that is none may be refused like a secret one
                failure = failure or error
                continue
            if app is not None:
                return _entry(app, path, inner)
        if failure is not None:
            raise failure
        name = path.removesuffix(PAGE).removesuffix("/")
        return self._listing(name, path) if path in (PAGE, f"{name}/{PAGE}") else None

    def owner(self, path: str) -> str:
        """Return the repository whose app answers for a path; empty where none does."""
        for name, tag, _ in _splits(f"{path}/"):
            with suppress(BuilderError):
                if self._app(name, tag) is not None:
                    return name
        return ""

    def open(self, entry: Entry) -> BinaryIO:
        """Open what `find` returned; raises FileNotFoundError."""
        if entry.fingerprint == _LISTING:
            if (page := self._pages.get(entry.path)) is None:
                raise FileNotFoundError(entry.path)
            return io.BytesIO(page[1])
        file = AppFile(entry.size, entry.digest)
        return self._store.path(Digest(entry.fingerprint), file).open("rb")

    def under(self, prefix: str) -> Iterator[Entry]:
        """Yield nothing: what there is is not known before it is asked for."""
        del prefix
        return iter(())

    def _app(self, name: str, tag: str) -> App | None:
        """Return the app a tag holds; None for a tag that is not there or holds none.

        While the registry is away, what a tag held last is what it holds.
        """
        seen = self._seen.get((name, tag)) or _Seen()
        if self._clock() >= seen.until:
            try:
                fresh = self._resolved(name, tag, seen)
            except RemoteError as error:
                fresh = replace(seen, error=None if seen.app else error)
            except BuilderError as error:
                fresh = _Seen(error=error)
            seen = replace(fresh, until=self._clock() + FRESH)
            self._seen.put((name, tag), seen)
        if seen.error is not None:
            raise seen.error.with_traceback(None)
        if seen.app is None:
            return None
        if (app := self._store.get(seen.app)) is not None:
            return app
        return self._fetched(self._client.repository(name), seen.app)  # forgotten meanwhile

    def _resolved(self, name: str, tag: str, seen: _Seen) -> _Seen:
        repository = self._client.repository(name)
        top = repository.head(tag)
        if top is None:
            return _Seen()
        if top.digest == seen.top and seen.error is None:
            return seen
        source = RemoteSource(repository, "", repository.label)
        found = find_app(
            _manifest(source, top), lambda item: _manifest(source, item), self._config_type
        )
        if found is None:
            return _Seen(top=top.digest)
        self._unpack(source, found)
        return _Seen(top=top.digest, app=found.digest)

    def _fetched(self, repository: Repository, digest: Digest) -> App:
        source = RemoteSource(repository, "", repository.label)
        descriptor, raw = repository.manifest(digest)
        return self._unpack(source, parse_manifest(raw, descriptor.media_type, allow_foreign=True))

    def _unpack(self, source: RemoteSource, manifest: Manifest) -> App:
        """Return an app, fetched and unpacked by one thread while others that want it wait."""
        config = manifest.config
        if config is None:
            raise RemoteError(f"{source.label}: {manifest.digest} has no config")
        with self._locks[int(manifest.digest.encoded[:2], 16) % len(self._locks)]:
            if (known := self._store.get(manifest.digest)) is not None:
                return known
            options = parse_config(read_verified(source, config, source.label), source.label)
            with self._room_for(manifest):
                return self._store.unpack(
                    manifest.digest, options, manifest.layers, source, source.label
                )

    @contextmanager
    def _room_for(self, manifest: Manifest) -> Iterator[None]:
        """Make room for the most that an app may unpack to; wait for it if need be."""
        most = min(MAX_BYTES, sum(unpacked_limit(layer.size) for layer in manifest.layers))
        most = min(most, self._limit)
        with self._room:
            self._room.wait_for(lambda: self._promised + most <= self._limit)
            self._promised += most
            self._store.trim(self._limit - self._promised)
        try:
            yield
        finally:
            with self._room:
                self._promised -= most
                self._room.notify_all()

    def _listing(self, name: str, path: str) -> Entry | None:
        """Return a page of links: the registry's repositories, or the tags of one."""
        until, data = self._pages.get(path) or (0.0, b"")
        if self._clock() >= until:
            if name and not (names := self._tags_of(name)):
                return None
            data = listing_page(name or self.host, names if name else self._repositories())
            self._pages.put(path, (self._clock() + FRESH, data))
        kind = "text/html; charset=utf-8"
        return Entry(path, kind, (), Digest.of(data), len(data), fingerprint=_LISTING)

    def _repositories(self) -> list[str]:
        """Return what the registry tells of; many tell nothing."""
        try:
            return [name for name in self._client.catalog() if is_name(name)]
        except RemoteError:
            return []

    def _tags_of(self, name: str) -> list[str]:
        if not is_name(name):
            return []
        try:
            return [tag for tag in self._client.repository(name).tags() if is_tag(tag)]
        except NotFoundError:
            return []


class _Recent(Generic[Key, Value]):
    """The values that were put last, so many and no more."""

    def __init__(self) -> None:
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """Return a value that is still here."""
        return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, and forget the one that was put longest ago."""
        with self._guard:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > _REMEMBERED:
                self._values.popitem(last=False)


def _entry(app: App, path: str, inner: str) -> Entry | None:
    file = app.files.get(inner)
    if file is None and app.config.spa and inner in (FOUND_PAGE, MISSING_PAGE):
        file = app.files[PAGE]
    if file is None:
        return None
    manifest = str(app.manifest)
    return Entry(
        path,
        mediatype.with_charset(mediatype.of_file(inner)),
        (),
        file.digest,
        file.size,
        fingerprint=manifest,
    )


def _splits(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield what a path could mean: name, version, and the path inside the app."""
    parts = path.split("/")
    for count in range(1, len(parts) - 1):
        name, tag = "/".join(parts[:count]), parts[count]
        if is_name(name) and is_tag(tag):
            yield name, tag, "/".join(parts[count + 1 :])


def _manifest(source: RemoteSource, descriptor: Descriptor) -> Manifest | None:
    """Return a manifest of a registry; None for content that is none."""
    if descriptor.media_type not in mediatype.MANIFESTS:
        return None
    raw = read_verified(source, descriptor, source.label)
    try:
        return parse_manifest(raw, descriptor.media_type, allow_foreign=True)
    except ManifestError as error:
        raise error.located(source.label, descriptor.digest) from None
