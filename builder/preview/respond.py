"""What a host of given capabilities answers to a request: a function of the published map.

No sockets here, so that every answer can be tested as a value. Sources:
distribution-spec, "Endpoints", "Content Discovery", "Error Codes"; RFC 9110
for conditional and range requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from builder.oci import mediatype
from builder.oci.digest import Digest, DigestError
from builder.output import Capabilities, Entry
from builder.preview.lookup import Lookup

MAX_URL = 8 << 10
_ENDPOINT = re.compile(r"v2/(?P<name>.+)/(?P<kind>manifests|blobs|referrers)/(?P<ref>[^/]+)")
_LIST = re.compile(r"v2/(?:_catalog|.+/tags/list)")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_UNKNOWN = {"manifests": "MANIFEST_UNKNOWN", "blobs": "BLOB_UNKNOWN"}
API_VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")
_ALLOW = ("Allow", "GET, HEAD")
_EMPTY_INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": mediatype.OCI_INDEX,
    "manifests": [],
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: the target is still percent-encoded.

    `user` is who asks, where the server asked for that.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    user: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: `data`, or `length` bytes of `entry` from `start`, or no body at all.

    `stream` gives the bytes of `entry` where they were opened already.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    data: bytes = b""
    entry: Entry | None = None
    start: int = 0
    length: int = 0
    stream: BinaryIO | None = None

    def header(self, name: str) -> str:
        """Return a header's value, or the empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Responder:
    """Answers requests from a `Lookup` as a host of `capabilities` would."""

    def __init__(self, lookup: Lookup, capabilities: Capabilities, baseurl: str = "") -> None:
        self._lookup = lookup
        self._can = capabilities
        self._base = baseurl.strip("/")

    def respond(self, request: Request) -> Response:
        """Return the answer to one request."""
        if len(request.target) > MAX_URL:
            return _plain(414, "the address is too long")
        raw_path, _, query = request.target.partition("?")
        path = decode_path(raw_path)
        if path is None:
            return _plain(400, "the address is not valid")
        if path.startswith("v2/") or path == "v2":
            return self._v2(request, path, query)
        if request.method not in ("GET", "HEAD"):
            return _plain(405, "only GET and HEAD", _ALLOW)
        inside = self._below_base(path)
        if inside is None:
            home = f"/{self._base}/"
            return _redirect(home) if path == "" else self._missing()
        return self._page(request, inside)

    def open(self, entry: Entry) -> BinaryIO:
        """Open the bytes of an entry that an answer named."""
        return self._lookup.open(entry)

    def _below_base(self, path: str) -> str | None:
        if not self._base:
            return path
        if path == self._base:
            return ""
        return path.removeprefix(f"{self._base}/") if path.startswith(f"{self._base}/") else None

    def _page(self, request: Request, path: str) -> Response:
        if (entry := self._lookup.find(path)) is not None:
            return self._entry(request, entry)
        folder = path.rstrip("/")
        below = f"{folder}/" if folder else ""
        for name in self._can.index_names:
            entry = self._lookup.find(f"{below}{name}")
            if entry is None:
                continue
            if not path or path.endswith("/") or (self._can.redirects and entry.folder_answer):
                return self._entry(request, entry)
            base = f"/{self._base}" if self._base else ""
            return _redirect(f"{base}/{quote(folder, safe='/:@')}/", 301)
        return self._fallback(request, folder) or self._missing()

    def _fallback(self, request: Request, folder: str) -> Response | None:
        """Answer for what is missing with the nearest page that is made for that."""
        while folder and self._can.fallbacks:
            folder = folder.rpartition("/")[0]
            if not folder:
                break
            if (entry := self._lookup.find(f"{folder}/200.html")) is not None:
                return self._entry(request, entry)
            if (entry := self._lookup.find(f"{folder}/404.html")) is not None:
                return Response(404, self._headers(entry), entry=entry, length=entry.size)
        return None

    def _missing(self) -> Response:
        entry = self._lookup.find("404.html")
        if entry is None:
            return _plain(404, "not found")
        headers = (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-cache"))
        return Response(404, headers, entry=entry, length=entry.size)

    def _v2(  # noqa: PLR0911 - one way out for each answer of the specification
        self, request: Request, path: str, query: str
    ) -> Response:
        found = _ENDPOINT.fullmatch(path)
        # First, because a malformed digest is one whatever it was sent for.
        if found and ":" in found["ref"] and not _is_digest(found["ref"]) and self._can.json_errors:
            return error_answer(400, "DIGEST_INVALID", f"{found['ref'][:100]} is not a digest")
        if request.method not in ("GET", "HEAD"):
            if not self._can.json_errors:
                return _plain(405, "method not allowed", _ALLOW)
            return error_answer(405, "UNSUPPORTED", "this registry is read-only", _ALLOW)
        if path in ("v2", "v2/"):
            return self._page(request, "v2/")
        entry = self._lookup.find(path)
        if found and found["kind"] == "referrers":
            return self._referrers(request, found["ref"], entry, query)
        if entry is None:
            return self._v2_missing(found)
        if query and self._can.queries and _LIST.fullmatch(path):
            return self._paged(entry, path, query)
        return self._entry(request, entry)

    def _v2_missing(self, found: re.Match[str] | None) -> Response:
        if not self._can.json_errors:
            return self._missing()
        name = found["name"] if found else ""
        known = name and next(iter(self._lookup.under(f"v2/{name}/")), None) is not None
        if found is None or not known:
            return error_answer(404, "NAME_UNKNOWN", "no such repository")
        return error_answer(404, _UNKNOWN[found["kind"]], f"{found['ref'][:140]} is not in {name}")

    def _referrers(
        self, request: Request, reference: str, entry: Entry | None, query: str
    ) -> Response:
        """Answer a list of referrers. Source: distribution-spec, "Listing Referrers"."""
        if entry is None and not self._can.unknown_referrers:
            return self._v2_missing(None)
        if entry is None and not _is_digest(reference):
            return error_answer(400, "DIGEST_INVALID", f"{reference[:100]} is not a digest")
        wanted = dict(parse_qsl(query)).get("artifactType", "")
        if entry is not None and not (wanted and self._can.queries):
            return self._entry(request, entry)
        document = json.loads(self._read(entry)) if entry is not None else dict(_EMPTY_INDEX)
        headers = [("Content-Type", mediatype.OCI_INDEX), API_VERSION]
        if wanted and self._can.queries:
            document["manifests"] = [
                item for item in document["manifests"] if item.get("artifactType") == wanted
            ]
            headers.append(("OCI-Filters-Applied", "artifactType"))
        return Response(200, tuple(headers), data=_compact(document))

    def _paged(self, entry: Entry, path: str, query: str) -> Response:
        """Answer part of a list. Source: distribution-spec, "Listing Tags"."""
        document = json.loads(self._read(entry))
        key = "repositories" if path.endswith("_catalog") else "tags"
        asked = dict(parse_qsl(query, keep_blank_values=True))
        count = asked.get("n", "")
        if count and not re.fullmatch("[0-9]+", count):
            return error_answer(400, "UNSUPPORTED", "n has to be a whole number")
        items = [item for item in document[key] if item > asked.get("last", "")]
        headers = [("Content-Type", "application/json"), API_VERSION]
        size = int(count.lstrip("0")[:10] or 0)  # ten digits are more than any list has
        if count and size < len(items):
            items = items[:size]
            if size:
                last = quote(items[-1])
                headers.append(("Link", f'</{path}?last={last}&n={size}>; rel="next"'))
        document[key] = items
        return Response(200, tuple(headers), data=_compact(document))

    def _read(self, entry: Entry) -> bytes:
        with self._lookup.open(entry) as stream:
            return stream.read()

    def _entry(self, request: Request, entry: Entry) -> Response:
        """Answer with what is published: whole, a part, not modified, or elsewhere."""
        if entry.location:
            return _redirect(entry.location, 307 if entry.path.startswith("v2/") else 302)
        headers = self._headers(entry)
        etag = f'"{entry.digest}"'
        if _matches(request.headers.get("if-none-match", ""), etag):
            return Response(304, headers)
        wanted = request.headers.get("range", "")
        if not wanted or request.headers.get("if-range", etag) != etag:
            return Response(200, headers, entry=entry, length=entry.size)
        part = _part(wanted, entry.size)
        if part is None:
            return Response(200, headers, entry=entry, length=entry.size)
        start, end = part
        if start >= end:
            return Response(416, (*headers, ("Content-Range", f"bytes */{entry.size}")))
        shown = f"bytes {start}-{end - 1}/{entry.size}"
        return Response(
            206, (*headers, ("Content-Range", shown)), entry=entry, start=start, length=end - start
        )

    def _headers(self, entry: Entry) -> tuple[tuple[str, str], ...]:
        guessed = mediatype.of_file(entry.path)
        kind = entry.media_type if self._can.media_types else guessed
        headers = [("Content-Type", kind), ("ETag", f'"{entry.digest}"'),
                   ("Accept-Ranges", "bytes"), ("Cache-Control", "no-cache")]  # fmt: skip
        if self._can.headers:
            headers += [(name, value) for name, value in entry.headers if value]
            headers.append(("X-Content-Type-Options", "nosniff"))
            if entry.path.startswith("v2/"):
                headers.append(API_VERSION)
        return tuple(headers)


def decode_path(raw: str) -> str | None:
    """Return a request's path without its first slash, or None when it is not a plain one."""
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not path.startswith("/") or "\0" in path or "\\" in path:
        return None
    inner = path[1:]
    parts = inner.split("/")
    if any(part in (".", "..") for part in parts) or "" in parts[:-1]:
        return None
    # Names that begin with a dot are never published; not even their absence is told apart.
    return inner


def _is_digest(text: str) -> bool:
    try:
        Digest(text)
    except DigestError:
        return False
    return True


def _matches(condition: str, etag: str) -> bool:
    if condition.strip() == "*":
        return True
    return any(item.strip().removeprefix("W/") == etag for item in condition.split(","))


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """Return the half-open range of a Range header; None asks for the whole.

    An empty range means that it cannot be satisfied, or ends before it begins.
    Several are answered with the whole, which RFC 9110, section 14.2, allows.
    """
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]) or len(wanted) > 60:
        return None
    if not found[1]:
        count = min(int(found[2]), size)
        return (size - count, size) if count else (size, size)
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    return (start, end) if start < end else (size, size)


def _redirect(location: str, status: int = 302) -> Response:
    return Response(status, (("Location", location), ("Cache-Control", "no-cache")))


def _plain(status: int, text: str, *headers: tuple[str, str]) -> Response:
    kind = ("Content-Type", "text/plain; charset=utf-8")
    return Response(status, (kind, *headers), data=f"{text}\n".encode())


def error_answer(status: int, code: str, message: str, *headers: tuple[str, str]) -> Response:
    """Return an error as the specification writes them."""
    body = {"errors": [{"code": code, "message": message}]}
    kind = ("Content-Type", "application/json")
    return Response(status, (kind, API_VERSION, *headers), data=_compact(body))


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def header_map(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers under lower-case names."""
    return {key.lower(): value for key, value in items}
