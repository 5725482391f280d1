"""Upstreams that lie, send elsewhere and never end: the right words, and nothing half-written."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
import trustme

from builder.remote import http, pages
from tests.images import Image
from tests.remote.hostile import NAME, Behaviour, big_image, hostile
from tests.sync.conftest import Sync


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_backoff", lambda _: 0.0)


def lying(size: int) -> Image:
    """Return an image whose manifest says that its layer is longer by `size` bytes."""
    image = big_image(b"x" * 300_000)
    document = json.loads(image.manifest)
    document["layers"][0]["size"] += size
    return Image(json.dumps(document).encode(), image.blobs)


def left_behind(mine: Path) -> list[Path]:
    """Return what is in the registry that was not there before."""
    known = {mine / "_config.yml", mine / "collections", mine / "collections/README.md"}
    found = {path for path in mine.rglob("*") if ".builder-cache" not in path.parts}
    return sorted(found - known)


def contents(mine: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in mine.rglob("*/mirror/**/*") if path.is_file()}


@pytest.mark.parametrize(
    ("behaviour", "pattern", "expected"),
    [
        (Behaviour(manifest_redirect="http://169.254.169.254/latest"), NAME,
         (4, "a special address")),
        (Behaviour(manifest_redirect="https://169.254.169.254/"), NAME, (4, "a special address")),
        (Behaviour(blob_redirect="file:///etc/passwd"), NAME, (4, "which is refused")),
        (Behaviour(auth='Bearer realm="https://169.254.169.254/"'), NAME, (4, "the realm of")),
        (Behaviour(auth='Bearer realm="file:///etc/passwd"'), NAME, (4, "is not an address")),
        (Behaviour(token_padding=2 << 20, auth='Bearer realm="http://127.0.0.1:{port}/token"'),
         NAME, (4, "the token of")),
        (Behaviour(manifest_digest="sha256:" + "0" * 64), NAME, (4, "do not have the digest")),
        (Behaviour(manifest_digest="nonsense"), NAME, (4, "its Docker-Content-Digest")),
        (Behaviour(manifest_type="text/html"), NAME, (4, "its Content-Type is text/html")),
        (Behaviour(manifest_body=b"{" * 99), NAME, (1, "JSON")),
        (Behaviour(image=lying(1)), NAME, (4, "bytes where size says")),
        (Behaviour(image=lying(-1)), NAME, (4, "serves other content than its manifests name")),
        (Behaviour(image=lying(1 << 60)), NAME, (3, "bytes of disk")),
        (Behaviour(cuts=99, cut_after=1000), NAME, (4, "cut")),
        (Behaviour(endless=True), NAME, (4, "bytes")),
        (Behaviour(endless_list=True), NAME, (4, "the list of tags does not end")),
        (Behaviour(endless_list=True), "lib/*", (4, "the list of repositories does not end")),
        (Behaviour(tags=b'{"tags": ["' + b"x" * 300 + b'", "a/b", ".."]}'), NAME, (1, "valid tag")),
        (Behaviour(tags=b'{"tags": ["index.html"]}'), NAME, (1, "cannot be a tag")),
        (Behaviour(tags=b'{"tags": ["con"]}'), NAME, (1, "a device name")),
        (Behaviour(tags=b'{"tags": {"latest": 1}}'), NAME, (4, "is not a list of tags")),
        (Behaviour(statuses=[503] * 99), NAME, (4, "503")),
        (Behaviour(statuses=[429] * 99), NAME, (4, "429")),
    ],
)  # fmt: skip
def test_nothing_comes_of_it(
    mine: Path, sync: Sync, behaviour: Behaviour, pattern: str, expected: tuple[int, str]
) -> None:
    with hostile(behaviour) as server:
        place = f"127.0.0.1:{server.server_address[1]}/{pattern}"
        status, result, error = sync([{"from": place, "to": "mirror/*"}])
    assert (status, left_behind(mine)) == (expected[0], [])
    assert expected[1] in error
    assert result["problems"]


def test_a_list_whose_pages_take_for_ever_is_given_up(
    mine: Path, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is soon there and has something new: no other limit is reached for hours."""
    monkeypatch.setattr(pages, "MAX_SECONDS", 0)
    with hostile(Behaviour(endless_list=True)) as server:
        place = f"127.0.0.1:{server.server_address[1]}/lib/*"
        status, _, error = sync([{"from": place, "to": "mirror/*"}])
    assert (status, left_behind(mine)) == (4, [])
    assert "the list of repositories comes too slowly" in error


def test_a_lie_about_one_tag_leaves_what_is_here(mine: Path, sync: Sync) -> None:
    with hostile(Behaviour(image=Image.of("good"))) as server:
        place = f"127.0.0.1:{server.server_address[1]}/{NAME}"
        mirrors = [{"from": place, "to": "mirror/app", "prune": True}]
        assert sync(mirrors)[0] == 0
        before = contents(mine)
        server.behaviour = Behaviour(image=lying(1), tags=b'{"tags": ["latest", "index.html"]}')
        status, result, error = sync(mirrors)
    assert status == 1
    assert "index.html" in error
    assert "bytes where size says" in error
    assert before == contents(mine)
    assert [step["tag"] for step in result["tags"] if step["failed"]] == ["latest"]


def test_what_did_not_change_costs_one_request(sync: Sync) -> None:
    image = Image.of("same")
    tags = json.dumps({"tags": [f"1.{number}" for number in range(20)]}).encode()
    with hostile(Behaviour(image=image, tags=tags, manifest_digest=image.digest)) as server:
        mirrors = [f"127.0.0.1:{server.server_address[1]}/{NAME}"]
        assert sync(mirrors)[0] == 0
        server.log.requests.clear()
        assert sync(mirrors)[0] == 0
        asked = [method for method, path, _ in server.log.requests if "/v2/" in path]
    assert sorted(asked) == ["GET", *["HEAD"] * 20]


def test_one_source_is_trusted_and_no_other(mine: Path, sync: Sync) -> None:
    """Also where both are one machine: the certificate is looked at for the other one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with hostile(Behaviour(), context) as server:
        place = f"localhost:{server.server_address[1]}/{NAME}"
        mirrors = [{"from": place, "to": "mirror/one", "insecure": True}, {"from": place,
                   "to": "mirror/two"}]  # fmt: skip
        status, result, error = sync(mirrors)
        assert status == 4
        assert "certificate" in error
        assert "1 problem;" in error
        assert [step["name"] for step in result["tags"]] == ["mirror/one"]
        assert sync(mirrors, "--insecure")[0] == 0
    assert (mine / "collections/mirror/two/manifests/latest/manifest.json").exists()
