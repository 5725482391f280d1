"""Connections for urllib3 that obey a `Policy` and do not wait for ever."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InsecureRequestWarning, NewConnectionError

from builder.errors import LocalError
from builder.remote.address import CONNECT_SECONDS, Policy
from builder.remote.options import RemoteOptions

READ_SECONDS = 30
_HANDSHAKE_SECONDS = 20  # for all of a TLS handshake, however slowly it comes
_ANSWER_SECONDS = 45  # for the whole head of an answer, likewise


def make_pools(options: RemoteOptions, policy: Policy) -> urllib3.PoolManager:
    """Return the pools of connections for some options; raises LocalError for a bad CA file."""

    class _Mixin:
        """A connection made at an address that was checked."""

        def connect(self: Any) -> None:
            """Connect and shake hands."""
            self._double = None
            try:
                with _within(_HANDSHAKE_SECONDS, lambda: self._double):
                    super().connect()  # type: ignore[misc]
            finally:
                if self._double is not None:
                    self._double.close()

        def _new_conn(self: Any) -> socket.socket:
            try:
                connection = policy.connect(self.host, self.port)
            except OSError as error:
                what = error.strerror or str(error)
                raise NewConnectionError(self, f"cannot connect: {what}") from error
            self._double = connection.dup()  # TLS takes the file of the first one away
            return connection

        def getresponse(self: Any) -> Any:
            """Wait for the head of an answer."""
            with _within(_ANSWER_SECONDS, lambda: self.sock):
                return super().getresponse()  # type: ignore[misc]

    class _Plain(_Mixin, HTTPConnection):
        pass

    class _Secure(_Mixin, HTTPSConnection):
        pass

    class _PlainPool(HTTPConnectionPool):
        ConnectionCls = _Plain

    class _SecurePool(HTTPSConnectionPool):
        ConnectionCls = _Secure

    pools = urllib3.PoolManager(
        num_pools=20,
        maxsize=16,
        retries=False,
        blocksize=1 << 20,  # of what is sent at once
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        ssl_context=_tls(options),
    )
    pools.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pools


def speaks_tls(policy: Policy, host: str, port: int) -> bool:
    """Tell whether a server answers a TLS handshake, whatever its certificate.

    Raises RemoteError for a host that may not be talked to, OSError when
    nobody listens.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = policy.connect(host, port)
    double = connection.dup()
    try:
        with (
            _within(CONNECT_SECONDS, lambda: double),
            context.wrap_socket(connection, server_hostname=host.strip("[]")),
        ):
            return True
    except ssl.SSLError as error:
        # Only what speaks TLS can refuse a handshake in TLS's own words.
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
    finally:
        connection.close()
        double.close()


def _tls(options: RemoteOptions) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context()
        if options.ca:
            context.load_verify_locations(options.ca)
    except (OSError, ssl.SSLError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise LocalError(f"--ca {options.ca}: {what}", "give a file of PEM certificates") from None
    if options.insecure:
        urllib3.disable_warnings(InsecureRequestWarning)  # the user said so
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def _within(seconds: float, connection: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Hang up, and raise TimeoutError, when a block takes longer than `seconds`.

    A timeout of the socket begins anew with every byte that comes.
    """
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        if (found := connection()) is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(found, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, HTTPException) as error:
        if late.is_set():
            raise TimeoutError("the answer comes too slowly") from error
        raise
    finally:
        timer.cancel()
    if late.is_set():  # an answer that was cut can look complete
        raise TimeoutError("the answer comes too slowly")
