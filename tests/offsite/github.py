"""A GitHub of releases and their assets, as its REST API documents them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_of-this-test"
REPOSITORY = "octocat/registry"
TAG = "layers"
RELEASE = 7
_RELEASES = f"/repos/{REPOSITORY}/releases"


@dataclass
class GitHub:
    """What the server holds and does; `late` downloads are not found before they are."""

    port: int = 0
    assets: dict[int, tuple[str, str, bytes]] = field(default_factory=dict)  # name, state, data
    log: list[str] = field(default_factory=list)
    late: int = 0
    upload_host: str = ""
    broken_uploads: int = 0
    is_private: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"GITHUB_API_URL": self.url, "GITHUB_SERVER_URL": self.url, "GITHUB_TOKEN": TOKEN}

    def uploaded(self) -> dict[str, bytes]:
        return {name: data for name, state, data in self.assets.values() if state == "uploaded"}

    def add(self, name: str, state: str, data: bytes) -> dict[str, Any]:
        number = len(self.log) * 1000 + len(self.assets) + 1
        self.assets[number] = (name, state, data)
        return {"id": number, "name": name, "state": state, "size": len(data)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def _answer(self, status: int, value: Any = None, data: bytes | None = None) -> None:
        body = data if data is not None else b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_known(self) -> bool:
        """Tell whether the request has what the documentation asks for; answers it if not."""
        hub = self.server.hub
        hub.log.append(f"{self.command} {urlsplit(self.path).path}")
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"message": "Bad credentials"})
            return False
        if self.headers["Accept"] != "application/vnd.github+json":
            self._answer(415, {"message": "Unsupported 'Accept' header"})
            return False
        return True

    def do_GET(self) -> None:
        hub, parts = self.server.hub, urlsplit(self.path)
        if parts.path.startswith(f"/{REPOSITORY}/releases/download/"):
            self._download(parts.path.removeprefix(f"/{REPOSITORY}/releases/download/{TAG}/"))
            return
        if not self._is_known():
            return
        if parts.path == f"{_RELEASES}/tags/{TAG}":
            upload = hub.upload_host or hub.url
            address = f"{upload}{_RELEASES}/{RELEASE}/assets{{?name,label}}"
            self._answer(200, {"id": RELEASE, "tag_name": TAG, "upload_url": address})
        elif parts.path == f"{_RELEASES}/{RELEASE}/assets":
            query = parse_qs(parts.query)
            size, page = int(query["per_page"][0]), int(query["page"][0])
            every = [
                {"id": number, "name": name, "state": state, "size": len(data)}
                for number, (name, state, data) in hub.assets.items()
            ]
            self._answer(200, every[size * (page - 1) : size * page])
        else:
            self._answer(404, {"message": "Not Found"})

    def _download(self, name: str) -> None:
        hub = self.server.hub
        hub.log.append(f"download {name}")
        data = hub.uploaded().get(name)
        if data is None or hub.is_private or hub.late:
            hub.late -= bool(data is not None and hub.late)
            self._answer(404, {"message": "Not Found"})
        else:
            self._answer(200, data=data)

    def do_POST(self) -> None:
        hub, parts = self.server.hub, urlsplit(self.path)
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_known():
            return
        name = parse_qs(parts.query)["name"][0]
        assert parts.path == f"{_RELEASES}/{RELEASE}/assets"
        assert re.fullmatch(r"[\w.-]+", name)
        if any(name == other for other, _, _ in hub.assets.values()):
            errors = [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}]
            self._answer(422, {"message": "Validation Failed", "errors": errors})
        elif hub.broken_uploads:
            hub.broken_uploads -= 1
            hub.add(name, "starter", b"")
            self._answer(500, {"message": "Server Error"})
        else:
            self._answer(201, hub.add(name, "uploaded", data))

    def do_DELETE(self) -> None:
        if self._is_known():
            number = int(urlsplit(self.path).path.rpartition("/")[2])
            self._answer(204 if self.server.hub.assets.pop(number, None) else 404)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: GitHub


@contextmanager
def github() -> Iterator[GitHub]:
    """Run the server until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = GitHub(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
