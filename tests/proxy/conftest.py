"""A proxied site without sockets of its own: what it answers, read to the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from builder.preview.lookup import Arriving
from builder.preview.respond import Request, Response
from builder.proxy.cache import BlobCache
from builder.proxy.lookup import ProxiedSite
from builder.proxy.respond import ProxyResponder
from builder.proxy.site import Site
from builder.remote.options import RemoteOptions
from builder.targets import open_target
from tests.images import INDEX, Image, as_json, descriptor
from tests.page_host import Host

NAME = "lib/app"


@dataclass
class Got:
    """An answer with its whole body."""

    response: Response
    body: bytes

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def type(self) -> str:
        return self.response.header("Content-Type")

    @property
    def code(self) -> str:
        code: str = json.loads(self.body)["errors"][0]["code"]
        return code


def read(stream: BinaryIO, left: int) -> bytes:
    """Read so many bytes as the server would; raises what went wrong."""
    data = b""
    while left:
        chunk: bytes | None = stream.read(left)
        if chunk is None:
            assert isinstance(stream, Arriving)
            more = threading.Event()
            stream.on_more(more.set)
            assert more.wait(30)
            continue
        if not chunk:
            break
        data, left = data + chunk, left - len(chunk)
    return data


class Proxy:
    """A proxy of one host with a cache and a clock that tests move."""

    def __init__(self, url: str, cache: Path, limit: int, *, insecure: bool) -> None:
        self.now = 0.0
        self.cache = BlobCache(cache, limit)
        site = Site(url, RemoteOptions(insecure=insecure))
        proxied = ProxiedSite(site, self.cache, clock=lambda: self.now)
        self.responder = ProxyResponder(proxied, open_target("preview").capabilities)

    def begin(self, path: str, method: str = "GET", **headers: str) -> Response:
        """Ask; the body is not read."""
        named = {key.replace("_", "-").lower(): value for key, value in headers.items()}
        return self.responder.respond(Request(method, f"/v2/{path}", named))

    def __call__(self, path: str, method: str = "GET", **headers: str) -> Got:
        response = self.begin(path, method, **headers)
        if response.stream is None:
            return Got(response, response.data)
        with response.stream as stream:
            stream.seek(response.start)
            return Got(response, read(stream, response.length))


Proxied = Callable[..., Proxy]


@pytest.fixture
def proxied(tmp_path: Path) -> Proxied:
    """Make a proxy of a host."""

    def make(host: Host | str, limit: int = 1 << 30, *, insecure: bool = False) -> Proxy:
        url = host if isinstance(host, str) else host.url
        return Proxy(url, tmp_path / "cache", limit, insecure=insecure)

    return make


def tree(image: Image, *tags: str, name: str = NAME) -> dict[str, bytes]:
    """Return the files that a registry publishes for an image."""
    files = {f"v2/{name}/blobs/{digest}": raw for digest, raw in image.blobs.items()}
    for digest, raw in {**image.blobs, image.digest: image.manifest}.items():
        if b'"schemaVersion"' in raw:
            files[f"v2/{name}/manifests/{digest}"] = raw
    files |= {f"v2/{name}/manifests/{tag}": image.manifest for tag in tags}
    files[f"v2/{name}/tags/list"] = as_json({"name": name, "tags": list(tags)})
    files["v2/index.html"] = b"{}\n"
    return files


def index_of(*manifests: bytes, kind: str, **more: Any) -> bytes:
    """Return a list of referrers."""
    entries = [descriptor(kind, raw, **more) for raw in manifests]
    return as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
