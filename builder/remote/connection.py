"""Connections for urllib3 that obey a `Policy` and do not wait for ever."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InsecureRequestWarning, NewConnectionError

from builder.errors import LocalError
from builder.remote.address import CONNECT_SECONDS, Policy
from builder.remote.options import RemoteOptions

READ_SECONDS = 30
ANSWER_SECONDS = 60  # for a whole head of an answer, however slowly it comes


def make_pools(options: RemoteOptions, policy: Policy) -> urllib3.PoolManager:
    """Return the pools of connections for some options; raises LocalError for a bad CA file."""

    class _Mixin:
        """A connection made at an address that was checked."""

        def _new_conn(self: Any) -> socket.socket:
            try:
                return policy.connect(self.host, self.port)
            except OSError as error:
                what = error.strerror or str(error)
                raise NewConnectionError(self, f"cannot connect: {what}") from error

        def getresponse(self: Any) -> Any:
            """Wait for the head of an answer, and not for longer than is sensible."""
            timer = threading.Timer(ANSWER_SECONDS, _hang_up, (self.sock,))
            timer.daemon = True
            timer.start()
            try:
                return super().getresponse()  # type: ignore[misc]
            finally:
                timer.cancel()

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
        maxsize=8,
        retries=False,
        blocksize=1 << 20,  # of what is sent at once
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        ssl_context=_tls(options),
        assert_hostname=False if options.insecure else None,
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
    try:
        with context.wrap_socket(connection, server_hostname=host.strip("[]")):
            return True
    except (ssl.SSLError, OSError):
        return False
    finally:
        connection.close()


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


def _hang_up(connection: socket.socket | None) -> None:
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
