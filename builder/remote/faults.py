"""What to tell a user about each way that a connection goes wrong."""

from __future__ import annotations

import http.client
import json
import ssl
from urllib.parse import urlsplit

from urllib3.exceptions import (
    IncompleteRead,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as PoolTimeoutError,
)

from builder.errors import RemoteError, redacted


class CutError(RemoteError):
    """A connection ended in the middle; what was asked can be asked again."""


def host_of(url: str) -> str:
    """Return the host of a URL with the port it gives, for messages."""
    return urlsplit(url).netloc.rpartition("@")[2]


def fault_of(error: Exception, url: str) -> RemoteError:
    """Return what to tell a user about an error of the library."""
    host = host_of(url)
    if isinstance(error, SSLError):
        return _fault_of_tls(error, host)
    if isinstance(error, NewConnectionError | PoolTimeoutError) and not isinstance(
        error, ReadTimeoutError
    ):
        what = str(error).rpartition(": ")[2]
        return RemoteError(
            f"{host}: cannot connect: {what}", "is the server up and the name right?"
        )
    if isinstance(error, ReadTimeoutError):
        return RemoteError(f"{host}: timeout: the server said nothing for too long")
    if _is_nonsense(error):
        return RemoteError(f"{host}: what it answers is not HTTP")
    if isinstance(error, ProtocolError | IncompleteRead | ConnectionError):
        return CutError(f"{host}: the connection was cut", "try again")
    return RemoteError(f"{host}: {redacted(str(error))[:200]}")


def _is_nonsense(error: Exception) -> bool:
    """Tell whether an answer came that cannot be one: asking again would not help."""
    inner = error.args[-1] if error.args else None
    cut = (http.client.RemoteDisconnected, http.client.IncompleteRead)
    return isinstance(inner, http.client.HTTPException) and not isinstance(inner, cut)


def _fault_of_tls(error: SSLError, host: str) -> RemoteError:
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


def words_of(raw: bytes) -> str:
    """Return what the body of an error says. Source: distribution-spec, "Error Codes"."""
    try:
        errors = json.loads(raw)["errors"]
        said = ", ".join(f"{item['code']} {item.get('message') or ''}" for item in errors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        said = raw.decode("utf-8", "replace")
    return redacted(said)[:300].strip()
