"""Requests to machines that may be slow, broken or hostile.

Redirects are followed here and not by the library, because each of them is
another server's word: five at most, never from https to http, credentials
only for the host and port they belong to. Retries are for named conditions
alone. What an error's body says is cut, and known secrets are taken out.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from builder.errors import RemoteError, redacted
from builder.remote.address import Policy, is_loopback
from builder.remote.connection import make_pools
from builder.remote.faults import CutError, fault_of, host_of
from builder.remote.options import RemoteOptions
from builder.remote.pace import Pace

TRIES = 5
MAX_REDIRECTS = 5
MAX_TEXT = 1 << 20  # bytes of a token, a list or an error that are read
_RETRIED = frozenset({429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DRAINED = 64 << 10  # bytes of a body nobody wants that are read to keep the connection
_SLOW_AFTER = 15.0  # seconds of waiting in which a body must come at _SLOWEST bytes a second
_SLOWEST = 1024
_AGENT = "static-container-registry"

Body = bytes | Callable[[], BinaryIO]  # a callable opens the body anew for every try


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `headers` go to every host, `secrets` only to that of `url`."""

    method: str
    url: str
    headers: Mapping[str, str]
    secrets: Mapping[str, str]
    body: Body | None = None
    again: bool = True  # whether it may be asked once more after a cut


class Answer(io.RawIOBase):
    """An answer whose body is a stream; `url` is where it came from in the end."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str) -> None:
        super().__init__()
        self._raw = raw
        self._waited = 0.0
        self._got = 0
        self.url = url
        self.status = raw.status

    def header(self, name: str) -> str:
        """Return a header's value, or the empty string."""
        return self._raw.headers.get(name, "")

    def number(self, name: str) -> int | None:
        """Return a header that is a number of bytes; None where it is none, or not there."""
        text = self.header(name).strip()
        plain = text.isascii() and text.isdigit() and len(text) < 19
        return int(text) if plain else None

    def headers(self, name: str) -> list[str]:
        """Return every value that a header came with."""
        return list(self._raw.headers.getlist(name))

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has come; raises RemoteError when that is too slow, CutError at a cut."""
        began = time.monotonic()
        try:
            chunk = self._raw.read1(len(buffer), decode_content=False)
        except (HTTPError, OSError) as error:
            raise fault_of(error, self.url) from error
        buffer[: len(chunk)] = chunk
        self._time(len(chunk), time.monotonic() - began)
        return len(chunk)

    def _time(self, count: int, seconds: float) -> None:
        """Count what came in how much waiting, anew now and then: what was fast may become slow."""
        self._got += count
        self._waited += seconds
        if self._waited < _SLOW_AFTER:
            return
        if self._got < _SLOWEST * self._waited:
            message = f"timeout: {self._got} bytes in {self._waited:.0f} s are too slow"
            raise RemoteError(f"{host_of(self.url)}: {message}", "try again later")
        self._got, self._waited = 0, 0.0

    def text(self, limit: int = MAX_TEXT) -> bytes:
        """Return the whole body; raises RemoteError when it is longer than `limit` bytes."""
        data = bytearray()
        while chunk := self.read(64 << 10):
            data += chunk
            if len(data) > limit:
                raise RemoteError(f"{host_of(self.url)}: an answer is over {limit} bytes long")
        return bytes(data)

    def close(self) -> None:
        """Give the connection back if all was read, else end it."""
        if not self.closed:
            if not self._is_drained():
                self._raw.close()
            self._raw.release_conn()
        super().close()

    def _is_drained(self) -> bool:
        """Read the rest of the body if there is little of it; tell whether all is read."""
        left = self._raw.length_remaining
        if left is None or left > _DRAINED:
            return False
        buffer = bytearray(left + 1)  # the end itself must be read too
        try:
            while self.readinto(buffer):
                pass
        except RemoteError:
            return False
        return True


class Http:
    """Requests with the rules above; safe to use from several threads."""

    def __init__(
        self, options: RemoteOptions, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.policy = Policy()
        self._options = options
        self._pools = make_pools(options, self.policy)
        self._pause = pause
        self._pace = Pace(pause)

    def trust(self, url: str) -> None:
        """Note that the user named the host of a URL."""
        self.policy.name(urlsplit(url).hostname or "")

    def allows_plain(self, host: str) -> bool:
        """Tell whether plain http may be spoken with a host."""
        return self._options.insecure or is_loopback(host)

    def send(self, request: Request) -> Answer:
        """Return the answer that is not a redirect; its body is not read.

        Raises RemoteError for a host that cannot or must not be asked, and
        when it is still too busy after five tries.
        """
        first = request.url
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._patiently(request)
            location = answer.header("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer.close()
            request = self._redirected(request, answer.status, location)
        raise RemoteError(f"{host_of(first)}: more than {MAX_REDIRECTS} redirects")

    def _redirected(self, request: Request, status: int, location: str) -> Request:
        """Return what to ask after a redirect. Source: RFC 9110, section 15.4."""
        following = self.resolve(request.url, location)
        if status == 303 and request.method != "HEAD":
            request = replace(request, method="GET", body=None)
        if origin_of(following) == origin_of(request.url):
            return replace(request, url=following)
        if request.body:
            message = f"{host_of(request.url)}: sends what is for it to {host_of(following)}"
            raise RemoteError(message, "redirects of uploads and logins are not followed")
        return replace(request, url=following, secrets={})

    def resolve(self, url: str, location: str) -> str:
        """Return where a server sends us; raises RemoteError for where nobody should go."""
        shown = redacted(location)[:200]
        try:
            following = urljoin(url, location)
            parts = urlsplit(following)
            _ = parts.port
        except ValueError:
            message = f"{host_of(url)}: sends us to {shown!r}, which is no address"
            raise RemoteError(message) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise RemoteError(f"{host_of(url)}: sends us to {shown!r}, which is refused")
        if parts.scheme == "http" and urlsplit(url).scheme == "https":
            message = f"{host_of(url)}: sends us from https to http: {shown}"
            raise RemoteError(message, "the server is set up wrongly, or somebody is in between")
        if parts.scheme == "http" and not self.allows_plain(parts.hostname):
            self.policy.check_address(parts.hostname)  # no flag would help there
            message = f"{host_of(url)}: sends us to plain http: {shown}"
            raise RemoteError(message, "use --insecure if you accept that")
        return following

    def _patiently(self, request: Request) -> Answer:
        """Ask, and ask again when the server is busy or the connection broke."""
        host = host_of(request.url)
        for number in range(1, TRIES + 1):
            self._pace.wait(host)
            try:
                answer = self._once(request)
            except CutError:
                if number == TRIES or not request.again:
                    raise
                self.back_off(number)
                continue
            is_busy = answer.status in _RETRIED
            knows = self._pace.learn(host, answer.header, is_busy=is_busy)
            if not is_busy or number == TRIES:
                return answer
            answer.close()
            if not knows:
                self.back_off(number)
        raise AssertionError("unreachable")  # pragma: no cover

    def back_off(self, number: int) -> None:
        """Wait before what went wrong `number` times is tried again."""
        self._pause(_backoff(number))

    def _once(self, request: Request) -> Answer:
        headers = {
            "User-Agent": _AGENT,
            "Accept-Encoding": "identity",
            **request.headers,
            **request.secrets,
        }
        body = request.body() if callable(request.body) else request.body
        try:
            raw = self._pools.urlopen(
                request.method, request.url, headers=headers, body=body,
                redirect=False, retries=False, preload_content=False,
            )  # fmt: skip
        except (HTTPError, LocationParseError, OSError, UnicodeError) as error:
            raise fault_of(error, request.url) from error
        finally:
            if body is not None and not isinstance(body, bytes):
                body.close()
        return Answer(raw, request.url)


def origin_of(url: str) -> tuple[str, str, int]:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def _backoff(number: int) -> float:
    return 0.4 * float(2 ** (number - 1)) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
