"""A registry that does what it is told: lie, cut, drip, redirect, refuse."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.images import INDEX, LAYER, Image, as_json, descriptor, layer_of

NAME = "lib/app"


@dataclass
class Behaviour:
    """What the server does; the defaults are those of an honest one."""

    image: Image = field(default_factory=lambda: big_image(b"x" * 300_000))
    auth: str = ""  # a WWW-Authenticate header; {port} is filled in
    token: bytes = b'{"token": "%s"}'
    token_padding: int = 0
    token_uses: int = 0  # after so many requests another token is needed
    token_redirect: str = ""
    echo: bool = False  # say what came in Authorization
    blob_redirect: str = ""  # {digest} is filled in
    manifest_redirect: str = ""
    manifest_type: str = ""
    manifest_body: bytes = b""
    manifest_digest: str = ""
    link: str = ""
    tags: bytes = b'{"name": "lib/app", "tags": ["latest"]}'
    endless_list: bool = False  # each page has new names, and says that there is another
    referrers: bytes = b""  # empty: there is no such endpoint
    statuses: list[int] = field(default_factory=list)  # of the first requests for a manifest
    retry_after: str = ""
    error_padding: int = 0
    cut_after: int = 0  # bytes of a blob, as long as `cuts` lasts
    cuts: int = 0
    ranges: str = "honest"  # or `none`, `wrong`
    endless: bool = False
    drip: bool = False
    encoding: str = ""


@dataclass
class Log:
    """What was asked, with which Authorization, and how much was sent."""

    requests: list[tuple[str, str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    sent: int = 0

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.requests]


def big_image(data: bytes) -> Image:
    """Return an image whose one layer is longer than a network buffer."""
    layer, diff_id = layer_of(data.hex() if len(data) < 1000 else _noise(len(data)))
    config = as_json(
        {"architecture": "amd64", "os": "linux", "config": {},
         "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    )  # fmt: skip
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [descriptor(LAYER, layer)],
        }
    )
    blobs = {descriptor(LAYER, raw)["digest"]: raw for raw in (config, layer)}
    return Image(manifest, blobs)


def _noise(size: int) -> str:
    import random  # noqa: PLC0415

    return "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))  # noqa: S311


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.log.bodies.append(body)
        self.do_GET()

    def do_GET(self) -> None:
        self.server.log.requests.append(
            (self.command, self.path, self.headers.get("Authorization", ""))
        )
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self._answer(self.server.behaviour)

    def _answer(self, do: Behaviour) -> None:
        port = self.server.server_address[1]
        path = self.path.partition("?")[0]
        if path == "/token" and do.token_redirect:
            self._send(307, b"", {"Location": do.token_redirect})
        elif path == "/token":
            token = do.token.replace(b"%s", self.server.token.encode())
            self._send(200, token, padding=do.token_padding)
        elif do.auth and not self._is_let_in(do):
            self._send(401, b"{}", {"WWW-Authenticate": do.auth.replace("{port}", str(port))})
        elif do.echo:
            said = self.headers.get("Authorization", "")
            self._send(403, f"{'x' * 100} you are {said}".encode())
        elif do.endless_list and path.endswith(("/tags/list", "/_catalog")):
            self._page(path)
        elif path.endswith("/tags/list"):
            headers = {"Link": do.link.replace("%d", str(len(self.server.log.requests)))}
            self._send(200, do.tags, headers if do.link else {})
        elif "/referrers/" in path and do.referrers:
            self._send(200, do.referrers, {"Content-Type": INDEX})
        elif "/manifests/" in path:
            self._manifest(do)
        elif "/blobs/" in path or path == "/elsewhere":
            self._blob(do, path)
        else:
            self._send(200 if path == "/v2/" else 404, b"{}")

    def _page(self, path: str) -> None:
        number = len(self.server.log.requests)
        names = [f"n{number}-{item}" for item in range(60_000)]
        body = as_json({"repositories": names, "tags": names})
        self._send(200, body, {"Link": f'<{path}?last={number}>; rel="next"'})

    def _is_let_in(self, do: Behaviour) -> bool:
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return False
        self.server.uses += 1
        if do.token_uses and self.server.uses % do.token_uses == 0:
            self.server.token = f"sesame{self.server.uses}"
        return True

    def _manifest(self, do: Behaviour) -> None:
        if do.statuses:
            status = do.statuses.pop(0)
            if status != 200:
                headers = {"Retry-After": do.retry_after} if do.retry_after else {}
                self._send(status, b'{"errors":[]}', headers, padding=do.error_padding)
                return
        if do.manifest_redirect:
            self._send(307, b"", {"Location": do.manifest_redirect})
            return
        body = do.manifest_body or do.image.manifest
        headers = {"Content-Type": do.manifest_type or do.image.media_type}
        if do.manifest_digest:
            headers["Docker-Content-Digest"] = do.manifest_digest
        self._send(200, body, headers)

    def _blob(self, do: Behaviour, path: str) -> None:
        digest = path.rpartition("/")[2]
        if do.blob_redirect and path != "/elsewhere":
            self._send(307, b"", {"Location": do.blob_redirect.replace("{digest}", digest)})
            return
        data = do.image.blobs.get(digest) or max(do.image.blobs.values(), key=len)
        start = 0
        if (wanted := self.headers.get("Range", "")) and do.ranges != "none":
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
        shown = start + 7 if do.ranges == "wrong" and start else start
        headers = {"Content-Encoding": do.encoding} if do.encoding else {}
        if start:
            headers["Content-Range"] = f"bytes {shown}-{len(data) - 1}/{len(data)}"
        rest = data[shown:]
        if do.endless:
            self._endless()
        elif do.drip:
            self._drip(rest)
        elif do.cuts and len(rest) > do.cut_after:
            do.cuts -= 1
            self._head(206 if start else 200, len(rest), headers)
            self.wfile.write(rest[: do.cut_after])
            self.close_connection = True
        else:
            self._send(206 if start else 200, rest, headers)

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for _ in range(2000):
            self.wfile.write(b"x" * 65536)
            self.server.log.sent += 65536

    def _drip(self, data: bytes) -> None:
        self._head(200, len(data), {})
        for byte in data[:600]:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.1)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, *, padding: int = 0
    ) -> None:
        self._head(status, len(data) + padding, headers or {})
        if self.command == "HEAD":
            return
        self.wfile.write(data)
        while padding > 0:
            self.wfile.write(b" " * min(padding, 65536))
            self.server.log.sent += 65536
            padding -= 65536


class Server(ThreadingHTTPServer):
    daemon_threads = True
    behaviour: Behaviour
    log: Log
    token = "sesame"
    uses = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up: it is what they should do."""


@contextmanager
def hostile(behaviour: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server of this behaviour on loopback until the block ends."""
    server = Server(("127.0.0.1", 0), _Handler)
    server.behaviour, server.log = behaviour, Log()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)  # fmt: skip
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def talking(script: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server that does with each connection what `script` says; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(20)
                script(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)
