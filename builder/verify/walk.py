"""Following the registry's API from its catalog to the last blob.

Source: distribution-spec, "Content Discovery" and "Pull". Each step reads
one document and returns the steps that it leads to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from builder.errors import ContentError
from builder.oci import mediatype, strictjson
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, DigestError
from builder.oci.manifest import Manifest
from builder.oci.reference import name_fault, tag_fault
from builder.oci.schema1 import payload_of
from builder.oci.validate import ManifestError, parse_manifest
from builder.verify.findings import Finding

CATALOG = "v2/_catalog"
_MAX_LIST = 64 << 20  # bytes of a list of names or tags: a million of them
Task = Callable[[], Iterable["Task"]]


class Reader(Protocol):
    """What reads and checks the site's files; see `audit.verify.Verifier`."""

    def read(self, path: str, *, size: int | None = None, limit: int = ...) -> bytes:
        """Return a file of at most `limit` bytes, 4 MiB unless given."""

    def check(self, path: str, digest: Digest, size: int | None) -> None:
        """Hash a blob of the site."""

    def check_elsewhere(self, path: str, url: str, digest: Digest, size: int) -> None:
        """Hash a blob that is stored at a URL."""

    def add(self, *, names: int = 0, manifests: int = 0) -> None:
        """Count what was read."""

    def found(self, finding: Finding) -> None:
        """Note what is wrong."""

    def told(self, path: str, why: str = "") -> AbstractContextManager[None]:
        """Note what goes wrong with `path`, and go on."""


class _Repository:
    """One name, and what was begun below it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.v2 = f"v2/{name}"
        self._begun: set[object] = set()
        self._lock = threading.Lock()

    def begin(self, key: object) -> bool:
        """Tell whether nobody has begun with `key` yet."""
        with self._lock:
            is_new = key not in self._begun
            self._begun.add(key)
        return is_new


class Walk:
    """The steps; begin with `catalog`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def catalog(self, *, required: bool) -> Iterator[Task]:
        """Read the list of names; one that is not there is no fault unless `required`."""
        with self._reader.told(CATALOG):
            try:
                raw = self._reader.read(CATALOG, limit=_MAX_LIST)
            except FileNotFoundError:
                if required:
                    message = "there is neither a v2/_catalog nor a release.json"
                    hint = "is this the folder or address of a site, and may everybody read it?"
                    raise ContentError.at(CATALOG, message, hint) from None
                return
            names = _texts(_mapping(raw, CATALOG), "repositories", CATALOG)
            for name in names:
                if fault := name_fault(name):
                    self._reader.found(Finding(CATALOG, fault))
                    continue
                yield partial(self._name, _Repository(name))

    def _name(self, repository: _Repository) -> Iterator[Task]:
        path = f"{repository.v2}/tags/list"
        self._reader.add(names=1)
        with self._reader.told(path):
            document = _mapping(self._reader.read(path, limit=_MAX_LIST), path)
            if document.get("name") != repository.name:
                self._reader.found(Finding(path, "is the list of another name", repository.name,
                                           str(document.get("name"))))  # fmt: skip
            for tag in _texts(document, "tags", path):
                if fault := tag_fault(tag):
                    self._reader.found(Finding(path, fault))
                    continue
                yield partial(self._tag, repository, tag)

    def _tag(self, repository: _Repository, tag: str) -> Iterator[Task]:
        path = f"{repository.v2}/manifests/{tag}"
        with self._reader.told(path, ", although it is in the list of tags"):
            raw = self._reader.read(path)
            if b'"fsLayers"' in raw:
                yield from self._schema1(repository, raw, path)
            else:
                manifest = _parsed(raw, "", path)
                yield partial(self._manifest, repository, manifest.descriptor, path)

    def _schema1(self, repository: _Repository, raw: bytes, path: str) -> Iterator[Task]:
        """Yield the layers of a companion tag, whose sizes are not told."""
        for layer in _mapping(raw, path).get("fsLayers") or ():
            try:
                digest = Digest(layer["blobSum"])
            except (DigestError, KeyError, TypeError):
                raise ContentError.at(path, "is not a manifest of Docker's schema 1") from None
            yield partial(self._blob, repository, digest, None, path)
        if (payload := payload_of(raw)) is not None:
            yield partial(self._twin, repository, raw, Digest.of(payload), path)

    def _twin(
        self, repository: _Repository, raw: bytes, digest: Digest, origin: str
    ) -> Iterable[Task]:
        """Compare a companion tag with what is under the digest of its payload: the same bytes."""
        path = f"{repository.v2}/manifests/{digest}"
        with self._reader.told(path, f", which {origin} names"):
            if (found := self._reader.read(path)) != raw:
                expected, actual = Digest.of(raw), Digest.of(found)
                self._reader.found(Finding(path, f"is not what {origin} is", expected, actual))
            self._reader.add(manifests=1)
        return ()

    def _manifest(
        self, repository: _Repository, descriptor: Descriptor, origin: str
    ) -> Iterator[Task]:
        """Read a manifest by its digest; yield what it needs and what refers to it."""
        digest = descriptor.digest
        if not repository.begin((digest, descriptor.size)):
            return
        path = f"{repository.v2}/manifests/{digest}"
        with self._reader.told(path, f", which {origin} names"):
            raw = self._reader.read(path, size=descriptor.size)
            if not digest.matches(raw):
                actual = Digest.of(raw, digest.algorithm)
                self._reader.found(Finding(path, "has other content", digest, actual))
                return
            if len(raw) != descriptor.size:
                message = f"has another size than {origin} says"
                self._reader.found(Finding(path, message, str(descriptor.size), str(len(raw))))
            self._reader.add(manifests=1)
            manifest = _parsed(raw, descriptor.media_type, path)
            for child in manifest.children():
                if child.media_type in mediatype.MANIFESTS:
                    yield partial(self._manifest, repository, child, path)
                else:
                    yield partial(self._blob, repository, child.digest, child.size, path)
            yield partial(self._referrers, repository, digest)

    def _referrers(self, repository: _Repository, subject: Digest) -> Iterator[Task]:
        """Read what refers to a manifest: by the endpoint, else by the tag schema."""
        for path in (
            f"{repository.v2}/referrers/{subject}",
            f"{repository.v2}/manifests/{subject.referrers_tag}",
        ):
            with self._reader.told(path):
                try:
                    raw = self._reader.read(path)
                except FileNotFoundError:
                    continue
                for referrer in _parsed(raw, mediatype.OCI_INDEX, path).manifests:
                    yield partial(self._manifest, repository, referrer, path)
            return

    def _blob(
        self, repository: _Repository, digest: Digest, size: int | None, origin: str
    ) -> Iterable[Task]:
        if repository.begin((digest, size)):
            path = f"{repository.v2}/blobs/{digest}"
            with self._reader.told(path, f", which {origin} needs"):
                try:
                    self._reader.check(path, digest, size)
                except FileNotFoundError:
                    self._elsewhere(repository, digest, size)
        return ()

    def _elsewhere(self, repository: _Repository, digest: Digest, size: int | None) -> None:
        """Check a blob where the friendly answer says that it is stored.

        A host that cannot redirect has no other way to tell.
        """
        friendly = f"{repository.name}/blobs/{digest}/index.json"
        answer = _mapping(self._reader.read(friendly), friendly)
        url, said = answer.get("url"), answer.get("size")
        if not isinstance(url, str) or url.endswith(f"/{repository.v2}/blobs/{digest}"):
            raise FileNotFoundError
        if not isinstance(said, int) or (size is not None and said != size):
            expected = "" if size is None else str(size)
            self._reader.found(Finding(friendly, "reports another size", expected, str(said)))
            return
        path = f"{repository.v2}/blobs/{digest}"
        self._reader.check_elsewhere(path, url, digest, said)


def _mapping(raw: bytes, path: str) -> dict[str, Any]:
    try:
        document = strictjson.loads(raw, what="the answer", limit=_MAX_LIST)
    except strictjson.StrictJSONError as error:
        raise ContentError.at(path, error.message) from None
    if not isinstance(document, dict):
        raise ContentError.at(path, "is not a JSON object")
    return document


def _texts(document: dict[str, Any], key: str, path: str) -> list[str]:
    items = document.get(key, 0)
    items = [] if items is None else items
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ContentError.at(path, f"is not a list of {key}")
    return items


def _parsed(raw: bytes, media_type: str, path: str) -> Manifest:
    try:
        return parse_manifest(raw, media_type, allow_foreign=True)
    except ManifestError as error:
        raise error.located(path) from None
