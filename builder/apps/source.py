"""Web apps straight out of another registry: `/NAME/VERSION/` is what it says a tag holds.

A `Lookup` for the preview server. Tags are asked for again after a short
while; what they point to never changes, so an app is fetched and unpacked
once and kept by digest. Its answers take as long as the registry does: call
it from a thread of its own.
"""

from __future__ import annotations

import html
import io
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from builder.apps.model import App, AppFile, is_app, media_type_of, parse_config
from builder.apps.publish import FOUND_PAGE, MISSING_PAGE
from builder.apps.unpack import AppStore
from builder.errors import RemoteError
from builder.oci import mediatype
from builder.oci.content import opened, read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.oci.reference import name_fault, tag_fault
from builder.oci.validate import parse_manifest
from builder.output import Entry
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError, RegistryClient, Repository
from builder.transports.remote import RemoteSource

FRESH = 5.0  # seconds for which what a tag points to is believed
_PAGE = "index.html"


class RegistryApps:
    """The apps of one registry; `cache` is a folder for what is unpacked."""

    def __init__(
        self,
        host: str,
        options: RemoteOptions,
        cache: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self._client = RegistryClient(host, options)
        self._store = AppStore(cache)
        self._cache = cache
        self._clock = clock
        self._tags: dict[tuple[str, str], tuple[float, App | None]] = {}
        self._pages: dict[str, tuple[float, bytes]] = {}
        self._locks: dict[Digest, threading.Lock] = {}
        self._guard = threading.Lock()

    def check(self) -> None:
        """Raise RemoteError when the registry cannot be reached at all."""
        _ = self._client.base

    def find(self, path: str) -> Entry | None:
        """Return a file of an app, or a page that lists what there is."""
        if path == _PAGE:
            return self._listing("", path)
        for name, tag, inner in _splits(path):
            app = self._app(name, tag)
            if app is not None:
                return self._entry(app, path, inner)
        name = path.removesuffix(f"/{_PAGE}")
        return self._listing(name, path) if name != path else None

    def open(self, entry: Entry) -> BinaryIO:
        """Open what `find` returned; raises FileNotFoundError."""
        if entry.location == "" and entry.fingerprint == "page":
            return io.BytesIO(self._pages[entry.path][1])
        return self._store.path(AppFile(entry.size, entry.digest)).open("rb")

    def under(self, prefix: str) -> Iterator[Entry]:
        """Yield nothing: what there is is not known before it is asked for."""
        del prefix
        return iter(())

    def _entry(self, app: App, path: str, inner: str) -> Entry | None:
        file = app.files.get(inner)
        if file is None and app.config.spa and inner in (FOUND_PAGE, MISSING_PAGE):
            file = app.files["index.html"]
        if file is None:
            return None
        return Entry(path, media_type_of(inner), (), file.digest, file.size)

    def _app(self, name: str, tag: str) -> App | None:
        """Return the app a tag holds; None for a tag that is not there or holds none."""
        until, known = self._tags.get((name, tag), (0.0, None))
        if self._clock() < until:
            return known
        repository = self._client.repository(name)
        descriptor = repository.head(tag)
        app = self._fetched(repository, descriptor) if descriptor is not None else None
        self._tags[name, tag] = (self._clock() + FRESH, app)
        return app

    def _fetched(self, repository: Repository, descriptor: Descriptor) -> App | None:
        with self._guard:
            lock = self._locks.setdefault(descriptor.digest, threading.Lock())
        with lock:
            source = RemoteSource(repository, "", repository.label)
            manifest = self._manifest(source, descriptor)
            if manifest is None or manifest.config is None or not is_app(manifest):
                return None
            if (known := self._store.get(manifest.digest)) is not None:
                return known
            raw = read_verified(source, manifest.config, repository.label)
            config = parse_config(raw, repository.label)
            self._cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=self._cache) as folder:
                layers = [
                    lambda layer=layer: _download(source, layer, Path(folder))
                    for layer in manifest.layers
                ]
                return self._store.unpack(manifest.digest, config, layers, repository.label)

    def _manifest(self, source: RemoteSource, descriptor: Descriptor) -> Manifest | None:
        """Return the app's manifest, out of an index around it if there is one."""
        raw = read_verified(source, descriptor, source.label)
        manifest = parse_manifest(raw, descriptor.media_type, allow_foreign=True)
        if not manifest.is_index:
            return manifest
        for child in manifest.manifests:
            if child.media_type in mediatype.IMAGE_MANIFESTS:
                raw = read_verified(source, child, source.label)
                found = parse_manifest(raw, child.media_type, allow_foreign=True)
                if is_app(found):
                    return found
        return None

    def _listing(self, name: str, path: str) -> Entry | None:
        """Return a page of links: the registry's repositories, or the tags of one."""
        until, data = self._pages.get(path, (0.0, b""))
        if self._clock() >= until:
            try:
                names = list(self._client.catalog() if not name else self._tags_of(name))
            except RemoteError:
                names = []
            if not names and name:
                return None
            data = _page(name or self.host, sorted(names))
            self._pages[path] = (self._clock() + FRESH, data)
        return Entry(path, "text/html", (), Digest.of(data), len(data), fingerprint="page")

    def _tags_of(self, name: str) -> Iterator[str]:
        if name_fault(name):
            return
        try:
            yield from self._client.repository(name).tags()
        except NotFoundError:
            return


def _splits(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield what a path could mean: name, version, and the path inside the app."""
    parts = path.split("/")
    for count in range(1, len(parts) - 1):
        name, tag = "/".join(parts[:count]), parts[count]
        if not name_fault(name) and not tag_fault(tag):
            yield name, tag, "/".join(parts[count + 1 :])


def _download(source: RemoteSource, layer: Descriptor, folder: Path) -> Path:
    """Return a verified layer in a file; raises ContentError for other bytes."""
    path = folder / layer.digest.encoded
    with opened(source, layer, source.label) as verified, path.open("wb") as file:
        shutil.copyfileobj(verified, file, 1 << 20)
    return path


_LIST = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>body{{font:1.05rem/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}
li{{margin:.2rem 0}}</style></head>
<body><main><h1>{title}</h1><ul>{items}</ul></main></body></html>
"""


def _page(title: str, names: list[str]) -> bytes:
    items = "".join(
        f'<li><a href="{html.escape(name)}/">{html.escape(name)}</a></li>' for name in names
    )
    empty = "<li>nothing that this registry tells of</li>"
    return _LIST.format(title=html.escape(title), items=items or empty).encode()
