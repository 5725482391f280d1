"""From a request to what it does: the write endpoints of the distribution specification.

No sockets here: whoever has one gives the body in pieces to the `Transfer`
that `begin` returns, in any thread. Source: distribution-spec, "Endpoints".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from builder.errors import BuilderError, LockedError, counted
from builder.oci.reference import name_fault
from builder.oci.strictjson import MAX_BYTES
from builder.preview.lookup import Lookup
from builder.preview.respond import MAX_URL, Request, Response, decode_path
from builder.receive.answers import Refused, Transfer, answer_of
from builder.receive.blobs import Blobs, parse_digest
from builder.receive.manifests import Manifests, check_tag
from builder.receive.repository import Repository
from builder.receive.shown import Journal, ShownSite
from builder.receive.spool import Spool
from builder.registry.edit import lock
from builder.registry.model import RegistryOptions
from builder.registry.scan import scan
from builder.registry.stage import Judge

_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_BEGIN = re.compile(r"v2/(?P<name>.+)/blobs/uploads/?")
_UPLOAD = re.compile(r"v2/(?P<name>.+)/blobs/uploads/(?P<id>[^/]+)")
_CONTENT = re.compile(r"v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")
_REPOSITORY = re.compile(r"v2/(?P<name>.+)/(?:blobs|manifests)/")
_PATIENCE = 60.0  # seconds that a push waits for another run to let the registry go
_MOUNT_PATIENCE = 2.0  # seconds, after which the client is better off sending the blob itself
_MAX_TAGS = 100  # that one request may give


@dataclass(frozen=True, slots=True)
class Rules:
    """What a registry asks of what comes in; they change with its configuration.

    `may` tells whether a user may change a repository; nobody is asked where
    nobody has to log in.
    """

    options: RegistryOptions
    judge: Judge
    may: Callable[[str, str], bool] = lambda _user, _name: True


class Receiver:
    """Takes pushes into a registry; `rules` says on what terms, whenever it is asked.

    `folder` is where it keeps what is on its way. Safe to use from many threads.
    """

    def __init__(self, folder: Path, rules: Callable[[], Rules]) -> None:
        self._spool = Spool(folder)
        self._rules = rules
        self._journal = Journal()
        self._one = threading.Lock()  # one change at a time, before the registry's own lock

    def takes(self, request: Request) -> bool:
        """Tell whether a request writes, or asks for an upload."""
        if request.method in _WRITES:
            return request.target.startswith("/v2/")
        path = decode_path(request.target.partition("?")[0])
        return path is not None and _UPLOAD.fullmatch(path) is not None

    def begin(self, request: Request) -> Transfer:
        """Return what takes the request's body; what is refused at once is in it."""
        try:
            self._spool.sweep()
            return self._route(request)
        except (Refused, BuilderError, OSError) as error:
            return Transfer.ended(answer_of(error))

    def over(self, site: Lookup) -> Lookup:
        """Return a built site with all that was pushed since."""
        return ShownSite(site, self._journal, self._repository)

    def _repository(self, name: str) -> Repository:
        return Repository(self._rules().options, self._spool, name)

    def _route(self, request: Request) -> Transfer:
        path, _, text = request.target.partition("?")
        path = decode_path(path) or ""
        if not path or len(request.target) > MAX_URL:
            raise Refused(400, "NAME_INVALID", "the address is not valid")
        query = parse_qsl(text, keep_blank_values=True)
        self._refuse_strangers(request, path)
        if found := _BEGIN.fullmatch(path):
            return self._begin(self._blobs(found), request, dict(query))
        if found := _UPLOAD.fullmatch(path):
            return self._upload(self._blobs(found), found["id"], request, dict(query))
        if found := _CONTENT.fullmatch(path):
            tags = [value for key, value in query if key == "tag"]
            return self._content(found, request, tags)
        raise _unsupported(request, "GET, HEAD")

    def _refuse_strangers(self, request: Request, path: str) -> None:
        """Raise Refused where who is logged in does not own the repository."""
        found = _REPOSITORY.match(path)
        if request.user and found and not self._rules().may(request.user, found["name"]):
            message = f"{request.user} may not change {found['name']}: see OWNERS"
            raise Refused(403, "DENIED", message)

    def _blobs(self, found: re.Match[str]) -> Blobs:
        return Blobs(self._repository(_name(found)), self._spool, self._journal)

    def _manifests(self, found: re.Match[str]) -> Manifests:
        rules = self._rules()
        repository = Repository(rules.options, self._spool, _name(found))
        return Manifests(repository, self._spool, self._journal, rules.options, rules.judge)

    def _begin(self, blobs: Blobs, request: Request, query: Mapping[str, str]) -> Transfer:
        if request.method != "POST":
            raise _unsupported(request, "POST")
        if "mount" in query:
            with suppress(LockedError), self._changing(_MOUNT_PATIENCE):
                if (response := self._mount(blobs, query)) is not None:
                    return Transfer.ended(response)
            query = {}  # the client sends it, as if it had not asked
        return blobs.begin(request, query)

    def _mount(self, blobs: Blobs, query: Mapping[str, str]) -> Response | None:
        """Look for a blob where the client says, else everywhere; None where it is not found."""
        digest = parse_digest(query["mount"])
        names = [query["from"]] if query.get("from") else self._names()
        for name in names:
            if name_fault(name):
                continue
            if (response := blobs.mount(digest, self._repository(name))) is not None:
                return response
        return None

    def _names(self) -> Iterator[str]:
        options = self._rules().options
        yield from scan(options.source, options.collections).folders
        yield from self._spool.names()

    def _upload(
        self, blobs: Blobs, identifier: str, request: Request, query: Mapping[str, str]
    ) -> Transfer:
        match request.method:
            case "GET" | "HEAD":
                return blobs.status(identifier)
            case "PATCH":
                return blobs.append(identifier, request)
            case "PUT":
                return blobs.complete(identifier, request, query)
            case "DELETE":
                return blobs.cancel(identifier)
        raise _unsupported(request, "GET, HEAD, PATCH, PUT, DELETE")

    def _content(self, found: re.Match[str], request: Request, tags: list[str]) -> Transfer:
        kind, reference = found["kind"], found["reference"]
        digest = parse_digest(reference) if ":" in reference or kind == "blobs" else None
        if request.method == "DELETE" and kind == "blobs" and digest:
            blobs = self._blobs(found)
            return self._locked(lambda: blobs.delete(digest))
        if kind == "blobs":
            raise _unsupported(request, "GET, HEAD, DELETE")
        manifests = self._manifests(found)
        if request.method == "DELETE":
            return self._locked(
                lambda: manifests.delete(digest) if digest else manifests.delete_tag(reference)
            )
        if request.method != "PUT":
            raise _unsupported(request, "GET, HEAD, PUT, DELETE")
        tags = [check_tag(tag) for tag in (tags if digest else [reference, *tags])]
        if len(tags) > _MAX_TAGS:
            message = f"{counted(len(tags), 'tag')} in one request: the limit is {_MAX_TAGS}"
            raise Refused(400, "UNSUPPORTED", message)
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        return _small(
            request, lambda raw: self._alone(lambda: manifests.put(raw, kind, digest, tags))
        )

    def _locked(self, act: Callable[[], Response]) -> Transfer:
        return Transfer(lambda: self._alone(act))

    def _alone(self, act: Callable[[], Response]) -> Response:
        with self._changing():
            return act()

    @contextmanager
    def _changing(self, seconds: float = _PATIENCE) -> Iterator[None]:
        with self._one, lock(self._rules().options, seconds=seconds):
            yield


def _small(request: Request, end: Callable[[bytes], Response]) -> Transfer:
    """Return what gathers a manifest; raises Refused, or refuses later, what is too large."""
    body = bytearray()
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:19]) > MAX_BYTES:
        raise _too_large()

    def write(data: bytes) -> None:
        if len(body) + len(data) > MAX_BYTES:
            body.clear()
            raise _too_large()
        body.extend(data)

    return Transfer(lambda: end(bytes(body)), write)


def _too_large() -> Refused:
    return Refused(413, "SIZE_INVALID", f"a manifest has up to {MAX_BYTES} bytes")


def _name(found: re.Match[str]) -> str:
    """Return a repository's name; raises Refused for one that cannot be."""
    if fault := name_fault(found["name"]):
        raise Refused(400, "NAME_INVALID", fault)
    return found["name"]


def _unsupported(request: Request, allowed: str) -> Refused:
    message = f"{request.method} is not supported here"
    return Refused(405, "UNSUPPORTED", message, ("Allow", allowed))
