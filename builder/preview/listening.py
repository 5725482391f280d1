"""Taking connections: bounded in number, patient where the machine runs out, plain to TLS.

A stranger may open more connections than there are descriptors. Then one ends
for each that comes: the one that longest owes a header, else one that stalls.
Where all are at work, none is taken for a moment, and those that are open go on.
"""

from __future__ import annotations

import asyncio
import errno
import re
import resource
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tornado import httputil
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import (
    BaseIOStream,
    IOStream,
    SSLIOStream,
    StreamClosedError,
)
from tornado.netutil import bind_sockets

from builder.errors import LocalError

IDLE_SECONDS = 60  # after which a silent connection is closed
HEADER_SECONDS = 2.0  # in which a header comes, or others are let in instead
STALL_SECONDS = 20.0  # the same for the next byte of a body, in either direction
MAX_CONNECTIONS = 2048
MAX_HEADER = 1 << 20  # bytes; longer addresses than any host takes are answered, not dropped
MAX_LINE = 16 << 10  # bytes of a chunk's extensions, or of a trailer
READ = 256 << 10  # bytes that are read from a connection at once
_PAUSE = 0.2  # seconds without accepting, when there is no room
_AT_ONCE = 64  # connections taken before others get their turn
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_LINE_END = b"\r\n"
_PLAIN_SIZE = re.compile(rb"0*[1-9a-fA-F][0-9a-fA-F]*\r\n")  # of a chunk that is not the last
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?#@]*)([/?].*|)")
_TLS_HANDSHAKE = b"\x16"
_LONGEST_LOOK = 1.0  # seconds; a connection this silent is left to the HTTP server
# What Go's client understands at once: "server gave HTTP response to HTTPS client".
_PLAIN = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nthis server speaks http\n"


def allow_many_files() -> int:
    """Raise the limit of open files as far as is sensible; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return 8192 if soft == resource.RLIM_INFINITY else soft


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return what speaks TLS with a certificate chain and its key, both PEM; raises LocalError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        message = f"{certificate}, {key}: {error.strerror or error}"
        raise LocalError(message, "give PEM files with --tls-cert and --tls-key") from None
    return context


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on all addresses of `host`; 0 takes a free port.

    Raises LocalError where that cannot be.
    """
    try:
        return bind_sockets(port, host)
    except OSError as error:
        message = f"cannot listen on {host} port {port}: {error.strerror}"
        flag = "-H/--host" if isinstance(error, socket.gaierror) else "-P/--port"
        raise LocalError(message, f"choose another with {flag}") from error


class _Chunks(BaseIOStream):
    """A connection whose chunked bodies may say more than tornado reads.

    Chunk extensions and trailers are dropped. Source: RFC 9112, sections 7.1.1 and 7.1.2.
    `moved` is when the last bytes came or went.
    """

    _is_ended = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.moved = time.monotonic()

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read what is there, and when."""
        count = super().read_from_fd(buf)
        self.moved = time.monotonic() if count else self.moved
        return count

    def write_to_fd(self, data: memoryview) -> int:
        """Write what fits, and when."""
        count = super().write_to_fd(data)
        self.moved = time.monotonic() if count else self.moved
        return count

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read to a delimiter; of the line before a chunk, which tornado reads so, its size."""
        if delimiter != _LINE_END:
            return super().read_until(delimiter, max_bytes)
        line = super().read_until(_LINE_END, MAX_LINE)
        if isinstance(line, asyncio.Future) and line.done() and not line.exception():
            return line if _PLAIN_SIZE.fullmatch(line.result()) else self._chunk_size(line)
        return self._chunk_size(line)

    def read_bytes(self, num_bytes: int, partial: bool = False) -> Awaitable[bytes]:  # noqa: FBT001, FBT002 - tornado's
        """Read bytes; the line end after a body's last chunk was read with its trailers."""
        if not self._is_ended:
            return super().read_bytes(num_bytes, partial)
        self._is_ended = False
        return _at_once(_LINE_END)

    async def _chunk_size(self, line: Awaitable[bytes]) -> bytes:
        size = (await line).partition(b";")[0].strip()
        if size and not size.strip(b"0"):
            left = MAX_HEADER
            while (trailer := await super().read_until(_LINE_END, MAX_LINE)) != _LINE_END:
                left -= len(trailer)
                if left < 0:
                    raise httputil.HTTPInputError("trailers too large")
            self._is_ended = True
        return size + _LINE_END


class _Stream(_Chunks, IOStream):
    """A plain connection."""


class _TLSStream(_Chunks, SSLIOStream):
    """A connection over TLS."""


class _OriginForm(httputil.HTTPMessageDelegate):
    """Takes `http://HOST/PATH`, as proxies are asked, for `/PATH` of HOST (RFC 9112, 3.2.2).

    `arrived` is called when the header is there.
    """

    def __init__(self, inner: httputil.HTTPMessageDelegate, arrived: Callable[[], object]) -> None:
        self._inner = inner
        self._arrived = arrived
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.finish = inner.finish  # type: ignore[method-assign]
        self.on_connection_close = inner.on_connection_close  # type: ignore[method-assign]

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        """Pass the start of a request on, its target as a path."""
        self._arrived()
        if isinstance(start_line, httputil.RequestStartLine):
            found = _ABSOLUTE.fullmatch(start_line.path)
            if found is not None:
                headers["Host"] = found[1]
                rest = found[2] if found[2].startswith("/") else f"/{found[2]}"
                start_line = start_line._replace(path=rest)
        return self._inner.headers_received(start_line, headers)


class PlainServer(HTTPServer):
    """An HTTP server over sockets that are bound already; `tls` is spoken where it is given."""

    def initialize(self, *args: Any, tls: ssl.SSLContext | None = None, **kwargs: Any) -> None:
        """Take tornado's arguments; see `take`."""
        self._tls = tls
        kwargs |= {"max_header_size": MAX_HEADER, "idle_connection_timeout": IDLE_SECONDS,
                   "chunk_size": READ}  # fmt: skip
        super().initialize(*args, **kwargs)
        self._streams: set[_Chunks] = set()
        self._unasked: dict[_Chunks, float] = {}  # since when each owes a header, oldest first
        self._looking: set[asyncio.Task[None]] = set()
        self._room = min(MAX_CONNECTIONS, allow_many_files() // 3)  # each may open files too

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        """Return what takes a request, whatever form its target has."""
        stream: _Chunks = request_conn.stream  # type: ignore[attr-defined] # an HTTP1Connection
        self._unasked.setdefault(stream, time.monotonic())
        inner = super().start_request(server_conn, request_conn)
        return _OriginForm(inner, partial(self._unasked.pop, stream, None))

    def take(self, sockets: list[socket.socket]) -> None:
        """Accept connections of these sockets until they are closed."""
        for sock in sockets:
            self._watch(sock)

    def _watch(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            loop = IOLoop.current()
            loop.add_handler(sock, lambda *_: self._accept(sock), IOLoop.READ)

    def _rest(self, sock: socket.socket) -> None:
        loop = IOLoop.current()
        loop.remove_handler(sock)
        loop.call_later(_PAUSE, self._watch, sock)

    def _has_room(self) -> bool:
        """Tell whether one more may come, after ending one that others need not wait for."""
        if len(self._streams) < self._room:
            return True
        self._streams = {stream for stream in self._streams if not stream.closed()}
        self._unasked = {key: at for key, at in self._unasked.items() if not key.closed()}
        if len(self._streams) >= self._room and (slow := self._slowest()) is not None:
            slow.close()
            self._streams.discard(slow)
            self._unasked.pop(slow, None)
        return len(self._streams) < self._room

    def _slowest(self) -> _Chunks | None:
        """Return the connection that longest owes a header, else one that stalls."""
        now = time.monotonic()
        oldest = next(iter(self._unasked), None)
        if oldest is not None and now - self._unasked[oldest] > HEADER_SECONDS:
            return oldest
        stalled = min(self._streams, key=lambda stream: stream.moved)
        return stalled if now - stalled.moved > STALL_SECONDS else None

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            if not self._has_room():
                self._rest(sock)
                return
            try:
                connection, address = sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._rest(sock)
                return
            if self._tls is not None:
                self._greet(self._tls, connection, address)
                continue
            stream = _Stream(connection, read_chunk_size=READ)
            self._streams.add(stream)
            self._unasked[stream] = time.monotonic()
            task = asyncio.ensure_future(self._look(stream, address))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    def _greet(self, tls: ssl.SSLContext, connection: socket.socket, address: Any) -> None:
        """Speak TLS; what goes wrong with it ends the connection."""
        try:
            wrapped = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        except (ssl.SSLError, OSError):
            connection.close()
            return
        stream = _TLSStream(wrapped, read_chunk_size=READ)
        self._streams.add(stream)
        self.handle_stream(stream, address)

    async def _look(self, stream: IOStream, address: Any) -> None:
        """Serve a connection once its first byte shows that it speaks HTTP."""
        pause = 0.0005
        while (first := _peek(stream)) is None and pause < _LONGEST_LOOK:
            await asyncio.sleep(pause)
            pause *= 1.5
        if first == _TLS_HANDSHAKE:
            await _refuse_tls(stream)
        elif not stream.closed():
            self.handle_stream(stream, address)


async def _at_once(data: bytes) -> bytes:
    return data


async def _refuse_tls(stream: IOStream) -> None:
    """Say that this is no TLS; what was sent is read first, or closing would be a reset."""
    try:
        await stream.read_bytes(1 << 14, partial=True)
        await stream.write(_PLAIN)
    except StreamClosedError:
        return
    stream.close()


def _peek(stream: IOStream) -> bytes | None:
    """Return a connection's first byte without taking it; None when it has sent nothing yet."""
    try:
        return stream.socket.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    except (OSError, AttributeError):  # already gone
        return b""
