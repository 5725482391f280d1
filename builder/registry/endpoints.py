"""The registry's API as files: `/v2/` for clients, the friendly JSON for people.

Source: distribution-spec, "Endpoints" and "Listing Referrers". Exact bytes
are served below `v2/`; the friendly copies answer for their folder's URL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.layers.record import INDEX_SUFFIX, read_index
from builder.oci import mediatype
from builder.oci.digest import DIGEST_HEADER, Digest
from builder.oci.manifest import Manifest
from builder.output import (
    Body,
    Capabilities,
    Claim,
    Data,
    File,
    Output,
    Redirect,
)
from builder.registry.companion_files import archive_outputs, companion_outputs
from builder.registry.legacy import md5_of
from builder.registry.model import BlobPlace, Collection, LegacyLayer, Row, Tag
from builder.registry.places import TAGS, place_of


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """Where the registry is reached: `url` without a path, `baseurl` of the pages.

    `v2` is the path that `/v2/` is below: empty, or the baseurl on hosts that
    cannot own their root; `apart` tells that another host serves it.
    """

    url: str
    baseurl: str
    capabilities: Capabilities
    apart: bool = False

    @property
    def v2(self) -> str:
        """The path from the host's root that `v2/` hangs below."""
        return "" if self.capabilities.host_root else self.baseurl


def as_json(value: Any) -> bytes:
    """Return `value` as the compact UTF-8 JSON that all endpoints use."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def collection_endpoints(collection: Collection, options: EndpointOptions) -> Iterator[Output]:
    """Yield every API output of one collection, content before names."""
    makers = _Endpoints(collection, options)
    for place in collection.blobs.values():
        yield from makers.blob(place)
    for manifest in collection.manifests.values():
        yield from makers.manifest(manifest)
    for tag in collection.tags:
        yield from makers.tag(tag)
    yield from companion_outputs(collection)
    yield from archive_outputs(collection)
    yield from makers.legacy_blobs()
    yield from makers.referrers()
    yield from makers.lists()


def collection_claims(name: str, origin: str) -> tuple[Claim, ...]:
    """Return the paths that the API outputs of a collection own."""
    folders = (f"{name}/manifests/", f"{name}/blobs/", f"{name}/tags/")
    parts = ("manifests/", "blobs/", "tags/", "referrers/", TAGS)
    mine = (f"v2/{name}/{part}" for part in parts)
    return tuple(Claim(path, origin) for path in (*folders, *mine))


def registry_endpoints(rows: Sequence[Row]) -> Iterator[Output]:
    """Yield what `/v2/` holds beside the repositories."""
    names = [row.name for row in rows if row.listed]
    yield Output("v2/index.json", mediatype.JSON, Data(b"{}\n"), "v2", "v2", folder_answer=True)
    body = as_json({"repositories": names})
    yield Output("v2/_catalog", mediatype.JSON, Data(body), "v2")
    errors = {"errors": [{"code": "NAME_UNKNOWN", "message": "not found in this registry"}]}
    yield Output("v2/404.json", mediatype.JSON, Data(as_json(errors)), "v2", "404")


REGISTRY_CLAIMS = (
    *(
        Claim(path, "the registry API")
        for path in ("v2/index.json", "v2/index.html", "v2/_catalog", "v2/404.json")
    ),
    # Nothing is built here: whoever publishes says here what was published.
    *(
        Claim(path, "the release")
        for path in ("release.json", "api/release/", "moves.json", "api/moves/")
    ),
)


class _Endpoints:
    """Makes the outputs of one collection."""

    def __init__(self, collection: Collection, options: EndpointOptions) -> None:
        self._collection = collection
        self._options = options
        self._name = collection.name
        self._v2 = f"v2/{collection.name}"

    def blob(self, place: BlobPlace) -> Iterator[Output]:
        """Yield a blob below `/v2/`, and the friendly answer that leads to it."""
        path = f"{self._v2}/blobs/{place.digest}"
        url = place.url
        if place.file is not None:
            body: Body = File(place.file, place.size, place.digest)
            yield self._output(path, mediatype.OCTET_STREAM, body, place.digest)
            url = f"{self._options.v2}/{path}"
        elif self._options.capabilities.redirects:
            yield self._output(path, mediatype.OCTET_STREAM, Redirect(url, 307), place.digest)
        yield from self._friendly_blob(place.digest, place.digest, place.size, url)
        yield from self._listing(place.digest)

    def _listing(self, digest: str) -> Iterator[Output]:
        """Yield what a layer holds, and the index by which one file of it can be read."""
        listing = self._collection.listings.get(digest)
        if listing is None:
            return
        folder = f"{self._name}/blobs/{digest}"
        body = File(listing.path, listing.size, f"sha256:{listing.sha256}")
        yield self._output(f"{folder}/files.json", mediatype.JSON, body)
        if self._collection.folder == Path():
            return
        if index := read_index(self._collection.folder, digest, self._collection.origin):
            path = f"{folder}/files{INDEX_SUFFIX}"
            yield self._output(path, mediatype.OCTET_STREAM, Data(index))

    def _friendly_blob(self, key: str, digest: str, size: int, url: str) -> Iterator[Output]:
        folder = f"{self._name}/blobs/{key}"
        absolute = url if "://" in url else f"{self._options.url}{url}"
        answer = as_json({"digest": digest, "size": size, "url": absolute})
        yield self._output(f"{folder}/index.html", "text/html", Redirect(url))
        yield from self._placed(self._output(f"{folder}/index.json", mediatype.JSON, Data(answer)))

    def manifest(self, manifest: Manifest) -> Iterator[Output]:
        """Yield a manifest under its digest, as a manifest and as a blob."""
        digest, body = manifest.digest, Data(manifest.raw)
        path = f"{self._v2}/manifests/{digest}"
        blob = self._output(f"{self._v2}/blobs/{digest}", mediatype.OCTET_STREAM, body, digest)
        yield blob._replace(copy_of=path)
        yield self._output(path, manifest.media_type, body, digest)
        yield self._friendly_manifest(digest, manifest.raw, path)

    def tag(self, tag: Tag) -> Iterator[Output]:
        """Yield what a tag answers, for the faces it exists at."""
        path = ""
        if tag.manifest is not None and tag.in_v2:
            path = f"{self._v2}/manifests/{tag.name}"
            body, digest = Data(tag.manifest.raw), tag.manifest.digest
            found = self._output(path, tag.manifest.media_type, body, digest)
            yield self._copy(found, f"{self._v2}/manifests/{digest}")
        answer = tag.legacy or tag.manifest  # as it always was, also where clients can pull now
        if answer is not None and tag.has_manifest:
            yield self._friendly_manifest(tag.name, answer.raw, "" if tag.legacy else path)
        if tag.legacy is not None and Digest.of(tag.legacy.raw) not in self._collection.manifests:
            yield self._friendly_manifest(Digest.of(tag.legacy.raw), tag.legacy.raw)

    def _friendly_manifest(self, reference: str, raw: bytes, copy_of: str = "") -> Output:
        path = f"{self._name}/manifests/{reference}/index.json"
        found = self._output(path, mediatype.JSON, Data(raw), folder_answer=True)
        return self._copy(found, copy_of)

    def _placed(self, output: Output) -> Iterator[Output]:
        """Yield an output's file where it lies, and its address where that is another."""
        place = self._place(output.path)
        if place != output.path:
            yield output.at(place)
            output = output._replace(copy_of=place)
        yield output

    def _place(self, path: str) -> str:
        ruled = self._options.capabilities.copies and not self._options.apart
        return place_of(path) if ruled else path

    def _copy(self, output: Output, copy_of: str) -> Output:
        """Return an output as a copy of what clients get, where one host has both faces."""
        return output if self._options.apart else output._replace(copy_of=copy_of)

    def legacy_blobs(self) -> Iterator[Output]:
        """Yield where the layers of the original format can be fetched."""
        layers: dict[str, LegacyLayer] = {}
        for tag in self._collection.tags:
            for layer in tag.legacy.layers if tag.legacy else ():
                md5 = md5_of(layer.digest)
                for key in (md5, f"md5:{md5}") if md5 else (layer.digest,):
                    layers.setdefault(key, layer)
        for key, layer in sorted(layers.items()):
            if key in self._collection.blobs:
                continue
            yield from self._friendly_blob(key, layer.digest, layer.size, layer.url)

    def referrers(self) -> Iterator[Output]:
        """Yield lists of referrers: an endpoint for all manifests or for none.

        Half of an endpoint would send clients away from the tag schema, which
        every host can serve. The empty lists are a rule of the host's.
        """
        found = self._collection.referrers
        capable = self._options.capabilities
        if capable.media_types and capable.unknown_referrers:
            for digest in sorted(found):
                path = f"{self._v2}/referrers/{digest}"
                body = Data(self._referrers_index(found[digest]))
                yield self._output(path, mediatype.OCI_INDEX, body)
        for digest, referrers in found.items():
            raw = self._referrers_index(referrers)
            path = f"{self._v2}/manifests/{digest.referrers_tag}"
            yield self._output(path, mediatype.OCI_INDEX, Data(raw), Digest.of(raw))

    def _referrers_index(self, digests: Sequence[Digest]) -> bytes:
        entries = [self._collection.manifests[digest].descriptor.to_json() for digest in digests]
        document = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": entries}
        return as_json(document).rstrip(b"\n")

    def lists(self) -> Iterator[Output]:
        """Yield the lists of tags, in byte order."""
        tags = self._collection.tags
        friendly = sorted(tag.name for tag in tags if tag.has_manifest)
        pullable = sorted(
            [
                *(tag.name for tag in tags if tag.in_v2),
                *(item.name for items in self._collection.companions.values() for item in items),
            ]
        )
        path = f"{self._v2}/tags/list" if pullable or self._collection.manifests else ""
        body = Data(as_json({"name": self._name, "tags": friendly}))
        answer = self._output(
            f"{self._name}/tags/index.json", mediatype.JSON, body, folder_answer=True
        )
        yield self._copy(answer, self._place(path) if pullable == friendly else "")
        if path:
            body = Data(as_json({"name": self._name, "tags": pullable}))
            yield from self._placed(self._output(path, mediatype.JSON, body))

    def _output(
        self,
        path: str,
        media_type: str,
        body: Body,
        digest: str = "",
        *,
        folder_answer: bool = False,
    ) -> Output:
        headers = ((DIGEST_HEADER, digest),) if digest else ()
        origin = self._collection.origin
        return Output(path, media_type, body, origin, "", headers, folder_answer=folder_answer)
