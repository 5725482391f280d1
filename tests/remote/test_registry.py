"""What a registry says is there: lists, referrers, heads; and addresses as users write them."""

from __future__ import annotations

from typing import Any

import pytest

from builder.errors import RemoteError, UsageError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.remote import http
from builder.remote.options import RemoteOptions
from builder.remote.reference import parse_address
from builder.remote.registry import RegistryClient, Repository
from tests.images import MANIFEST, Image, as_json
from tests.remote.hostile import NAME, Behaviour, Server, hostile


def repository(server: Server) -> Repository:
    host = f"127.0.0.1:{server.server_address[1]}"
    return RegistryClient(host, RemoteOptions()).repository(NAME)


def tags(behaviour: Behaviour) -> list[str]:
    with hostile(behaviour) as server:
        behaviour.link = behaviour.link.replace("{port}", str(server.server_address[1]))
        return list(repository(server).tags())


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"tags": ["b", "a", "b"]}, ["b", "a"]),
        ({"tags": []}, []),
        ({"tags": None}, []),  # what docker-registry says of a repository without tags
    ],
)
def test_tags(document: Any, expected: list[str]) -> None:
    assert tags(Behaviour(tags=as_json(document))) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"7", b"[]", b"{}", b'{"tags": 7}', b'{"tags": "abc"}', b'{"tags": {"a": 1}}',
        b'{"tags": [1]}', b'{"tags": ["a"], "tags": ["b"]}', b"\xff", b"[" * 100_000,
        b'{"tags": ["' + b"a" * (9 << 20) + b'"]}',
    ],
)  # fmt: skip
def test_lists_that_are_none(raw: bytes) -> None:
    with pytest.raises(RemoteError):
        tags(Behaviour(tags=raw))


@pytest.mark.parametrize(
    "link",
    [
        "</v2/lib/app/tags/list?n=1>; rel=prev",
        "nonsense",
        "<" * 8000,
        "<>; rel=next",
        "</x>" + " " * 8000,
    ],
)
def test_links_that_lead_nowhere(link: str) -> None:
    assert tags(Behaviour(link=link)) == ["latest"]


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ('<http://127.0.0.1:{port}/v2/lib/app/tags/list?last=%d>; rel="next"', "circle"),
        ('<?last=%d>; rel="next"', "circle"),
        ("<https://127.0.0.1:{port}/v2/x/tags/list>; rel=next", "another server"),
        ("<http://localhost:{port}/v2/x/tags/list>; rel=next", "another server"),
        ("<//evil.example/v2/x/tags/list>; rel=next", "another server"),
        ("<file:///etc/passwd>; rel=next", "another server"),
        ("<http://[::1>; rel=next", "next page"),
        ("<http://127.0.0.1:99999/>; rel=next", "next page"),
    ],
)
def test_links_that_lead_astray(link: str, message: str) -> None:
    with pytest.raises(RemoteError, match=message):
        tags(Behaviour(link=link))


def index(*digests: str) -> bytes:
    entries = [{"mediaType": MANIFEST, "digest": digest, "size": 7} for digest in digests]
    media_type = "application/vnd.oci.image.index.v1+json"
    return as_json({"schemaVersion": 2, "mediaType": media_type, "manifests": entries})


ONE = Digest("sha256:" + "1" * 64)


def test_referrers() -> None:
    with hostile(Behaviour(referrers=index(ONE, ONE))) as server:
        assert [item.digest for item in repository(server).referrers(ONE)] == [ONE]


@pytest.mark.parametrize(
    "raw", [b"{}", b"[]", b"nonsense", index("sha256:no"), b'{"manifests": 7}']
)
def test_referrers_that_are_none(raw: bytes) -> None:
    with hostile(Behaviour(referrers=raw)) as server, pytest.raises(RemoteError, match="referrers"):
        repository(server).referrers(ONE)


def test_heads() -> None:
    behaviour = Behaviour()
    image = behaviour.image
    with hostile(behaviour) as server:
        there = repository(server)
        expected = Descriptor(MANIFEST, Digest(image.digest), len(image.manifest))
        assert there.head("latest") == expected
        behaviour.manifest_digest = image.digest
        assert there.head("latest") == expected
        behaviour.statuses = [404]
        assert there.head("latest") is None
        behaviour.statuses = [405, 404]
        assert there.head("latest") is None


def test_a_blob_yields_one_byte_too_many_and_no_more() -> None:
    behaviour = Behaviour(endless=True)
    with hostile(behaviour) as server:
        digest = Digest(next(iter(behaviour.image.blobs)))
        with repository(server).open_blob(Descriptor("x/y", digest, 100_000)) as stream:
            assert len(stream.read()) == 100_001


@pytest.mark.parametrize("ranges", ["", "none"])
def test_a_blob_that_is_shorter_than_it_should_be_is_no_cut(ranges: str) -> None:
    """Whoever hashes what there is says what is wrong; to ask again would bring the same."""
    behaviour = Behaviour(ranges=ranges)
    digest, raw = max(behaviour.image.blobs.items(), key=lambda item: len(item[1]))
    with hostile(behaviour) as server:
        descriptor = Descriptor("x/y", Digest(digest), len(raw) + 1)
        with repository(server).open_blob(descriptor) as stream:
            assert stream.read() == raw
        assert len(server.log.requests) == 1


@pytest.mark.parametrize(("cut_after", "most"), [(0, 6), (1, 6), (1000, 6)])
def test_a_server_that_cuts_for_ever(
    cut_after: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_backoff", lambda _: 0.0)
    behaviour = Behaviour(cut_after=cut_after, cuts=1_000_000)
    digest, raw = max(behaviour.image.blobs.items(), key=lambda item: len(item[1]))
    with hostile(behaviour) as server:
        with (
            repository(server).open_blob(Descriptor("x/y", Digest(digest), len(raw))) as stream,
            pytest.raises(RemoteError, match="5 times"),
        ):
            stream.read()
        assert len(server.log.requests) <= most


@pytest.mark.parametrize("ranges", ["honest", "none", "wrong"])
def test_cuts_far_from_each_other_are_no_reason_to_give_up(
    ranges: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight cuts; a server without ranges gets further each time, as one whose load sinks."""
    monkeypatch.setattr(http, "_backoff", lambda _: 0.0)
    data = bytes(range(256)) * (10 << 12)
    image = Image.of("x")
    digest = Digest.of(data)
    image.blobs[digest] = data
    behaviour = Behaviour(image=image, ranges=ranges, cut_after=(5 << 20) // 4, cuts=8)
    if ranges != "honest":
        behaviour.cuts = 4
    with hostile(behaviour) as server:
        descriptor = Descriptor("x/y", digest, len(data))
        with repository(server).open_blob(descriptor) as stream:
            assert stream.read() == data
    assert behaviour.cuts <= 1


def test_a_blob_that_is_not_there() -> None:
    with hostile(Behaviour(blob_redirect="/nowhere")) as server:
        there = repository(server)
        with pytest.raises(FileNotFoundError):
            there.open_blob(Descriptor("x/y", ONE, 7))


def test_the_catalogue_goes_by_its_own_scope() -> None:
    behaviour = Behaviour(auth='Bearer realm="http://127.0.0.1:{port}/token"')
    with hostile(behaviour) as server, pytest.raises(RemoteError, match="404"):
        list(repository(server).client.catalog())
    assert any("registry%3Acatalog" in path for path in server.log.paths())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("//localhost:5000/a/b:1.0", ("localhost:5000", "a/b", "1.0")),
        ("//registry.example/a", ("registry.example", "a", "")),
        ("//[::1]:5000/a:x", ("[::1]:5000", "a", "x")),
        ("//localhost/a", ("localhost", "a", "")),
        ("//alpine", ("docker.io", "alpine", "")),
        ("//alpine:3.20", ("docker.io", "alpine", "3.20")),
        ("//grafana/grafana", ("docker.io", "grafana/grafana", "")),
        (f"//h:1/a:1@{ONE}", ("h:1", "a", ONE)),
        (f"//h.x/a@{ONE}", ("h.x", "a", ONE)),
    ],
)
def test_addresses(text: str, expected: tuple[str, str, str]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "//", "//h:1/", "//h:1/A", "//h:1/a/../b", "//h:1/a//b", "//h:1/a:", "//h:99999/a",
        "//h:0/a", "//[::::]/a", "//[zz]:1/a", "//h:1/a@sha256", "//h:1/a:.x", "//h.x/a b",
        "//http://h:1/a", "//u:p@h.x/a", "//h.x/a?b", "//h.x/" + "a" * 300, "//h.x/a\n",
        "//h.x/" + "a-" * 40_000,
    ],
)  # fmt: skip
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="docker:"):
        parse_address(text)


def test_the_default_registry_has_a_library() -> None:
    client = RegistryClient("docker.io", RemoteOptions())
    assert client.repository("alpine").name == "library/alpine"
    assert client.repository("grafana/grafana").name == "grafana/grafana"
    assert client.base == "https://registry-1.docker.io"
