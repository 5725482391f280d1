"""Uploads that break, into a registry that keeps what it has got, or forgets it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from builder.cli import run
from builder.remote import http, upload
from tests.images import Image
from tests.remote.hostile import big_image


@dataclass
class Behaviour:
    cut_patches: int = 0  # how many pieces end in the middle
    keeps: bool = True  # whether what came before the cut is kept
    forgets: int = 0  # how many uploads are unknown when their state is asked
    refuse: int = 0  # a status for every PUT of a blob
    other_digest: bool = False
    busy: int = 0
    least: int = 0


@dataclass
class State:
    uploads: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def log_message(self, *_: object) -> None:
        pass

    def _do(self) -> None:
        self.server.state.log.append(f"{self.command} {self.path.partition('?')[0]}")
        with suppress(BrokenPipeError, ConnectionResetError):
            self._route(self.server.behaviour, self.server.state)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815 - its names

    def _route(self, do: Behaviour, state: State) -> None:
        parts = urlsplit(self.path)
        last = parts.path.rpartition("/")[2]
        if do.busy and self.command == "PUT":
            do.busy -= 1
            self._drain()
            self._send(503, {"Retry-After": "0"})
        elif "/manifests/" in parts.path:
            self._manifest(last, do, state)
        elif self.command == "HEAD":
            self._send(200 if last in state.blobs else 404)
        elif self.command == "POST":
            name = str(len(state.log))
            state.uploads[name] = b""
            more = {"OCI-Chunk-Min-Length": str(do.least)} if do.least else {}
            self._send(202, {"Location": f"/v2/x/blobs/uploads/{name}?state=1", **more})
        elif self.command == "GET":
            self._status(last, do, state)
        elif self.command == "PATCH":
            self._patch(last, do, state)
        else:
            self._put(last, parse_qs(parts.query)["digest"][0], do, state)

    def _manifest(self, reference: str, do: Behaviour, state: State) -> None:
        if self.command == "PUT":
            data = self._drain()
            state.manifests[reference] = data
            digest = f"sha256:{hashlib.sha256(b'x' if do.other_digest else data).hexdigest()}"
            self._send(201, {"Docker-Content-Digest": digest})
        else:
            found = state.manifests.get(reference)
            kind = "application/vnd.oci.image.manifest.v1+json"
            if found and b'"manifests"' in found:
                kind = "application/vnd.oci.image.index.v1+json"
            self._send(200 if found else 404, {"Content-Type": kind}, found or b"")

    def _status(self, name: str, do: Behaviour, state: State) -> None:
        if do.forgets or name not in state.uploads:
            do.forgets = max(0, do.forgets - 1)
            self._send(404)
            return
        size = len(state.uploads[name])
        self._send(204, {"Range": f"0-{max(size - 1, 0)}", "Location": self.path})

    def _patch(self, name: str, do: Behaviour, state: State) -> None:
        start = int(self.headers["Content-Range"].partition("-")[0])
        length = int(self.headers["Content-Length"])
        if start != len(state.uploads.get(name, b"")):
            self._drain()
            self._send(416)
            return
        if do.cut_patches:
            do.cut_patches -= 1
            half = self.rfile.read(length // 2)
            state.uploads[name] += half if do.keeps else b""
            self.close_connection = True
            return
        state.uploads[name] += self._drain()
        self._send(202, {"Location": self.path})

    def _put(self, name: str, digest: str, do: Behaviour, state: State) -> None:
        data = state.uploads.get(name, b"") + self._drain()
        if do.refuse:
            self._send(do.refuse, {}, b'{"errors":[{"code":"DENIED","message":"no room"}]}')
        elif f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            self._send(400, {}, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
        else:
            state.blobs[digest] = data
            self._send(201)

    def _drain(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, headers: dict[str, str] | None = None, data: bytes = b"") -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class Registry(ThreadingHTTPServer):
    daemon_threads = True
    behaviour: Behaviour
    state: State

    def handle_error(self, *_: object) -> None:
        """Connections that end are what is tested."""


@pytest.fixture
def other() -> Iterator[Registry]:
    server = Registry(("127.0.0.1", 0), _Handler)
    server.behaviour, server.state = Behaviour(), State()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def image(greeting: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Image:
    """A tag with a layer of several pieces."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(upload, "CHUNK", 50_000)
    monkeypatch.setattr(http, "_backoff", lambda _: 0.0)
    made = big_image(b"x" * 300_000)
    made.tag(greeting / "collections/vanessa/greeting", "big")
    return made


def push(greeting: Path, other: Registry) -> int:
    there = f"docker://127.0.0.1:{other.server_address[1]}/x:1"
    return run(["push", "-q", "-s", str(greeting), "vanessa/greeting:big", there])


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(),
        Behaviour(cut_patches=3),
        Behaviour(cut_patches=3, keeps=False),
        Behaviour(cut_patches=2, forgets=2),
        Behaviour(busy=2),
        Behaviour(least=120_000),
        Behaviour(least=10**9),
    ],
    ids=["plain", "cut", "cut and lost", "forgotten", "busy", "large pieces", "one piece"],
)
def test_it_gets_there(behaviour: Behaviour, greeting: Path, other: Registry, image: Image) -> None:
    other.behaviour = behaviour
    assert push(greeting, other) == 0
    assert other.state.blobs == image.blobs
    assert other.state.manifests == {"1": image.manifest}
    pieces = [line for line in other.state.log if line.startswith("PATCH")]
    assert bool(pieces) == (behaviour.least < 10**9)
    assert other.state.log[-1] == "PUT /v2/x/manifests/1"  # the tag, when all else is there


@pytest.mark.parametrize(
    ("behaviour", "word"),
    [
        (Behaviour(cut_patches=1000), "broke 5 times"),
        (Behaviour(refuse=413), "413"),
        (Behaviour(refuse=403), "no room"),
        (Behaviour(other_digest=True), "not what was sent"),
        (Behaviour(busy=1000), "503"),
    ],
)
@pytest.mark.usefixtures("image")
def test_it_does_not(
    behaviour: Behaviour,
    word: str,
    greeting: Path,
    other: Registry,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other.behaviour = behaviour
    assert push(greeting, other) == 4
    assert word in capsys.readouterr().err
