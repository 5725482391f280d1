"""Requests to machines that may be slow, broken or hostile.

Redirects are followed here and not by the library, because each of them is
another server's word: five at most, never from https to http, credentials
only for the host and port they belong to. Retries are for named conditions
alone. What an error's body says is cut, and known secrets are taken out.
"""

from __future__ import annotations

import email.utils
import io
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    HTTPError,
    IncompleteRead,
    LocationParseError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as PoolTimeoutError,
)

from builder.errors import RemoteError
from builder.remote.address import Policy, is_loopback
from builder.remote.connection import make_pools
from builder.remote.options import RemoteOptions

TRIES = 5
MAX_REDIRECTS = 5
MAX_TEXT = 1 << 20  # bytes of a token, a list or an error that are read
_RETRIED = frozenset({429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DRAINED = 64 << 10  # bytes of a body nobody wants that are read to keep the connection
_LONGEST_PAUSE = 60.0
_SLOW_AFTER = 15.0  # seconds after which a body must have come at _SLOWEST bytes a second
_SLOWEST = 1024
_AGENT = "static-container-registry"

Body = bytes | Callable[[], BinaryIO]  # a callable opens the body anew for every try


class CutError(RemoteError):
    """A connection ended in the middle; what was asked can be asked again."""


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
        self._began = time.monotonic()
        self._got = 0
        self.url = url
        self.status = raw.status

    def header(self, name: str) -> str:
        """Return a header's value, or the empty string."""
        return self._raw.headers.get(name, "")

    def headers(self, name: str) -> list[str]:
        """Return every value that a header came with."""
        return list(self._raw.headers.getlist(name))

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has come; raises RemoteError when that is too slow, CutError at a cut."""
        try:
            chunk = self._raw.read1(len(buffer), decode_content=False)
        except (HTTPError, OSError) as error:
            raise _told(error, self.url) from error
        buffer[: len(chunk)] = chunk
        self._got += len(chunk)
        spent = time.monotonic() - self._began
        if chunk and spent > _SLOW_AFTER and self._got < _SLOWEST * spent:
            message = (
                f"{host_of(self.url)}: timeout: {self._got} bytes in {spent:.0f} s are too slow"
            )
            raise RemoteError(message, "try again later")
        return len(chunk)

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
            left = self._raw.length_remaining
            if left is None or left > _DRAINED:
                self._raw.close()
            else:
                self._raw.drain_conn()
            self._raw.release_conn()
        super().close()


class Http:
    """Requests with the rules above; safe to use from several threads.

    `secrets` are texts that no message may show; whoever learns one adds it.
    """

    def __init__(
        self, options: RemoteOptions, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.policy = Policy()
        self.secrets: set[str] = set()
        self._options = options
        self._pools = make_pools(options, self.policy)
        self._pause = pause

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
        url, secrets = request.url, dict(request.secrets)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._patiently(request, url, secrets)
            location = answer.header("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer.close()
            following = self.resolve(url, location)
            if origin_of(following) != origin_of(request.url):
                secrets = {}
            url = following
        raise RemoteError(f"{host_of(request.url)}: more than {MAX_REDIRECTS} redirects")

    def resolve(self, url: str, location: str) -> str:
        """Return where a server sends us; raises RemoteError for where nobody should go."""
        following = urljoin(url, location)
        parts = urlsplit(following)
        shown = self.redacted(following)[:200]
        try:
            _ = parts.port
        except ValueError:
            raise RemoteError(
                f"{host_of(url)}: sends us to {shown!r}, which is no address"
            ) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise RemoteError(f"{host_of(url)}: sends us to {shown!r}, which is refused")
        if parts.scheme == "http" and urlsplit(url).scheme == "https":
            message = f"{host_of(url)}: sends us from https to http: {shown}"
            raise RemoteError(message, "the server is set up wrongly, or somebody is in between")
        if parts.scheme == "http" and not self.allows_plain(parts.hostname):
            message = f"{host_of(url)}: sends us to plain http: {shown}"
            raise RemoteError(message, "use --insecure if you accept that")
        return following

    def redacted(self, text: str) -> str:
        """Return text without any secret that is known."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _patiently(self, request: Request, url: str, secrets: Mapping[str, str]) -> Answer:
        """Ask, and ask again when the server is busy or the connection broke."""
        for number in range(1, TRIES + 1):
            try:
                answer = self._once(request, url, secrets)
            except CutError:
                if number == TRIES or not request.again:
                    raise
                self._pause(_backoff(number))
                continue
            if answer.status not in _RETRIED or number == TRIES:
                return answer
            wanted = _retry_after(answer.header("Retry-After"))
            answer.close()
            self._pause(_backoff(number) if wanted is None else wanted)
        raise AssertionError("unreachable")  # pragma: no cover

    def _once(self, request: Request, url: str, secrets: Mapping[str, str]) -> Answer:
        headers = {
            "User-Agent": _AGENT,
            "Accept-Encoding": "identity",
            **request.headers,
            **secrets,
        }
        body = request.body() if callable(request.body) else request.body
        try:
            raw = self._pools.urlopen(
                request.method, url, headers=headers, body=body,
                redirect=False, retries=False, preload_content=False,
            )  # fmt: skip
        except (HTTPError, LocationParseError, OSError, UnicodeError) as error:
            raise _told(error, url) from error
        finally:
            if body is not None and not isinstance(body, bytes):
                body.close()
        return Answer(raw, url)


def origin_of(url: str) -> tuple[str, str, int]:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def host_of(url: str) -> str:
    """Return the host of a URL with the port it gives, for messages."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _told(error: Exception, url: str) -> RemoteError:
    """Return what to tell a user about an error of the library."""
    host = host_of(url)
    if isinstance(error, SSLError):
        return _told_tls(error, host)
    if isinstance(error, NewConnectionError | PoolTimeoutError) and not isinstance(
        error, ReadTimeoutError
    ):
        what = str(error).rpartition(": ")[2]
        return RemoteError(
            f"{host}: cannot connect: {what}", "is the server up and the name right?"
        )
    if isinstance(error, ReadTimeoutError):
        return RemoteError(f"{host}: timeout: the server said nothing for too long")
    if isinstance(error, ProtocolError | IncompleteRead | ConnectionError):
        return CutError(f"{host}: the connection was cut", "try again")
    return RemoteError(f"{host}: {str(error)[:200]}")


def _told_tls(error: SSLError, host: str) -> RemoteError:
    inner = error.args[0] if error.args else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        message = f"{host}: its certificate is not trusted: {inner.verify_message}"
        return RemoteError(message, "trust its authority with --ca FILE, or use --insecure")
    if isinstance(inner, ssl.SSLEOFError):
        return CutError(f"{host}: the connection was cut", "try again")
    text = str(inner)
    if "certificate" in text.lower():
        return RemoteError(f"{host}: its certificate is not trusted: {text}", "see --ca")
    return RemoteError(f"{host}: does not speak TLS: {text}", "plain http needs --insecure")


def _backoff(number: int) -> float:
    return 0.4 * float(2 ** (number - 1)) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def _retry_after(text: str) -> float | None:
    """Return the seconds a server asks us to wait, at most a minute; None when it does not say."""
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_PAUSE)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(moment - time.time(), 0.0), _LONGEST_PAUSE)
