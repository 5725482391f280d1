"""A static site as what the preview server serves: checked, typed and kept by digest.

A `Lookup` whose answers take as long as the site does: call it from a thread
of its own. What a tag points to and the lists are believed for five seconds;
what has a digest never changes.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from builder.errors import RemoteError
from builder.oci import mediatype, strictjson
from builder.oci.digest import DIGEST_HEADER, Digest, looks_like_digest
from builder.oci.manifest import Manifest
from builder.oci.reference import is_any_tag, is_name
from builder.oci.schema1 import payload_of
from builder.oci.validate import ManifestError, parse_manifest
from builder.output import Entry
from builder.proxy.cache import BlobCache
from builder.proxy.fetch import Fetches
from builder.proxy.fresh import Fresh, Recent
from builder.proxy.site import Place, Site, Text
from builder.registry.endpoints import as_json
from builder.remote.pages import MAX_PAGE
from builder.remote.registry import NotFoundError

_PATH = re.compile(r"v2/(?P<name>.+)/(?P<kind>manifests|blobs|referrers|tags)/(?P<ref>[^/]+)")
_MEMORY = 64 << 20  # bytes of small files and of manifests, each
_PLACES = 10_000


class ProxiedSite:
    """What `site` publishes below `/v2/`; blobs and manifests are kept in `cache`."""

    def __init__(
        self, site: Site, cache: BlobCache, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._site = site
        self._cache = cache
        self._fetches = Fetches(cache)
        self._texts: Fresh[Text] = Fresh(site.text, lambda it: len(it.raw), _MEMORY, clock)
        self._places: Fresh[Place] = Fresh(self._place, lambda _: 0, _PLACES * 1000, clock)
        self._manifests: Recent[Manifest] = Recent(_MEMORY)
        self._bodies: Recent[bytes] = Recent(_MEMORY)
        # Of blobs, as the manifests of the same repository give them.
        self._sizes: Recent[int] = Recent(_PLACES)

    def find(self, path: str) -> Entry | None:
        """Return what the site has at a path; raises RemoteError when that is wrong."""
        if path == "v2/index.json":
            return self._entry(path, mediatype.JSON, b"{}\n")
        if path == "v2/_catalog":
            return self._list(path, {}, "repositories", is_name)
        found = _PATH.fullmatch(path)
        if found is None or not is_name(found["name"]):
            return None
        return self._below(path, found["name"], found["kind"], found["ref"])

    def _below(self, path: str, name: str, kind: str, reference: str) -> Entry | None:
        if kind == "tags":
            return (
                self._list(path, {"name": name}, "tags", is_any_tag)
                if reference == "list"
                else None
            )
        digest = Digest(reference) if looks_like_digest(reference) else None
        if kind == "manifests":
            return self._manifest(path, reference, digest)
        if digest is None:
            return None
        return self._blob(path, name, digest) if kind == "blobs" else self._referrers(name, digest)

    def open(self, entry: Entry, *, whole: bool = False) -> BinaryIO:
        """Open what `find` returned; `whole` waits until all of it is verified.

        Raises FileNotFoundError for what was removed meanwhile, RemoteError.
        """
        if (body := self._bodies.get(entry.digest)) is not None:
            return io.BytesIO(body)
        found = _PATH.fullmatch(entry.path)
        if found is None or found["kind"] != "blobs":
            raise FileNotFoundError(entry.path)
        digest = Digest(entry.digest)
        try:
            return self._fetches.open(
                digest, entry.size, lambda: self._arriving(found["name"], digest, entry.size),
                whole=whole,
            )  # fmt: skip
        except NotFoundError as error:
            raise FileNotFoundError(entry.path) from error

    def under(self, prefix: str) -> Iterator[Entry]:
        """Yield a repository's list of tags: what else there is shows when it is asked for."""
        entry = self.find(f"{prefix}tags/list")
        if entry is not None:
            yield entry

    def _arriving(self, name: str, digest: Digest, size: int) -> io.RawIOBase:
        place = self._places.get(f"{name}/blobs/{digest}")
        if place is None:
            raise NotFoundError(f"{digest} is not in {name}")
        return self._site.open(place, size)

    def _place(self, key: str, last: Place | None) -> Place | None:
        del last
        name, _, digest = key.rpartition("/blobs/")
        return self._site.place(name, Digest(digest))

    def _blob(self, path: str, name: str, digest: Digest) -> Entry | None:
        size = self._fetches.size(digest)
        if size is None:
            place = self._places.get(f"{name}/blobs/{digest}")
            if place is None:
                return None
            size = self._size(f"{name}/blobs/{digest}", place)
        return Entry(path, mediatype.OCTET_STREAM, ((DIGEST_HEADER, digest),), digest, size)

    def _size(self, key: str, place: Place) -> int:
        """Return how long a blob is, by its manifest and by what its server says."""
        size = self._sizes.get(key)
        if size is None and place.size is None:
            raise RemoteError(f"{place.url}: the server does not say how long it is")
        if size is not None and place.size not in (None, size):
            message = f"{place.url}: {place.size} bytes where the manifest says {size}"
            raise RemoteError(message, "the site serves other bytes than its manifests promise")
        return size if size is not None else place.size or 0

    def _manifest(self, path: str, reference: str, digest: Digest | None) -> Entry | None:
        """Return a manifest by its tag or digest, with the type that its bytes have."""
        if digest is None and not is_any_tag(reference):
            return None
        raw = self._kept(digest) if digest else None
        if raw is None:
            if (text := self._texts.get(path)) is None:
                return None
            raw = text.raw
        manifest = self._parsed(path, raw)
        if digest and digest != manifest.digest and not digest.matches(raw):
            message = f"{self._site.url}/{path}: the bytes do not have the digest"
            raise RemoteError(message, "the site has changed them, or somebody on the way")
        return self._entry(path, manifest.media_type, raw, digest or manifest.digest)

    def _kept(self, digest: Digest) -> bytes | None:
        if (known := self._manifests.get(digest)) is not None:
            return known.raw
        size = self._cache.size(digest)
        if size is None or size > strictjson.MAX_BYTES:
            return None
        stream = self._cache.open(digest)
        if stream is None:
            return None
        with stream:
            raw = stream.read()
        return raw if digest.matches(raw) else None

    def _parsed(self, path: str, raw: bytes) -> Manifest:
        """Return a manifest, checked; keep it, and what it says of its parts."""
        own = Digest.of(raw)
        manifest = self._manifests.get(own) or self._new(path, own, raw)
        name = path.removeprefix("v2/").rpartition("/manifests/")[0]
        for part in manifest.children():
            self._sizes.put(f"{name}/blobs/{part.digest}", part.size)
        return manifest

    def _new(self, path: str, own: Digest, raw: bytes) -> Manifest:
        try:
            manifest = _schema1(raw) or parse_manifest(raw, allow_foreign=True)
        except ManifestError as error:
            message = f"{self._site.url}/{path}: is no manifest: {error.message}"
            raise RemoteError(message) from None
        self._manifests.put(own, manifest, len(raw))
        if manifest.digest == own and self._cache.size(own) is None:
            self._cache.put(own, raw)
        return manifest

    def _referrers(self, name: str, digest: Digest) -> Entry | None:
        """Return what refers to a manifest: the site's list, else that of the tag schema.

        Source: distribution-spec, "Listing Referrers" and "Referrers Tag Schema".
        """
        own = f"v2/{name}/referrers/{digest}"
        for path in (own, f"v2/{name}/manifests/{digest.referrers_tag}"):
            if (text := self._texts.get(path)) is None:
                continue
            try:
                parse_manifest(text.raw, mediatype.OCI_INDEX, allow_foreign=True)
            except ManifestError as error:
                message = f"{self._site.url}/{path}: is not a list of referrers: {error.message}"
                raise RemoteError(message) from None
            return self._entry(own, mediatype.OCI_INDEX, text.raw)
        return None

    def _list(
        self, path: str, document: dict[str, Any], key: str, is_item: Callable[[str], bool]
    ) -> Entry | None:
        """Return a list of the site's in byte order, without what cannot be in it."""
        if (text := self._texts.get(path)) is None:
            return None
        where = f"{self._site.url}/{path}"
        try:
            found = strictjson.loads(text.raw, limit=MAX_PAGE)
        except strictjson.StrictJSONError as error:
            raise RemoteError(f"{where}: is not a list of {key}: {error.message}") from None
        items = found.get(key) if isinstance(found, dict) else None
        if not isinstance(items, list):
            raise RemoteError(f"{where}: is not a list of {key}")
        document[key] = _sorted(item for item in items if isinstance(item, str) and is_item(item))
        return self._entry(path, mediatype.JSON, as_json(document))

    def _entry(self, path: str, media_type: str, raw: bytes, digest: str = "") -> Entry:
        """Return the entry of a small answer, and keep its bytes for `open`."""
        headers = ((DIGEST_HEADER, digest),) if digest else ()
        digest = digest or Digest.of(raw)
        self._bodies.put(digest, raw, len(raw))
        return Entry(path, media_type, headers, digest, len(raw))


def _schema1(raw: bytes) -> Manifest | None:
    """Return a signed manifest of Docker's oldest format, whose digest is that of its payload.

    None for anything else, also for what could be taken for something else.
    """
    payload = payload_of(raw)
    if payload is None:
        return None
    known = set(strictjson.loads(raw))
    if not {"fsLayers", "history"} <= known or known & {"mediaType", "manifests", "layers"}:
        return None
    return Manifest(raw, mediatype.SCHEMA1, Digest.of(payload))


def _sorted(items: Iterable[str]) -> list[str]:
    return sorted(set(items))
