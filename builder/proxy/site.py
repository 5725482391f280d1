"""A static site as the registry it could be: what lies at which address of it.

The site is a stranger: what it says is bounded here, and believed by nobody
who keeps it before its digest was checked. Addresses it gives obey the rules
that registries are held to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.errors import RemoteError
from builder.oci import strictjson
from builder.oci.digest import Digest
from builder.remote.blob import BlobStream
from builder.remote.fetch import open_stream, site_address
from builder.remote.http import Answer, Http, Request
from builder.remote.options import RemoteOptions
from builder.remote.pages import MAX_PAGE
from builder.remote.registry import ACCEPT

# Object stores say 403 for a key that is not there.
_MISSING = frozenset({403, 404, 410})
_CONDITIONS = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))


@dataclass(frozen=True, slots=True)
class Text:
    """A small file of the site, and the headers that ask whether it is still the same."""

    raw: bytes
    conditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a blob can be fetched; `size` in bytes, None where nobody says it."""

    url: str
    size: int | None


class Site:
    """The files below `url`, `http(s)://HOST[:PORT][/PATH]`; safe to use from several threads.

    Raises UsageError for a URL that names no site.
    """

    def __init__(self, url: str, options: RemoteOptions) -> None:
        self._http = Http(options)
        self.url = site_address(url, self._http)
        self._http.trust(self.url)

    def check(self) -> bool:
        """Tell whether there is something at `/v2/`; raises RemoteError when nobody answers."""
        return self.text("v2/") is not None or self.text("v2/_catalog") is not None

    def text(self, path: str, known: Text | None = None) -> Text | None:
        """Return a small file, None where there is none; `known` is what it was before.

        A page where JSON was asked for is what some hosts answer instead of a
        404. Raises RemoteError for any other answer, and for over 8 MiB.
        """
        url = f"{self.url}/{path}"
        # What is not a plain file may choose by what its client says to read.
        headers = {"Accept": ACCEPT, **(known.conditions if known else {})}
        with self._ask("GET", url, headers) as answer:
            if answer.status == 304 and known is not None:
                return known
            if answer.status in _MISSING:
                return None
            if answer.status != 200:
                raise RemoteError(f"{url}: the site answered {answer.status}")
            raw = answer.text(MAX_PAGE)
            said = {name: answer.header(key) for key, name in _CONDITIONS}
        given = {name: it for name, it in said.items() if it and it.isascii() and it.isprintable()}
        return None if raw.lstrip()[:1] == b"<" else Text(raw, given)

    def place(self, name: str, digest: Digest) -> Place | None:
        """Return where a blob is: below `/v2/`, else where its friendly answer says.

        Raises RemoteError for a site that cannot be asked, or that leads to
        where nobody should go.
        """
        own = f"{self.url}/v2/{name}/blobs/{digest}"
        if (found := self._measured(own)) is not None:
            return found
        document = self._friendly(f"{name}/blobs/{digest}/index.json")
        url, size = document.get("url"), document.get("size")
        if document.get("digest") != digest or not isinstance(url, str):
            return None
        elsewhere = self._http.resolve(self.url, url)
        if elsewhere == own or (found := self._measured(elsewhere)) is None:
            return None
        return Place(elsewhere, size if type(size) is int and size >= 0 else found.size)

    def open(self, place: Place, size: int) -> BlobStream:
        """Open a blob of `size` bytes, not verified; it goes on after a cut.

        Raises NotFoundError when it is gone, RemoteError for all else.
        """
        return open_stream(self._http, place.url, size)

    def _friendly(self, path: str) -> Mapping[str, object]:
        text = self.text(path)
        try:
            document = strictjson.loads(text.raw) if text is not None else {}
        except strictjson.StrictJSONError as error:
            raise RemoteError(f"{self.url}/{path}: {error.message}") from None
        return document if isinstance(document, dict) else {}

    def _measured(self, url: str) -> Place | None:
        """Return a blob's place with its size, None when it is not there.

        Whoever does not answer HEAD, or without a length, is asked by GET.
        """
        with self._ask("HEAD", url) as answer:
            if answer.status in (404, 410) or _is_page(answer):
                return None
            length = answer.number("Content-Length")
            if answer.status == 200 and length is not None:
                return Place(url, length)
        with self._ask("GET", url) as answer:
            if answer.status in _MISSING or _is_page(answer):
                return None
            if answer.status != 200:
                raise RemoteError(f"{url}: the site answered {answer.status}")
            return Place(url, answer.number("Content-Length"))

    def _ask(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self._http.send(Request(method, url, headers or {}, {}))


def _is_page(answer: Answer) -> bool:
    """Tell whether an answer is a page, which no blob is."""
    return answer.status == 200 and answer.header("Content-Type").startswith("text/html")
