"""The preview server: a published map on a socket, with live reload.

Loopback unless told otherwise, with an allow-list for Host and Origin: a page
on the internet must not be able to read a private registry through the
browser of whoever previews it.
"""

from __future__ import annotations

import html
import itertools
import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import livereload
from livereload.handlers import LiveReloadHandler
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler, stream_request_body

from builder.errors import BuilderError, RemoteError
from builder.output import Entry
from builder.preview.listening import PlainServer, listen
from builder.preview.receiving import Inbox, Receiver, check
from builder.preview.respond import Request, Response, error_answer, header_map
from builder.preview.sending import aside, send
from builder.preview.users import Users

log = logging.getLogger(__name__)

_SCRIPT = b'<script src="/livereload.js"></script>'
MAX_BODY = 1 << 50  # bytes of a push; the disk says what is too much
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_FORBIDDEN = b"this server answers only to its own names\n"


def url_host(host: str) -> str:
    """Return a bind address as it stands in a URL and in the Host header."""
    return f"[{host}]" if ":" in host else host.lower()


class Answers(Protocol):
    """What makes the answers that are served."""

    def respond(self, request: Request) -> Response:
        """Return the answer to one request."""

    def open(self, entry: Entry) -> BinaryIO:
        """Open the bytes of an entry that an answer named; raises FileNotFoundError."""


class Server:
    """Serves what `responder` answers, until `stop` is called; 503 while there is none.

    `responder` may be replaced at any time by `show`; requests under way end
    with the one they began with. `blocking` says that its answers take time:
    then each is made in a thread. `allow_hosts` are further names that may
    stand in the Host header, `allow_below` is how any number of them may end
    (`.localhost`). `receiver` takes what is pushed; without one nothing is.
    `users` are those who may come in, `tls` is spoken instead of plain http.
    The port is taken here: raises LocalError when it cannot be had.
    """

    def __init__(
        self,
        responder: Answers | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 4000,
        reload: bool = True,
        blocking: bool = False,
        allow_hosts: Iterable[str] = (),
        allow_below: str = "",
        receiver: Receiver | None = None,
        users: Users | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.responder = responder
        self.receiver = receiver
        self.users = users
        self._tls = tls
        self.blocking = blocking
        self.problems: tuple[str, ...] = ()
        self.reload_enabled = reload
        self._sockets = listen(host, port)
        self._names = {*_LOOPBACK, url_host(host), *map(str.lower, allow_hosts)}
        self._below = allow_below
        self._loop: IOLoop | None = None
        self._running = False
        self._waiters: set[Any] = set()
        self.port: int = self._sockets[0].getsockname()[1]

    def run(self, started: Callable[[], None] | None = None) -> None:
        """Serve until stopped."""
        self._loop = IOLoop.current()
        server = PlainServer(self._application(), tls=self._tls)
        server.take(self._sockets)
        if started:
            self._loop.add_callback(started)
        self._running = True
        try:
            self._loop.start()
        finally:
            self._running = False
            self.close()

    def close(self) -> None:
        """Give the port back; also for a process that was forked and serves nothing."""
        for sock in self._sockets:
            if self._loop and sock.fileno() >= 0:
                self._loop.remove_handler(sock)
            sock.close()

    def stop(self) -> None:
        """End `run`; may be called from any thread and from a signal handler."""
        if self._loop:
            self._loop.add_callback_from_signal(self._loop.stop)

    def show(self, make: Callable[[], Answers] | None, problems: Iterable[str] = ()) -> None:
        """Serve another map, or keep the last and say what is wrong; tell the browsers.

        Call from another thread than the server's, where `make` is called;
        returns when the last map is not asked any more.
        """
        if self._loop:
            shown = threading.Event()
            self._loop.add_callback(self._show, make, tuple(problems), shown)
            while not shown.wait(0.1) and self._running:
                pass

    def _show(
        self,
        make: Callable[[], Answers] | None,
        problems: tuple[str, ...],
        shown: threading.Event,
    ) -> None:
        if make is not None:
            self.responder = make()
        self.problems = problems
        shown.set()
        for waiter in tuple(self._waiters):
            waiter.send_message({"command": "reload", "path": "*", "liveCSS": False})

    def allows(self, host: str) -> bool:
        """Tell whether a Host header names one of ours; a forwarded port may be any."""
        name, colon, port = host.rpartition(":")
        if not colon or host.endswith("]"):
            name, port = host, ""
        known = name.lower() in self._names or bool(self._below and name.endswith(self._below))
        return known and (not port or port.isdecimal())

    def _application(self) -> Application:
        routes: list[Any] = []
        if self.reload_enabled:
            routes = [
                (r"/livereload", _Socket, {"server": self, "waiters": self._waiters}),
                (r"/livereload\.js", _ReloadScript, {"server": self}),
            ]
        if self.receiver is not None:
            routes.append((r"/v2/.*", _Receiving, {"server": self}))
        routes.append((r"/.*", _Handler, {"server": self}))
        return Application(routes, log_function=_log)


def _log(handler: RequestHandler) -> None:
    request = handler.request
    log.debug("%s %s %s", handler.get_status(), request.method, request.uri)


class _OwnNames(RequestHandler):
    """Answers only to the server's own names: another's could be that of a hostile page."""

    server: Server
    user = ""  # who asks, where that is asked for

    async def prepare(self) -> None:
        """Turn away who may not come in."""
        if not self.server.allows(self.request.host):
            self.set_status(421)
            self.finish(_FORBIDDEN)
        elif self.server.users is not None:
            said = self.request.headers.get("Authorization", "")
            user = await check(self.server.users.name_of, said) if said else None
            if user is None:
                self._ask_who()
            else:
                self.user = user

    def is_own_page(self) -> bool:
        """Tell whether no browser is at work for another site's page."""
        own = {f"{scheme}://{self.request.host}" for scheme in ("http", "https")}
        said = map(self.request.headers.get_list, ("Origin", "Sec-WebSocket-Origin"))
        return own.issuperset(itertools.chain(*said))

    def _ask_who(self) -> None:
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="this registry", charset="UTF-8"')
        self.set_header("Content-Type", "application/json")
        self.finish(error_answer(401, "UNAUTHORIZED", "log in first").data)


class _Guarded(_OwnNames):
    """A handler of plain requests."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

    def initialize(self, server: Server, **_: object) -> None:
        self.server = server

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def compute_etag(self) -> str | None:
        """Return None: entity tags come from the record."""
        return None


class _Handler(_Guarded):
    """Answers everything that is published."""

    async def _answer(self) -> None:
        if self.server.responder is None:
            self.set_status(503)
            self._send(b"nothing is built yet\n")
            return
        self._answers = self.server.responder  # to the end, whatever is shown meanwhile
        await self._reply(await self._respond(self._asked()))

    def _asked(self) -> Request:
        request = self.request
        headers = header_map(request.headers.get_all())
        if "range" in headers:  # tornado joins repeated headers; one is all we read
            headers["range"] = headers["range"].split(";")[0]
        return Request(request.method or "GET", request.uri or "/", headers, self.user)

    async def _reply(self, response: Response) -> None:
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
        """Ask the responder; what goes wrong there, or far away, is an answer too."""
        respond = self._answers.respond
        try:
            return await aside(respond, request) if self.server.blocking else respond(request)
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
        with self._answers.open(response.entry) as stream:
            page = stream.read()
        self.clear_header("ETag")
        before, end, after = page.rpartition(b"</body>")
        banner = _banner(self.server.problems)
        return before + banner + _SCRIPT + end + after if end else page + banner + _SCRIPT

    def _send(self, data: bytes) -> None:
        if self.get_status() in (204, 304):
            return
        self.set_header("Content-Length", str(len(data)))
        if self.request.method != "HEAD":
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
            stream = response.stream or self._answers.open(entry)
        except FileNotFoundError:
            self.set_status(404)
            self._send(b"not found\n")
            return
        with stream:
            self.set_header("Content-Length", str(response.length))
            stream.seek(response.start)
            await send(self, stream, response.length)


@stream_request_body
class _Receiving(_Handler):
    """Gives what is pushed to the receiver, and answers all other requests as ever."""

    _inbox: Inbox | None = None

    async def prepare(self) -> None:
        """Begin a push; one that is refused at once is answered before its body is read."""
        await super().prepare()
        receiver, asked = self.server.receiver, self._asked()
        if self._finished or receiver is None or not receiver.takes(asked):
            return
        if not self.is_own_page():
            message = "a page of another site may not write here"
            await self._reply(error_answer(403, "DENIED", message))
            self.finish()
            return
        self.request.connection.set_max_body_size(MAX_BODY)  # type: ignore[union-attr]
        self._inbox = Inbox(await aside(receiver.begin, asked), self._hang_up)

    async def data_received(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        if self._inbox is None or self._finished:
            return
        await self._inbox.take(chunk)
        if self._inbox.is_hopeless:
            self.set_header("Connection", "close")
            await self._reply(await self._inbox.finish())
            await self.finish()
            self._hang_up()

    async def _receive(self) -> None:
        if self._inbox is None:
            await self._answer()
        else:
            await self._reply(await self._inbox.finish())

    get = head = post = put = patch = delete = options = _receive

    def on_connection_close(self) -> None:
        """Stop waiting for what will not come."""
        super().on_connection_close()
        if self._inbox is not None:
            self._inbox.abort()

    def _hang_up(self) -> None:
        if (connection := self.request.connection) is not None:
            connection.stream.close()  # type: ignore[attr-defined] # an HTTP1Connection


class _ReloadScript(_Guarded):
    """livereload's own client script."""

    def get(self) -> None:
        path = Path(livereload.__file__).parent / "vendors" / "livereload.js"
        self.set_header("Content-Type", "text/javascript")
        self.write(path.read_bytes())


class _Socket(_OwnNames, LiveReloadHandler):  # type: ignore[misc] # livereload has no types
    """livereload's socket, for pages of this server alone."""

    def initialize(self, server: Server, waiters: set[Any]) -> None:
        self.server = server
        self.mine = waiters

    async def prepare(self) -> None:
        """Accept a socket from our own pages only; tornado would take an origin apart first."""
        await super().prepare()
        if not self._finished and not self.is_own_page():
            self.set_status(403)
            self.finish()

    def on_message(self, message: str | bytes) -> None:
        """Greet a browser and remember it; hang up on what is no message of livereload's."""
        try:
            command = json.loads(message)["command"]
            super().on_message(message)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.close()
            return
        if command == "hello":
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
