"""Asking a deployed site what clients would ask; `probe.judgement` says what that means."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from builder.clients import REFERRER, kind_of
from builder.errors import ContentError, RemoteError
from builder.oci import mediatype, strictjson
from builder.oci.descriptor import Descriptor
from builder.oci.digest import DIGEST_HEADER, Digest
from builder.oci.manifest import Manifest
from builder.oci.reference import is_any_tag, is_name
from builder.oci.validate import ManifestError, parse_manifest
from builder.probe.facts import Facts, Part, Reply, Sample, Tagged
from builder.remote.address import is_loopback
from builder.remote.fetch import site_address
from builder.remote.http import Http, Request
from builder.remote.options import RemoteOptions
from builder.remote.pages import MAX_PAGE
from builder.remote.registry import ACCEPT
from builder.storage.parallel import run_parallel

MAX_TAGS = 200  # that are looked at, of all repositories in turn
_AT_ONCE = 8
_MAX_NAMES = 500
_MAX_SUBJECTS = 40  # manifests whose referrers are asked for
_MAX_PARTS = 20  # of each sample that are asked for
_MAX_BLOB = 64 << 20  # bytes of the one blob that is read whole
_UNKNOWN = f"sha256:{'0' * 64}"
_ACCEPT = {"Accept": ACCEPT}


def probe(url: str, options: RemoteOptions) -> Facts:
    """Return what the site at `url` answers.

    Raises UsageError for a URL that names no site, RemoteError when it cannot
    be reached, ContentError when it does not list what it publishes.
    """
    http = Http(options)
    given = site_address(url, http)
    http.trust(given)
    return _Prober(http, given).facts()


Item = TypeVar("Item")
Result = TypeVar("Result")


class _Found(NamedTuple):
    """A manifest that was read; `tag` is empty for one that is known by its digest alone."""

    name: str
    tag: str
    manifest: Manifest
    reply: Reply


class _Prober:
    def __init__(self, http: Http, given: str) -> None:
        self._http = http
        self._given = given
        self._base = given
        self._schema1 = ""

    def facts(self) -> Facts:
        root = self._find_root()
        names = self._names()
        lists = dict(zip(names, _each(self._tags, names), strict=True))
        every = _in_turn([[(name, tag) for tag in tags] for name, (_, tags) in lists.items()])
        looked = _each(self._tagged, islice(every, MAX_TAGS))
        found = [item for _, item in looked if item is not None]
        referrer = self._any_referrer(found)
        firsts = _first_of_each([*found, *([referrer] if referrer else [])], referrer)
        samples = tuple(_each(lambda kind: self._sample(kind, firsts[kind]), firsts))
        parts = tuple(part for kind, item in firsts.items() for part in self._parts(kind, item))
        whole, blob, blob_part = self._blob(firsts.values(), parts)
        many = next((name for name, (_, tags) in lists.items() if len(tags) > 1), "")
        known = found[0] if found else None
        return Facts(
            url=self._given,
            path=urlsplit(self._base).path,
            near=is_loopback(urlsplit(self._base).hostname or ""),
            root=root,
            listed=sum(len(tags) for _, tags in lists.values()),
            tags=tuple(tagged for tagged, _ in looked),
            samples=samples,
            parts=parts,
            blob=blob,
            blob_digest=whole,
            blob_part=blob_part,
            missing=self._ask("GET", f"v2/{names[0]}/manifests/there-is-no-such-tag")[0],
            paged=self._ask("GET", f"v2/{many}/tags/list?n=1")[0] if many else None,
            referrers=self._referrers(known, str(known.manifest.digest)) if known else None,
            no_referrers=self._referrers(known, _UNKNOWN) if known else None,
            filtered=self._referrers(known, f"{known.manifest.digest}?artifactType=a/b")
            if known else None,
            schema1=self._schema1,
        )  # fmt: skip

    def _find_root(self) -> Reply:
        """Return the answer at `/v2/`, which may be at the host's root with pages below a path."""
        given, _ = self._ask("GET", "v2/")
        place = urlsplit(self._given)
        if place.path and given.status != 200:
            self._base = f"{place.scheme}://{place.netloc}"
            at_root, _ = self._ask("GET", "v2/_catalog")
            if at_root.status == 200:
                return self._ask("GET", "v2/")[0]
            self._base = self._given
        if not given.status:
            hint = given.hint or "is the address right, and the server up?"
            raise RemoteError(given.fault, hint)
        return given

    def _names(self) -> list[str]:
        """Return the repositories that the site lists."""
        catalog = _document(self._ask("GET", "v2/_catalog")[1]).get("repositories")
        found = catalog if isinstance(catalog, list) else []
        if not found:
            pages = _document(self._ask("GET", "collections.json", base=self._given)[1])
            rows = pages.get("collections")
            found = [row.get("name") for row in rows if isinstance(row, dict)] if isinstance(
                rows, list) else []  # fmt: skip
        names = [name for name in found if isinstance(name, str) and is_name(name)]
        if not names:
            message = "lists no repositories: neither v2/_catalog nor collections.json names one"
            raise ContentError.at(self._given, message, "is a static registry published there?")
        return names[:_MAX_NAMES]

    def _tags(self, name: str) -> tuple[Reply, list[str]]:
        reply, raw = self._ask("GET", f"v2/{name}/tags/list")
        tags = _document(raw).get("tags") if reply.status == 200 else []
        items = tags if isinstance(tags, list) else []
        return reply, [tag for tag in items if isinstance(tag, str) and is_any_tag(tag)]

    def _tagged(self, place: tuple[str, str]) -> tuple[Tagged, _Found | None]:
        name, tag = place
        reply, raw = self._ask("GET", f"v2/{name}/manifests/{tag}")
        if reply.status != 200:
            return Tagged(name, tag, reply), None
        try:
            manifest = parse_manifest(raw, allow_foreign=True)
        except ManifestError as error:
            if b'"fsLayers"' not in raw:
                return Tagged(name, tag, reply, error.message), None
            self._schema1 = f"{name}:{tag}"
            return Tagged(name, tag, reply, schema1=True), None
        return Tagged(name, tag, reply), _Found(name, tag, manifest, reply)

    def _any_referrer(self, found: Sequence[_Found]) -> _Found | None:
        """Return a manifest that some list of referrers names."""
        subjects = {item.manifest.digest: item for item in found}
        chosen = list(islice(subjects.values(), _MAX_SUBJECTS))
        listed = _each(self._listed_referrer, chosen)
        return next((item for item in listed if item is not None), None)

    def _listed_referrer(self, subject: _Found) -> _Found | None:
        digest = subject.manifest.digest
        for path in (f"referrers/{digest}", f"manifests/{digest.referrers_tag}"):
            reply, raw = self._ask("GET", f"v2/{subject.name}/{path}")
            entries = _document(raw).get("manifests") if reply.status == 200 else None
            if not isinstance(entries, list) or not entries:
                continue
            try:
                first = Descriptor.from_json(entries[0]).digest
                reply, raw = self._ask("GET", f"v2/{subject.name}/manifests/{first}")
                manifest = parse_manifest(raw, allow_foreign=True)
            except (ManifestError, KeyError, TypeError):
                continue
            return _Found(subject.name, "", manifest, reply)
        return None

    def _sample(self, kind: str, item: _Found) -> Sample:
        place, digest = f"v2/{item.name}/manifests", str(item.manifest.digest)
        return Sample(
            kind,
            item.name,
            f"{item.name}:{item.tag}" if item.tag else f"{item.name}@{digest}",
            item.manifest.media_type,
            digest,
            item.reply if item.tag else None,
            self._ask("HEAD", f"{place}/{item.tag}")[0] if item.tag else None,
            self._ask("GET", f"{place}/{digest}")[0] if item.tag else item.reply,
            self._ask("HEAD", f"{place}/{digest}")[0],
            zstd=any(layer.media_type.endswith("+zstd") for layer in item.manifest.layers),
        )

    def _parts(self, kind: str, item: _Found) -> Iterator[Part]:
        """Yield what a sample needs, each as it answers HEAD: of an index its first image too."""
        chosen = [it for it in islice(item.manifest.children(), _MAX_PARTS) if _is_asked(it)]
        yield from _each(lambda it: self._part(kind, item, it), chosen)
        images = (self._child(item.name, it) for it in item.manifest.manifests[:_MAX_PARTS])
        first = next((image for image in images if image is not None), None)
        if first is not None:
            blobs = [it for it in first.manifest.blobs[:_MAX_PARTS] if _is_asked(it)]
            yield from _each(lambda it: self._part(kind, first, it), blobs)

    def _child(self, name: str, part: Descriptor) -> _Found | None:
        """Return an image below an index, if it can be had and is one."""
        reply, raw = self._ask("GET", f"v2/{name}/manifests/{part.digest}")
        try:
            manifest = parse_manifest(raw, allow_foreign=True) if reply.status == 200 else None
        except ManifestError:
            return None
        return None if manifest is None or manifest.is_index else _Found(name, "", manifest, reply)

    def _part(self, kind: str, item: _Found, part: Descriptor) -> Part:
        folder = "manifests" if item.manifest.is_index else "blobs"
        path = f"v2/{item.name}/{folder}/{part.digest}"
        reply, _ = self._ask("HEAD", path)
        if reply.status in (405, 501):
            reply, _ = self._ask("GET", path, limit=0)
        friendly = f"{item.name}/blobs/{part.digest}/index.json"
        elsewhere = (
            reply.status == 404
            and folder == "blobs"
            and self._ask("GET", friendly, base=self._given)[0].status == 200
        )
        return Part(kind, path, reply, part.digest, elsewhere=elsewhere)

    def _blob(
        self, items: Iterable[_Found], parts: Iterable[Part]
    ) -> tuple[str, Reply | None, Reply | None]:
        """Return the digest and the whole of the smallest blob, and a part of the largest."""
        there = {part.path for part in parts if part.reply.status == 200}
        blobs = [
            (blob.size, path, blob.digest)
            for item in items
            for blob in item.manifest.blobs
            if (path := f"v2/{item.name}/blobs/{blob.digest}") in there
        ]
        if not blobs:
            return "", None, None
        _, path, digest = min(blobs)
        whole, _ = self._ask("GET", path, limit=_MAX_BLOB)
        part, _ = self._ask("GET", max(blobs)[1], {"Range": "bytes=0-0"}, limit=0)
        return str(digest), whole, part

    def _referrers(self, item: _Found, reference: str) -> Reply:
        return self._ask("GET", f"v2/{item.name}/referrers/{reference}")[0]

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = _ACCEPT,
        *,
        base: str = "",
        limit: int = MAX_PAGE,
    ) -> tuple[Reply, bytes]:
        """Return an answer and its body of at most `limit` bytes; with 0 that is not read."""
        url = f"{base or self._base}/{path}"
        try:
            with self._http.send(Request(method, url, headers, {})) as answer:
                raw = answer.text(limit) if limit and method == "GET" else b""
        except RemoteError as error:
            return Reply(0, fault=error.message, hint=error.hint), b""
        return Reply(
            answer.status,
            answer.header("Content-Type").strip(),
            answer.number("Content-Length"),
            answer.header(DIGEST_HEADER),
            answer.header("Content-Encoding"),
            answer.header("Link"),
            answer.header("OCI-Filters-Applied"),
            found=str(Digest.of(raw)) if limit and method == "GET" else "",
        ), raw


def _is_asked(part: Descriptor) -> bool:
    """Tell whether clients ask the registry for it: those of foreign layers ask its URLs."""
    return not (part.urls and mediatype.is_foreign_layer(part.media_type))


def _each(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what `work` makes of each item, several at once."""
    jobs = list(enumerate(items))
    results: dict[int, Result] = {}

    def one(job: tuple[int, Item]) -> None:
        results[job[0]] = work(job[1])

    run_parallel(jobs, one, threads=_AT_ONCE, stop=threading.Event())
    return [results[number] for number, _ in jobs]


def _in_turn(lists: Sequence[Sequence[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Yield the first of each list, then the second of each, and so on."""
    for row in zip_longest(*lists):
        yield from (item for item in row if item is not None)


def _first_of_each(found: Iterable[_Found], referrer: _Found | None) -> dict[str, _Found]:
    firsts: dict[str, _Found] = {}
    for item in found:
        firsts.setdefault(REFERRER if item is referrer else kind_of(item.manifest), item)
    return firsts


def _document(raw: bytes) -> dict[str, Any]:
    """Return a JSON object; empty for what is none."""
    try:
        document = strictjson.loads(raw, limit=MAX_PAGE)
    except strictjson.StrictJSONError:
        return {}
    return document if isinstance(document, dict) else {}
