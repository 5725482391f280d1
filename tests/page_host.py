"""A host of files like GitHub Pages, below a path, that can also be told to lie.

Written to the documented behaviour: the type follows from the extension and
is octet-stream without one, `index.html` answers for a folder, a folder
without its slash is redirected, one 404.html, no rules of any kind.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "png": "image/png",
    "js": "application/javascript; charset=utf-8",
}


@dataclass
class Twists:
    """What the host does wrong, by path below its prefix; an honest one has none."""

    redirects: dict[str, str] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)  # bytes, for so many requests
    drips: set[str] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)
    gates: dict[str, threading.Event] = field(default_factory=dict)  # half is sent, then it waits
    lengths: dict[str, int] = field(default_factory=dict)  # what Content-Length says instead
    no_head: bool = False
    typed: Callable[[bytes], str] | None = None  # the type of manifests; "" sends none
    root: str = "registry"


class Host(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    files: Mapping[str, bytes] | Path
    twists: Twists
    log: list[tuple[str, str]]

    @property
    def url(self) -> str:
        root = f"/{self.twists.root}" if self.twists.root else ""
        return f"http://127.0.0.1:{self.server_address[1]}{root}"

    def content(self, path: str) -> bytes | None:
        if not isinstance(self.files, Path):
            return self.files.get(path)
        file = self.files / path
        return file.read_bytes() if file.is_file() else None

    def asked(self, method: str, part: str) -> int:
        """Count the requests whose path holds `part`."""
        return sum(part in path for seen, path in self.log if seen == method)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Host

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.log.append((self.command, self.path))
        with suppress(BrokenPipeError, ConnectionResetError):
            self._answer(self.server.twists)

    def _answer(self, twists: Twists) -> None:
        root = f"/{twists.root}/" if twists.root else "/"
        path = self.path.partition("?")[0].removeprefix(root)
        if self.command == "HEAD" and twists.no_head:
            self._send(405, b"")
        elif path in twists.redirects:
            self._send(302, b"", {"Location": twists.redirects[path]})
        elif path in twists.statuses:
            self._send(twists.statuses[path], b"trouble")
        elif not self.path.startswith(root) or (data := self._found(path)) is None:
            missing = self.server.content("404.html") or b"<!doctype html>nothing"
            self._send(404, missing, {"Content-Type": _TYPES["html"]})
        else:
            self._file(path, data, twists)

    def _found(self, path: str) -> bytes | None:
        inside = f"{path.rstrip('/')}/index.html".lstrip("/")
        for inner in (inside,) if path.endswith("/") else (path, inside):
            if (data := self.server.content(inner)) is not None:
                return data
        return None

    def _file(self, path: str, data: bytes, twists: Twists) -> None:
        etag = f'"{hashlib.md5(data).hexdigest()}"'  # noqa: S324 - as hosts do
        extension = path.rpartition("/")[2].rpartition(".")[2]
        kind = "html" if path.endswith("/") else extension
        said = _TYPES.get(kind, "application/octet-stream")
        if twists.typed is not None and "/manifests/" in path:
            said = twists.typed(data)
        headers = {"Content-Type": said, "ETag": etag} if said else {"ETag": etag}
        if self.headers.get("If-None-Match") == etag:
            self._send(304, b"", headers)
            return
        start = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        rest = data[start:]
        self._head(206 if start else 200, twists.lengths.get(path, len(rest)), headers)
        if self.command != "HEAD":
            self._body(path, rest, twists)

    def _body(self, path: str, data: bytes, twists: Twists) -> None:
        if path in twists.gates:
            self.wfile.write(data[: len(data) // 2])
            twists.gates[path].wait(30)
            data = data[len(data) // 2 :]
        if twists.cuts.get(path):
            self.wfile.write(data[: twists.cuts[path].pop()])
            self.close_connection = True
        elif path in twists.drips:
            for byte in data[:2000]:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        else:
            self.wfile.write(data)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, len(data), headers or {})
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def pages(files: Mapping[str, bytes] | Path, twists: Twists | None = None) -> Iterator[Host]:
    """Serve files by path, or a folder, on loopback until the block ends."""
    server = Host(("127.0.0.1", 0), _Handler)
    server.files, server.twists, server.log = files, twists or Twists(), []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        for gate in server.twists.gates.values():
            gate.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
