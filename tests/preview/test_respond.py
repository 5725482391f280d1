"""Answers of the preview, as values: no sockets."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from builder.output import Capabilities, Entry
from builder.preview.respond import Request, Responder, Response

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ONE, TWO = ("sha256:" + char * 64 for char in "12")
FULL = Capabilities(
    "full", "Full", media_types=True, headers=True, redirects=True, unknown_referrers=True,
    queries=True, json_errors=True, index_names=("index.html", "index.json"),
)  # fmt: skip
BARE = Capabilities("bare", "Bare")


class Memory:
    """A published map in memory."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.entries: dict[str, Entry] = {}

    def put(
        self, path: str, media_type: str, body: bytes, *headers: tuple[str, str], **more: str | bool
    ) -> None:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.bodies[path] = body
        self.entries[path] = Entry(
            path, media_type, headers, digest, len(body), **more  # type: ignore[arg-type]
        )  # fmt: skip

    def find(self, path: str) -> Entry | None:
        return self.entries.get(path)

    def open(self, entry: Entry) -> BinaryIO:
        return io.BytesIO(self.bodies[entry.path])

    def under(self, prefix: str) -> Iterator[Entry]:
        return (self.entries[path] for path in sorted(self.entries) if path.startswith(prefix))


@pytest.fixture
def site() -> Memory:
    memory = Memory()
    memory.put("index.html", "text/html", b"home")
    memory.put("404.html", "text/html", b"gone")
    memory.put("a/b/index.html", "text/html", b"page")
    memory.put("a/b/tags/index.json", "application/json", b"{}", folder_answer=True)
    memory.put("v2/index.json", "application/json", b"{}", folder_answer=True)
    memory.put("v2/a/b/manifests/1", MANIFEST, b"manifest", ("Docker-Content-Digest", ONE))
    memory.put(f"v2/a/b/blobs/{ONE}", "application/octet-stream", b"0123456789")
    memory.put(f"v2/a/b/blobs/{TWO}", "application/octet-stream", b"",
               location="https://elsewhere.example/blob")  # fmt: skip
    tags = json.dumps({"name": "a/b", "tags": ["1", "2", "3", "4"]}).encode()
    memory.put("v2/a/b/tags/list", "application/json", tags)
    entries = [{"digest": TWO, "artifactType": kind} for kind in ("x/sbom", "x/sig")]
    referrers = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    memory.put(f"v2/a/b/referrers/{ONE}", INDEX, referrers)
    return memory


def ask(site: Memory, target: str, can: Capabilities = FULL, **headers: str) -> Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Responder(site, can).respond(Request("GET", target, named))


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 200),
        ("/a/b/", 200),
        ("/a/b", 301),
        ("/a/b/tags/", 200),
        ("/a/b/tags", 200),
        ("/v2/", 200),
        ("/v2/a/b/manifests/1", 200),
        (f"/v2/a/b/blobs/{ONE}", 200),
        (f"/v2/a/b/blobs/{TWO}", 307),
        ("/nothing", 404),
        ("/.git/config", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 400),
        ("/../etc/passwd", 400),
        ("/%00", 400),
        ("/%ff", 400),
        ("/" + "a" * 100_000, 414),
        ("/v2/a/b/manifests/sha256:zz", 400),
        (f"/v2/a/b/manifests/{TWO}", 404),
        (f"/v2/a/b/referrers/{TWO}", 200),
        ("/v2/a/b/referrers/sha256:zz", 400),
        ("/v2/a/b/tags/list?n=x", 400),
        ("/v2/a/b/tags/list?n=%D9%A1", 400),
    ],
)
def test_status(site: Memory, target: str, status: int) -> None:
    assert ask(site, target).status == status


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/v2/a/b/manifests/nope", "MANIFEST_UNKNOWN"),
        (f"/v2/a/b/blobs/sha256:{'3' * 64}", "BLOB_UNKNOWN"),
        ("/v2/no/where/tags/list", "NAME_UNKNOWN"),
        ("/v2/a/b/blobs/sha256:zz", "DIGEST_INVALID"),
    ],
)
def test_errors_are_json(site: Memory, target: str, code: str) -> None:
    assert json.loads(ask(site, target).data)["errors"][0]["code"] == code


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_writes_are_refused(site: Memory, method: str) -> None:
    answer = Responder(site, FULL).respond(Request(method, "/v2/a/b/blobs/uploads/"))
    assert answer.status == 405
    assert json.loads(answer.data)["errors"][0]["code"] == "UNSUPPORTED"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_malformed_digest_is_told_whatever_it_is_for(site: Memory, method: str) -> None:
    request = Request(method, "/v2/a/b/manifests/sha256:totallywrong")
    answer = Responder(site, FULL).respond(request)
    assert answer.status == 400
    assert json.loads(answer.data)["errors"][0]["code"] == "DIGEST_INVALID"


def test_a_manifest_has_its_type_and_digest(site: Memory) -> None:
    answer = ask(site, "/v2/a/b/manifests/1", authorization="Bearer QQ==")
    assert answer.header("Content-Type") == MANIFEST
    assert answer.header("Docker-Content-Digest") == ONE


def test_a_host_without_headers_sends_none(site: Memory) -> None:
    answer = ask(site, "/v2/a/b/manifests/1", BARE)
    assert answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("Docker-Content-Digest") == ""
    assert ask(site, "/v2/a/b/manifests/nope", BARE).entry == site.find("404.html")


@pytest.mark.parametrize(
    ("query", "tags", "link"),
    [
        ("n=2", ["1", "2"], '</v2/a/b/tags/list?last=2&n=2>; rel="next"'),
        ("n=2&last=2", ["3", "4"], ""),
        ("last=3", ["4"], ""),
        ("n=0", [], ""),
        ("n=9", ["1", "2", "3", "4"], ""),
        ("n=1000000000000", ["1", "2", "3", "4"], ""),
        ("n=0001&last=2", ["3"], '</v2/a/b/tags/list?last=3&n=1>; rel="next"'),
        ("n=1&last=zzz", [], ""),
    ],
)
def test_paging(site: Memory, query: str, tags: list[str], link: str) -> None:
    answer = ask(site, f"/v2/a/b/tags/list?{query}")
    assert json.loads(answer.data)["tags"] == tags
    assert answer.header("Link") == link


def test_referrers_are_filtered(site: Memory) -> None:
    answer = ask(site, f"/v2/a/b/referrers/{ONE}?artifactType=x/sig")
    assert answer.header("OCI-Filters-Applied") == "artifactType"
    assert [item["artifactType"] for item in json.loads(answer.data)["manifests"]] == ["x/sig"]
    assert answer.header("Content-Type") == INDEX


@pytest.mark.parametrize(
    ("wanted", "status", "start", "length"),
    [
        ("bytes=0-3", 206, 0, 4),
        ("bytes=4-", 206, 4, 6),
        ("bytes=-3", 206, 7, 3),
        ("bytes=-30", 206, 0, 10),
        ("bytes=5-900", 206, 5, 5),
        ("bytes=10-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=3-1", 416, 0, 0),
        ("bytes=0-0,2-2", 200, 0, 10),
        ("lines=1-2", 200, 0, 10),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(10_000)), 200, 0, 10),
    ],
)
def test_ranges(site: Memory, wanted: str, status: int, start: int, length: int) -> None:
    answer = ask(site, f"/v2/a/b/blobs/{ONE}", range=wanted)
    assert (answer.status, answer.start, answer.length) == (status, start, length)


def test_not_modified(site: Memory) -> None:
    etag = ask(site, "/").header("ETag")

    def again(**headers: str) -> int:
        return ask(site, "/", FULL, **headers).status

    assert again(if_none_match=f'"x", W/{etag}') == 304
    assert again(if_none_match="*") == 304
    assert again(if_none_match='"x"') == 200
    assert again(range="bytes=0-1", if_range='"x"') == 200


def test_below_a_base_path(site: Memory) -> None:
    responder = Responder(site, FULL, "/registry")
    assert responder.respond(Request("GET", "/registry/a/b/")).status == 200
    assert responder.respond(Request("GET", "/a/b/")).status == 404
    assert responder.respond(Request("GET", "/v2/a/b/manifests/1")).status == 200
    moved = responder.respond(Request("GET", "/registry/a/b"))
    assert moved.header("Location") == "/registry/a/b/"
