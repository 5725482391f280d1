"""What clients see while it is pushed: the built site, and over it what it does not have yet.

A build takes its time; who has pushed asks at once. So each change is noted
here under the path that it is published at, until a build shows the same.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from builder.oci import mediatype
from builder.oci.digest import DIGEST_HEADER, Digest, DigestError
from builder.oci.manifest import Manifest
from builder.oci.reference import name_fault
from builder.output import Entry
from builder.preview.lookup import Lookup
from builder.receive.repository import Repository
from builder.registry.endpoints import as_json
from builder.storage import LocalStorage

_CATALOG = "v2/_catalog"
_PATH = re.compile(r"v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/(?P<last>[^/]+)")


@dataclass(frozen=True, slots=True)
class Fresh(Entry):
    """An entry that no build has written: `opener` opens its bytes."""

    opener: Callable[[], BinaryIO] = field(default=io.BytesIO, compare=False)
    manifest: Manifest | None = field(default=None, compare=False)


def fresh_manifest(path: str, manifest: Manifest, *, as_blob: bool = False) -> Fresh:
    """Return a manifest as it is served; its digest is the one it was pushed by."""
    kind = mediatype.OCTET_STREAM if as_blob else manifest.media_type
    return Fresh(
        path, kind, ((DIGEST_HEADER, manifest.digest),), Digest.of(manifest.raw), manifest.size,
        opener=lambda: io.BytesIO(manifest.raw), manifest=manifest,
    )  # fmt: skip


def fresh_blob(path: str, digest: Digest, storage: LocalStorage) -> Fresh | None:
    """Return a blob as it is served; None where the storage does not have it."""
    if (size := storage.size(digest)) is None:
        return None
    return Fresh(
        path, mediatype.OCTET_STREAM, ((DIGEST_HEADER, digest),), digest, size,
        opener=lambda: storage.open(digest),
    )  # fmt: skip


class Journal:
    """The changes that no build shows yet, by repository and path; None for what has gone."""

    def __init__(self) -> None:
        self._changes: dict[str, dict[str, Fresh | None]] = {}
        self._lock = threading.Lock()

    def note(self, name: str, changes: Iterable[Fresh]) -> None:
        """Let these be what is served at their paths."""
        with self._lock:
            mine = self._changes.setdefault(name, {})
            mine.update((entry.path, entry) for entry in changes)

    def note_gone(self, name: str, paths: Iterable[str]) -> None:
        """Let nothing be served at these paths."""
        with self._lock:
            self._changes.setdefault(name, {}).update(dict.fromkeys(paths))

    def note_back(self, name: str, path: str) -> None:
        """Let what has gone be found again."""
        with self._lock:
            mine = self._changes.get(name, {})
            if path in mine and mine[path] is None:
                del mine[path]

    def of(self, name: str) -> dict[str, Fresh | None]:
        """Return the changes of one repository."""
        with self._lock:
            return dict(self._changes.get(name, {}))

    def names(self) -> list[str]:
        """Return the repositories with changes."""
        with self._lock:
            return list(self._changes)

    def settle(self, site: Lookup) -> None:
        """Forget what a site shows as it is noted here."""
        with self._lock:
            for name, mine in list(self._changes.items()):
                for path, entry in list(mine.items()):
                    if _agree(site.find(path), entry):
                        del mine[path]
                if not mine:
                    del self._changes[name]


def _agree(found: Entry | None, noted: Fresh | None) -> bool:
    if found is None or noted is None:
        return found is noted
    if noted.manifest is None:  # a blob: its path is its digest
        return True
    return found.digest == noted.digest and found.headers == noted.headers


class ShownSite:
    """A `Lookup` of a built site and the changes since; `repository` gives what waits."""

    def __init__(
        self, site: Lookup, journal: Journal, repository: Callable[[str], Repository]
    ) -> None:
        self._site = site
        self._journal = journal
        self._repository = repository
        journal.settle(site)

    def find(self, path: str) -> Entry | None:
        """Return the entry at exactly `path`: changed, built, or waiting for a tag."""
        if path == _CATALOG:
            return self._catalog()
        found = _PATH.fullmatch(path)
        if found is None or name_fault(found["name"]):
            return self._site.find(path)
        name, kind, last = found["name"], found["kind"], found["last"]
        changes = self._journal.of(name)
        if path in changes:
            return changes[path]
        if kind == "tags" and last == "list":
            return self._tags(path, name, changes)
        if kind == "referrers":
            return self._referrers(path, name, changes)
        return self._site.find(path) or self._waiting(path, name, kind, last)

    def open(self, entry: Entry) -> BinaryIO:
        """Open the bytes of an entry; raises FileNotFoundError."""
        return entry.opener() if isinstance(entry, Fresh) else self._site.open(entry)

    def under(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries below `prefix`: those that changed, then the site's."""
        name = prefix.removeprefix("v2/").rstrip("/")
        yield from (entry for entry in self._journal.of(name).values() if entry is not None)
        yield from self._site.under(prefix)

    def _waiting(self, path: str, name: str, kind: str, last: str) -> Fresh | None:
        try:
            digest = Digest(last)
        except DigestError:
            return None
        held = self._repository(name)
        if (manifest := held.waiting_manifest(digest)) is not None:
            return fresh_manifest(path, manifest, as_blob=kind == "blobs")
        if kind == "manifests":
            child = held.child(digest)
            return fresh_manifest(path, child) if child is not None else None
        waiting = fresh_blob(path, digest, held.waiting.blobs)
        return waiting or fresh_blob(path, digest, held.folder.blobs)

    def _tags(self, path: str, name: str, changes: dict[str, Fresh | None]) -> Entry | None:
        built = self._site.find(path)
        folder = f"v2/{name}/manifests/"
        moved = {
            key.removeprefix(folder): entry
            for key, entry in changes.items()
            if key.startswith(folder) and ":" not in key
        }
        if not moved:
            return built
        tags = set(self._json(built)["tags"]) if built else set()
        tags -= {tag for tag, entry in moved.items() if entry is None}
        tags |= {tag for tag, entry in moved.items() if entry is not None}
        return _made(path, mediatype.JSON, {"name": name, "tags": sorted(tags)})

    def _catalog(self) -> Entry | None:
        built = self._site.find(_CATALOG)
        changed = {
            name for name in self._journal.names() if any(
                entry is not None and entry.manifest is not None
                for entry in self._journal.of(name).values()
            )
        }  # fmt: skip
        if built is None or not changed:
            return built
        names = sorted({*self._json(built)["repositories"], *changed})
        return _made(_CATALOG, mediatype.JSON, {"repositories": names})

    def _referrers(self, path: str, name: str, changes: dict[str, Fresh | None]) -> Entry | None:
        built = self._site.find(path)
        listed = {item["digest"]: item for item in self._json(built)["manifests"]} if built else {}
        found = dict(listed)
        subject = path.rpartition("/")[2]
        for digest in listed:
            if changes.get(f"v2/{name}/manifests/{digest}", ...) is None:
                del found[digest]
        fresh = [entry.manifest for entry in changes.values() if entry and entry.manifest]
        for manifest in fresh:
            if manifest.subject is not None and manifest.subject.digest == subject:
                found[str(manifest.digest)] = manifest.descriptor.to_json()
        for descriptor in self._repository(name).referrers(subject):
            found.setdefault(str(descriptor.digest), descriptor.to_json())
        if found == listed:
            return built
        items = [found[digest] for digest in sorted(found)]
        index = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": items}
        return _made(path, mediatype.OCI_INDEX, index)

    def _json(self, entry: Entry) -> Any:
        with self._site.open(entry) as stream:
            return json.load(stream)


def _made(path: str, media_type: str, document: Any) -> Fresh:
    data = as_json(document)
    return Fresh(path, media_type, (), Digest.of(data), len(data), opener=lambda: io.BytesIO(data))
