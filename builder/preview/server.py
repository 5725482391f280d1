"""The preview server: a published map on a socket, with live reload.

Loopback unless told otherwise, with an allow-list for Host and Origin: a page
on the internet must not be able to read a private registry through the
browser of whoever previews it.
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

import livereload
from livereload.handlers import LiveReloadHandler
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from builder.errors import BuilderError, LocalError, RemoteError
from builder.output import Entry
from builder.preview.respond import Request, Response, header_map
from builder.preview.sending import aside, send

log = logging.getLogger(__name__)

TLS_HANDSHAKE = b"\x16"
MAX_PAUSE = 1.0  # seconds; a connection this silent is left to the HTTP server
_SCRIPT = b'<script src="/livereload.js"></script>'
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_FORBIDDEN = b"this server answers only to its own names\n"


class Answers(Protocol):
    """What makes the answers that are served."""

    def respond(self, request: Request) -> Response:
        """Return the answer to one request."""

    def open(self, entry: Entry) -> BinaryIO:
        """Open the bytes of an entry that an answer named; raises FileNotFoundError."""


class Server:
    """Serves what `responder` answers, until `stop` is called.

    `responder` may be replaced at any time by `show`; requests under way end
    with the one they began with. `blocking` says that its answers take time:
    then each is made in a thread. `allow_hosts` are further names that may
    stand in the Host header.
    """

    def __init__(
        self,
        responder: Answers,
        *,
        host: str = "127.0.0.1",
        port: int = 4000,
        reload: bool = True,
        blocking: bool = False,
        allow_hosts: Iterable[str] = (),
    ) -> None:
        self.responder = responder
        self.blocking = blocking
        self.problems: tuple[str, ...] = ()
        self.reload_enabled = reload
        self._bind = host
        self._wanted = port
        self._names = {*_LOOPBACK, host, *allow_hosts}
        self._loop: IOLoop | None = None
        self._waiters: set[Any] = set()
        self.port = port

    def run(self, started: Callable[[], None] | None = None) -> None:
        """Serve until stopped; raises LocalError when the port is taken."""
        self._loop = IOLoop.current()
        try:
            sockets = bind_sockets(self._wanted, self._bind)
        except OSError as error:
            message = f"cannot listen on {self._bind} port {self._wanted}: {error.strerror}"
            is_name = isinstance(error, socket.gaierror)
            flag = "-H/--host" if is_name else "-P/--port"
            raise LocalError(message, f"choose another with {flag}") from error
        self.port = sockets[0].getsockname()[1]
        server = _PlainServer(self._application(), max_header_size=64 << 10)
        server.add_sockets(sockets)
        if started:
            self._loop.add_callback(started)
        try:
            self._loop.start()
        finally:
            server.stop()

    def stop(self) -> None:
        """End `run`; may be called from any thread and from a signal handler."""
        if self._loop:
            self._loop.add_callback_from_signal(self._loop.stop)

    def show(self, make: Callable[[], Answers] | None, problems: Iterable[str] = ()) -> None:
        """Serve another map, or keep the last and say what is wrong; tell the browsers.

        May be called from any thread; `make` is called in the server's own.
        """
        if self._loop:
            self._loop.add_callback(self._show, make, tuple(problems))

    def _show(self, make: Callable[[], Answers] | None, problems: tuple[str, ...]) -> None:
        if make is not None:
            self.responder = make()
        self.problems = problems
        for waiter in tuple(self._waiters):
            waiter.send_message({"command": "reload", "path": "*", "liveCSS": False})

    def allows(self, host: str) -> bool:
        """Tell whether a Host header, or the host of an Origin, is one of ours."""
        name, _, port = host.rpartition(":")
        if not name or host.endswith("]"):
            name, port = host, ""
        return name in self._names and port in ("", str(self.port))

    def _application(self) -> Application:
        routes: list[Any] = []
        if self.reload_enabled:
            routes = [
                (r"/livereload", _Socket, {"server": self, "waiters": self._waiters}),
                (r"/livereload\.js", _ReloadScript, {"server": self}),
            ]
        routes.append((r"/.*", _Handler, {"server": self}))
        return Application(routes, log_function=_log)


class _PlainServer(HTTPServer):
    """An HTTP server that hangs up on TLS.

    Clients try https first; a server that waits for the rest of what looks
    like a header makes each of them wait for ten seconds.
    """

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Take tornado's arguments, and keep the connections that are looked at."""
        super().initialize(*args, **kwargs)
        self._looking: set[asyncio.Task[None]] = set()

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a connection once its first byte shows that it speaks HTTP."""
        task = asyncio.ensure_future(self._look(stream, address))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _look(self, stream: IOStream, address: Any) -> None:
        pause = 0.0005
        while (first := _peek(stream)) is None and pause < MAX_PAUSE:
            await asyncio.sleep(pause)
            pause *= 1.5
        if first == TLS_HANDSHAKE:
            stream.close()
        elif not stream.closed():
            super().handle_stream(stream, address)


def _peek(stream: IOStream) -> bytes | None:
    """Return a connection's first byte without taking it; None when it has sent nothing yet."""
    try:
        return stream.socket.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    except (OSError, AttributeError):  # already gone
        return b""


def _log(handler: RequestHandler) -> None:
    request = handler.request
    log.debug("%s %s %s", handler.get_status(), request.method, request.uri)


class _Guarded(RequestHandler):
    """A handler that answers only to the server's own names."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

    def initialize(self, server: Server, **_: object) -> None:
        self.server = server

    def prepare(self) -> Awaitable[None] | None:
        if not self.server.allows(self.request.host):
            self.set_status(421)
            self.finish(_FORBIDDEN)
        return None

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def compute_etag(self) -> str | None:
        """Return None: entity tags come from the record."""
        return None


class _Handler(_Guarded):
    """Answers everything that is published."""

    async def _answer(self) -> None:
        request = self.request
        headers = header_map(request.headers.get_all())
        if "range" in headers:  # tornado joins repeated headers; one is all we read
            headers["range"] = headers["range"].split(";")[0]
        asked = Request(request.method or "GET", request.uri or "/", headers)
        response = await self._respond(asked)
        self.set_status(response.status)
        for name, value in response.headers:
            self.set_header(name, value)
        if not response.header("Content-Type"):
            self.clear_header("Content-Type")
        if response.entry is None:
            self._send(response.data)
        elif self._is_page(response):
            self._send(self._decorated(response))
        else:
            await self._stream(response)

    async def _respond(self, request: Request) -> Response:
        """Ask the responder; what goes wrong far away is an answer too."""
        respond = self.server.responder.respond
        if not self.server.blocking:
            return respond(request)
        try:
            return await aside(respond, request)
        except BuilderError as error:
            status = 502 if isinstance(error, RemoteError) else 500
            kind = (("Content-Type", "text/plain; charset=utf-8"),)
            return Response(status, kind, data=f"{error}\n".encode())

    get = head = post = put = patch = delete = options = _answer

    def _is_page(self, response: Response) -> bool:
        html_page = response.header("Content-Type").startswith("text/html")
        whole = response.status in (200, 404)
        json_copy = response.entry is not None and "/v2/" in f"/{response.entry.path}"
        return self.server.reload_enabled and html_page and whole and not json_copy

    def _decorated(self, response: Response) -> bytes:
        """Return a page with the reload script and, if any, what is wrong with the sources."""
        if response.entry is None:
            return response.data
        with self.server.responder.open(response.entry) as stream:
            page = stream.read()
        self.clear_header("ETag")
        before, end, after = page.rpartition(b"</body>")
        banner = _banner(self.server.problems)
        return before + banner + _SCRIPT + end + after if end else page + banner + _SCRIPT

    def _send(self, data: bytes) -> None:
        if self.get_status() != 304:
            self.set_header("Content-Length", str(len(data)))
        if self.request.method != "HEAD" and self.get_status() != 304:
            self.write(data)

    async def _stream(self, response: Response) -> None:
        """Send part of a file in pieces, waiting for the client before the next."""
        entry = response.entry
        if entry is None:
            return
        if self.request.method == "HEAD":
            self.set_header("Content-Length", str(response.length))
            return
        try:
            stream = response.stream or self.server.responder.open(entry)
        except FileNotFoundError:
            self.set_status(404)
            self._send(b"not found\n")
            return
        with stream:
            left = response.length
            size = stream.seek(0, os.SEEK_END)
            if size != entry.size and response.status == HTTPStatus.OK:
                # A build has replaced the file and not yet booked it: these bytes, no old tag.
                left = size
                self.clear_header("ETag")
            self.set_header("Content-Length", str(left))
            stream.seek(response.start)
            await send(self, stream, left)


class _ReloadScript(_Guarded):
    """livereload's own client script."""

    def get(self) -> None:
        path = Path(livereload.__file__).parent / "vendors" / "livereload.js"
        self.set_header("Content-Type", "text/javascript")
        self.write(path.read_bytes())


class _Socket(LiveReloadHandler):  # type: ignore[misc] # livereload has no types
    """livereload's socket, for pages of this server alone."""

    def initialize(self, server: Server, waiters: set[Any]) -> None:
        self.server = server
        self.mine = waiters

    def check_origin(self, origin: str) -> bool:
        """Accept a socket from our own pages only."""
        return self.server.allows(self.request.host) and self.server.allows(urlsplit(origin).netloc)

    def on_message(self, message: str) -> None:
        """Greet a browser and remember it."""
        super().on_message(message)
        if json.loads(message).get("command") == "hello":
            self.mine.add(self)

    def on_close(self) -> None:
        """Forget a browser that has gone."""
        super().on_close()
        self.mine.discard(self)


def _banner(problems: Iterable[str]) -> bytes:
    """Return what is wrong as an element that needs no style of the theme."""
    lines = "\n".join(problems)
    if not lines:
        return b""
    text = html.escape(f"This is the last good build. The sources have problems:\n\n{lines}")
    return f'<dialog open class="build-problems"><pre>{text}</pre></dialog>'.encode()
