"""What a proxied site answers where the site is honest: a registry's answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.errors import RemoteError, UsageError
from builder.oci.mediatype import SCHEMA1
from builder.oci.schema1 import schema1_payload, signed
from builder.oci.validate import parse_manifest
from builder.proxy.site import Site
from builder.remote.options import RemoteOptions
from tests.images import INDEX, MANIFEST, Image, as_json, descriptor, sha256
from tests.page_host import Twists, pages
from tests.proxy.conftest import NAME, Proxied, index_of, tree

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
IMAGE = Image.of("one")
CONFIG = min(IMAGE.blobs, key=lambda digest: IMAGE.blobs[digest][:1] != b"{")
LAYER = max(IMAGE.blobs, key=lambda digest: len(IMAGE.blobs[digest]))


def docker_image() -> Image:
    document = json.loads(IMAGE.manifest) | {"mediaType": DOCKER}
    document["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    return Image(as_json(document), IMAGE.blobs, DOCKER)


def artifact(subject: Image) -> Image:
    empty = b"{}"
    kind = "application/vnd.oci.empty.v1+json"
    document = {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example.sbom",
        "config": descriptor(kind, empty), "layers": [descriptor(kind, empty)],
        "subject": descriptor(subject.media_type, subject.manifest),
    }  # fmt: skip
    return Image(as_json(document), {sha256(empty): empty})


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (IMAGE, MANIFEST),
        (Image.index(IMAGE, Image.of("two")), INDEX),
        (docker_image(), DOCKER),
        (artifact(IMAGE), MANIFEST),
    ],
    ids=["single", "index", "docker", "artifact"],
)
def test_a_manifest_has_its_own_type_and_digest(image: Image, kind: str, proxied: Proxied) -> None:
    with pages(tree(image, "latest")) as host:
        ask = proxied(host)
        for reference in ("latest", image.digest):
            got = ask(f"{NAME}/manifests/{reference}")
            assert (got.status, got.type, got.body) == (200, kind, image.manifest)
            assert got.response.header("Docker-Content-Digest") == image.digest
            head = ask(f"{NAME}/manifests/{reference}", "HEAD")
            assert (head.status, head.type, head.body) == (200, kind, b"")
            assert head.response.length == len(image.manifest)


def test_a_manifest_without_media_type_is_told_by_its_shape(proxied: Proxied) -> None:
    document = json.loads(IMAGE.manifest)
    del document["mediaType"]
    with pages(tree(Image(as_json(document), IMAGE.blobs), "latest")) as host:
        assert proxied(host)(f"{NAME}/manifests/latest").type == MANIFEST


def test_docker_s_oldest_format_has_the_digest_of_its_payload(proxied: Proxied) -> None:
    payload = schema1_payload(NAME, "s1", parse_manifest(IMAGE.manifest), IMAGE.blobs[CONFIG])
    digest = sha256(payload)
    paths = [f"v2/{NAME}/manifests/{reference}" for reference in ("s1", digest)]
    with pages(tree(IMAGE, "s1") | dict.fromkeys(paths, signed(payload))) as host:
        ask = proxied(host)
        for path in paths:
            got = ask(path.removeprefix("v2/"))
            assert (got.status, got.type, got.body) == (200, SCHEMA1, signed(payload))
            assert got.response.header("Docker-Content-Digest") == digest
        host.files = {path: signed(payload + b" ") for path in paths}
        assert proxied(host)(f"{NAME}/manifests/{digest}").status == 502


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=10-19", 206, slice(10, 20)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=99999-", 416, slice(0, 0)),
    ],
)
def test_a_part_of_a_blob(wanted: str, status: int, part: slice, proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest")) as host:
        ask = proxied(host)
        got = ask(f"{NAME}/blobs/{LAYER}", Range=wanted)
        assert (got.status, got.body) == (status, IMAGE.blobs[LAYER][part])
        head = ask(f"{NAME}/blobs/{LAYER}", "HEAD")
        assert head.response.length == len(IMAGE.blobs[LAYER])
        assert head.response.header("Docker-Content-Digest") == LAYER


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{NAME}/manifests/nope", 404, "MANIFEST_UNKNOWN"),
        (f"{NAME}/manifests/sha256:{'0' * 64}", 404, "MANIFEST_UNKNOWN"),
        (f"{NAME}/blobs/sha256:{'0' * 64}", 404, "BLOB_UNKNOWN"),
        (f"{NAME}/blobs/sha256:zz", 400, "DIGEST_INVALID"),
        (f"{NAME}/manifests/sha256:{'A' * 64}", 400, "DIGEST_INVALID"),
        ("no/body/manifests/latest", 404, "NAME_UNKNOWN"),
        ("no/body/tags/list", 404, "NAME_UNKNOWN"),
        ("NO/body/tags/list", 404, "NAME_UNKNOWN"),
        ("_catalog", 404, "NAME_UNKNOWN"),
    ],
)
def test_errors(path: str, status: int, code: str, proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest")) as host:
        got = proxied(host)(path)
    assert (got.status, got.code, got.type) == (status, code, "application/json")


def test_nothing_is_taken(proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest")) as host:
        got = proxied(host)(f"{NAME}/blobs/uploads/", "POST")
    assert (got.status, got.code) == (405, "UNSUPPORTED")


def test_tags_in_pages(proxied: Proxied) -> None:
    files = tree(IMAGE, "b", "a", "c")
    with pages(files) as host:
        ask = proxied(host)
        assert json.loads(ask(f"{NAME}/tags/list").body) == {"name": NAME, "tags": ["a", "b", "c"]}
        first = ask(f"{NAME}/tags/list?n=2")
        assert json.loads(first.body)["tags"] == ["a", "b"]
        assert first.response.header("Link") == f'</v2/{NAME}/tags/list?last=b&n=2>; rel="next"'
        assert json.loads(ask(f"{NAME}/tags/list?last=b&n=2").body)["tags"] == ["c"]
        assert json.loads(ask(f"{NAME}/tags/list?n=0").body)["tags"] == []


@pytest.mark.parametrize("by_tag", [True, False], ids=["tag schema", "endpoint"])
def test_referrers(by_tag: bool, proxied: Proxied) -> None:  # noqa: FBT001
    kind = "application/vnd.example.sbom"
    listed = index_of(artifact(IMAGE).manifest, kind=MANIFEST, artifactType=kind)
    where = IMAGE.digest.replace(":", "-")
    path = f"manifests/{where}" if by_tag else f"referrers/{IMAGE.digest}"
    with pages(tree(IMAGE, "latest") | {f"v2/{NAME}/{path}": listed}) as host:
        ask = proxied(host)
        got = ask(f"{NAME}/referrers/{IMAGE.digest}")
        assert (got.status, got.type, got.body) == (200, INDEX, listed)
        some = ask(f"{NAME}/referrers/{IMAGE.digest}?artifactType={kind}")
        assert some.response.header("OCI-Filters-Applied") == "artifactType"
        assert len(json.loads(some.body)["manifests"]) == 1
        none = ask(f"{NAME}/referrers/{IMAGE.digest}?artifactType=other/type")
        assert json.loads(none.body)["manifests"] == []
        unknown = ask(f"{NAME}/referrers/sha256:{'0' * 64}")
        assert (unknown.status, unknown.type) == (200, INDEX)
        assert json.loads(unknown.body)["manifests"] == []


def test_tags_that_tools_made(proxied: Proxied) -> None:
    tag = f"{IMAGE.digest.replace(':', '-')}.sig"
    with pages(tree(IMAGE, tag)) as host:
        ask = proxied(host)
        assert ask(f"{NAME}/manifests/{tag}").status == 200
        assert json.loads(ask(f"{NAME}/tags/list").body)["tags"] == [tag]


def test_a_layer_that_is_stored_elsewhere(proxied: Proxied) -> None:
    files = tree(IMAGE, "latest")
    data = files.pop(f"v2/{NAME}/blobs/{LAYER}")
    with pages({"big/layer": data}) as store:
        document = {"digest": LAYER, "size": len(data), "url": f"{store.url}/big/layer"}
        with pages(files | {f"{NAME}/blobs/{LAYER}/index.json": as_json(document)}) as host:
            ask = proxied(host)
            assert ask(f"{NAME}/blobs/{LAYER}", "HEAD").response.length == len(data)
            assert ask(f"{NAME}/blobs/{LAYER}").body == data
            assert ask(f"other/name/blobs/sha256:{'1' * 64}").status == 404


def test_a_host_that_does_not_answer_head(proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest"), Twists(no_head=True)) as host:
        ask = proxied(host)
        assert ask(f"{NAME}/blobs/{LAYER}", "HEAD").status == 200
        assert ask(f"{NAME}/blobs/{LAYER}").body == IMAGE.blobs[LAYER]


def test_what_a_tag_points_to_is_asked_for_again(proxied: Proxied) -> None:
    files = tree(IMAGE, "latest")
    other = Image.of("two")
    path = f"v2/{NAME}/manifests/latest"
    with pages(files) as host:
        ask = proxied(host)
        for _ in range(3):
            assert ask(f"{NAME}/manifests/latest").body == IMAGE.manifest
        assert host.asked("GET", path) == 1
        files[path] = other.manifest
        assert ask(f"{NAME}/manifests/latest").body == IMAGE.manifest
        ask.now = 6.0
        assert ask(f"{NAME}/manifests/latest").body == other.manifest
        assert host.asked("GET", path) == 2


def test_the_last_answer_holds_while_the_site_is_away(proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest")) as host:
        ask = proxied(host)
        assert ask(f"{NAME}/manifests/latest").status == 200
        assert ask(f"{NAME}/blobs/{LAYER}").status == 200
        host.twists.statuses |= {f"v2/{NAME}/manifests/{name}": 500 for name in ("latest", "new")}
        ask.now = 60.0
        assert ask(f"{NAME}/manifests/latest").body == IMAGE.manifest
        assert ask(f"{NAME}/manifests/new").status == 502
    again = proxied(host)  # another run, with nobody to ask
    assert again(f"{NAME}/manifests/{IMAGE.digest}").body == IMAGE.manifest
    assert again(f"{NAME}/blobs/{LAYER}").body == IMAGE.blobs[LAYER]


def test_a_site_may_be_at_the_root_and_be_named_with_v2(proxied: Proxied) -> None:
    with pages(tree(IMAGE, "latest"), Twists(root="")) as host:
        for url in (host.url, f"{host.url}/", f"{host.url}/v2/"):
            assert proxied(url)(f"{NAME}/manifests/latest").status == 200


@pytest.mark.parametrize(
    "url",
    ["example.org/registry", "ftp://example.org", "https://", "https://me:pw@example.org",
     "https://example.org/?x=1", "http://example.org", "https://example.org:port"],
)  # fmt: skip
def test_what_is_no_site(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Site(url, RemoteOptions())
    assert "pw" not in str(caught.value)


def test_a_site_that_is_not_there(tmp_path: Path) -> None:
    del tmp_path
    with pages({}) as host:
        assert not Site(host.url, RemoteOptions()).check()
    with pytest.raises(RemoteError, match="cannot connect"):
        Site(host.url, RemoteOptions()).check()
