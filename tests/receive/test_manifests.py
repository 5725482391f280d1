"""Manifests: by tag and digest, what they need, what refers to what, and what goes again."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from tests.conformance.sample import artifact
from tests.images import INDEX, MANIFEST, Image, as_json, descriptor, sha256
from tests.receive.conftest import NAME, Client

MANIFESTS = f"/v2/{NAME}/manifests"


def of(image: Image) -> dict[str, Any]:
    return descriptor(image.media_type, image.manifest)


def referrers(client: Client, digest: str, query: str = "") -> list[str]:
    answer = client.ask("GET", f"/v2/{NAME}/referrers/{digest}{query}")
    assert answer.status == 200
    assert answer.header("Content-Type") == INDEX
    return [item["digest"] for item in client.json(answer)["manifests"]]


def tags(client: Client, name: str = NAME) -> list[str]:
    answer = client.ask("GET", f"/v2/{name}/tags/list")
    return client.json(answer)["tags"] if answer.status == 200 else []


def test_a_tag(client: Client) -> None:
    image = Image.of("one")
    answer = client.push(image)
    assert answer.status == 201
    assert answer.header("Docker-Content-Digest") == image.digest
    assert answer.header("Location") == f"{MANIFESTS}/{image.digest}"
    for reference in ("1.0", image.digest):
        found = client.ask("GET", f"{MANIFESTS}/{reference}")
        assert client.body(found) == image.manifest
        assert found.header("Content-Type") == MANIFEST
        assert found.header("Docker-Content-Digest") == image.digest
    assert tags(client) == ["1.0"]
    assert client.json(client.ask("GET", "/v2/_catalog")) == {"repositories": [NAME]}
    assert not [path for path in (client.source / ".builder-cache/receive").rglob("*")
                if path.is_file()]  # fmt: skip


def test_it_comes_in_as_add_writes_it(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (client.source / "_config.yml").write_text("title: T\nregistry:\n  commit_below: 60\n")
    client = Client(client.source)
    image = Image.index(Image.of("amd"), Image.of("arm", architecture="arm64"))
    image.layout(tmp_path / "layout", "1.0")
    other = tmp_path / "other"
    other.mkdir()
    (other / "_config.yml").write_text((client.source / "_config.yml").read_text())
    assert run(["add", "-q", "-s", str(other), f"oci:{tmp_path}/layout:1.0", f"{NAME}:1.0"]) == 0
    assert client.push(image).status == 201

    def tree(root: Path) -> dict[str, bytes]:
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and ".builder-cache" not in path.parts
        }

    assert tree(client.source) == tree(other)
    assert any(path.startswith("_blobs/") for path in tree(other))
    assert run(["check", "-q", "-s", str(client.source)]) == 0


def test_a_digest_waits_for_its_tag(client: Client) -> None:
    image = Image.of("one")
    client.push(image, tag=image.digest)
    assert client.body(client.ask("GET", f"{MANIFESTS}/{image.digest}")) == image.manifest
    assert tags(client) == []
    assert not (client.source / "collections").exists()
    assert client.manifest(image.manifest).status == 201
    assert tags(client) == ["1.0"]


def test_what_a_power_cut_damaged_is_sent_again(client: Client) -> None:
    image = Image.of("one")
    for data in image.blobs.values():
        client.upload(NAME, data)
    for digest in image.blobs:
        (path,) = client.source.rglob(digest.removeprefix("sha256:"))
        path.write_bytes(b"")
    answer = client.manifest(image.manifest)
    assert (answer.status, client.error(answer)) == (404, "MANIFEST_BLOB_UNKNOWN")
    for digest in image.blobs:
        assert client.ask("HEAD", f"/v2/{NAME}/blobs/{digest}").status == 404
    assert client.push(image).status == 201


def test_tags_beside_a_digest(client: Client) -> None:
    image = Image.of("one")
    answer = client.push(image, tag=f"{image.digest}?tag=a&tag=b")
    assert (answer.status, answer.header("OCI-Tag")) == (201, "a, b")
    assert tags(client) == ["a", "b"]
    refused = client.manifest(image.manifest, reference=f"{image.digest}?tag=.bad")
    assert refused.status == 400


def test_sha512(client: Client) -> None:
    image = Image.of("one")
    digest = f"sha512:{hashlib.sha512(image.manifest).hexdigest()}"
    answer = client.push(image, tag=f"{digest}?tag=1.0")
    assert (answer.status, answer.header("Docker-Content-Digest")) == (201, digest)
    for reference in (digest, "1.0"):
        found = client.ask("GET", f"{MANIFESTS}/{reference}")
        assert client.body(found) == image.manifest
        assert found.header("Docker-Content-Digest") == digest
    assert client.ask("DELETE", f"{MANIFESTS}/{digest}").status == 202
    assert client.ask("GET", f"{MANIFESTS}/{digest}").status == 404
    assert tags(client) == []


def test_a_tag_moves(client: Client) -> None:
    one, two = Image.of("one"), Image.of("two")
    client.push(one)
    client.push(two)
    assert client.body(client.ask("GET", f"{MANIFESTS}/1.0")) == two.manifest
    assert client.body(client.ask("GET", f"{MANIFESTS}/{one.digest}")) == one.manifest


@pytest.mark.parametrize(
    ("raw", "kind", "status", "code"),
    [
        (b"", MANIFEST, 400, "MANIFEST_INVALID"),
        (b"{}", MANIFEST, 400, "MANIFEST_INVALID"),
        (b"[]", MANIFEST, 400, "MANIFEST_INVALID"),
        (b'{"schemaVersion":2', MANIFEST, 400, "MANIFEST_INVALID"),
        (b"x" * (4 << 20), MANIFEST, 400, "MANIFEST_INVALID"),
        (b"x" * ((4 << 20) + 1), MANIFEST, 413, "SIZE_INVALID"),
        (Image.of("one").manifest, INDEX, 400, "MANIFEST_INVALID"),
        (Image.of("one").manifest, "text/html", 400, "MANIFEST_INVALID"),
        (Image.of("one").manifest, "application/json", 400, "MANIFEST_INVALID"),
        (Image.of("one").manifest, MANIFEST, 404, "MANIFEST_BLOB_UNKNOWN"),
        (as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [of(Image.of("one"))]}),
         INDEX, 404, "MANIFEST_BLOB_UNKNOWN"),
        (as_json({"schemaVersion": 1, "fsLayers": []}), "", 400, "MANIFEST_INVALID"),
    ],
)  # fmt: skip
def test_what_is_no_manifest(client: Client, raw: bytes, kind: str, status: int, code: str) -> None:
    for reference in ("1.0", sha256(raw)):
        answer = client.manifest(raw, reference=reference, kind=kind)
        assert (answer.status, client.error(answer)) == (status, code)
        assert client.ask("GET", f"{MANIFESTS}/{reference}").status == 404
    assert not (client.source / "collections").exists()


def test_a_body_that_turns_out_too_large(client: Client) -> None:
    answer = client.ask("PUT", f"{MANIFESTS}/1.0", b"x" * ((4 << 20) + 1), content_length="",
                        content_type=MANIFEST, transfer_encoding="chunked")  # fmt: skip
    assert (answer.status, client.error(answer)) == (413, "SIZE_INVALID")


def test_bytes_of_another_digest(client: Client) -> None:
    image = Image.of("one")
    for reference in (sha256(b"other"), "sha256:baddigeststring", "sha256:"):
        answer = client.push(image, tag=reference)
        assert (answer.status, client.error(answer)) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("tag", [".hidden", "-x", "a" * 129, "con", "index.html", "a+b",
                                 f"sha256-{'0' * 64}"])  # fmt: skip
def test_tags_that_cannot_be(client: Client, tag: str) -> None:
    answer = client.push(Image.of("one"), tag=tag)
    assert (answer.status, client.error(answer)) == (400, "MANIFEST_INVALID")
    assert not (client.source / "collections").exists()


def test_the_judge_has_the_last_word(client: Client) -> None:
    image = Image.of("one")
    client.push(image, tag="Case")
    answer = client.push(Image.of("two"), tag="case")
    assert (answer.status, client.error(answer)) == (400, "MANIFEST_INVALID")
    assert "differ only in case" in str(client.json(answer))
    assert tags(client) == ["Case"]


def test_where_the_site_has_its_own_page(client: Client) -> None:
    (client.source / "about.md").write_text("---\npermalink: /team/tool/\n---\nAbout.\n")
    answer = client.push(Image.of("one"))
    assert (answer.status, client.error(answer)) == (400, "MANIFEST_INVALID")
    assert tags(client) == []


def test_immutable_tags_stay(client: Client) -> None:
    (client.source / "_config.yml").write_text("title: T\nregistry:\n  immutable: ['1.*']\n")
    client = Client(client.source)
    one, two = Image.of("one"), Image.of("two")
    assert client.push(one).status == 201
    assert client.push(one).status == 201
    for answer in (
        client.push(two),
        client.ask("DELETE", f"{MANIFESTS}/1.0"),
        client.ask("DELETE", f"{MANIFESTS}/{one.digest}"),
    ):
        assert (answer.status, client.error(answer)) == (403, "DENIED")
    assert client.body(client.ask("GET", f"{MANIFESTS}/1.0")) == one.manifest
    assert client.push(two, tag="2.0").status == 201


def test_referrers(client: Client) -> None:
    image = Image.of("one")
    sbom = artifact(b"sbom", artifact_type="x/sbom", subject=of(image))
    early = artifact(b"early", artifact_type="x/early", subject=of(image))
    answer = client.push(early, tag=early.digest)  # before what it is about
    assert (answer.status, answer.header("OCI-Subject")) == (201, image.digest)
    assert referrers(client, image.digest) == [early.digest]
    assert client.push(image).header("OCI-Subject") == ""
    assert client.push(sbom, tag=sbom.digest).header("OCI-Subject") == image.digest
    assert referrers(client, image.digest) == sorted([early.digest, sbom.digest])
    assert referrers(client, image.digest, "?artifactType=x/sbom") == [sbom.digest]
    held = client.source / "collections" / NAME / "blobs/sha256"
    assert {(held / item.digest[7:]).read_bytes() for item in (sbom, early)} == {
        sbom.manifest,
        early.manifest,
    }
    assert client.ask("DELETE", f"{MANIFESTS}/{sbom.digest}").status == 202
    assert referrers(client, image.digest) == [early.digest]
    assert run(["check", "-q", "-s", str(client.source)]) == 0


def test_a_tagged_referrer_of_nothing(client: Client) -> None:
    lost = Image.of("nobody has this")
    found = artifact(b"lost", artifact_type="x/sbom", subject=of(lost))
    assert client.push(found, tag="lost").header("OCI-Subject") == lost.digest
    assert referrers(client, lost.digest) == [found.digest]


def test_deleting_a_tag(client: Client) -> None:
    image = Image.of("one")
    client.push(image)
    client.manifest(image.manifest, reference="latest")
    assert client.ask("DELETE", f"{MANIFESTS}/1.0").status == 202
    assert client.ask("GET", f"{MANIFESTS}/1.0").status == 404
    assert tags(client) == ["latest"]
    assert client.ask("DELETE", f"{MANIFESTS}/latest").status == 202
    assert client.body(client.ask("GET", f"{MANIFESTS}/{image.digest}")) == image.manifest
    answer = client.ask("DELETE", f"{MANIFESTS}/1.0")
    assert (answer.status, client.error(answer)) == (404, "MANIFEST_UNKNOWN")
    assert run(["check", "-q", "-s", str(client.source)]) == 0


def test_deleting_a_manifest(client: Client) -> None:
    image = Image.of("one")
    client.push(image)
    client.manifest(image.manifest, reference="latest")
    sbom = artifact(b"sbom", artifact_type="x/sbom", subject=of(image))
    client.push(sbom, tag=sbom.digest)
    assert client.ask("DELETE", f"{MANIFESTS}/{image.digest}").status == 202
    for reference in ("1.0", "latest", image.digest, sbom.digest):
        assert client.ask("GET", f"{MANIFESTS}/{reference}").status == 404
    assert tags(client) == []
    assert referrers(client, image.digest) == []
    answer = client.ask("DELETE", f"{MANIFESTS}/{image.digest}")
    assert (answer.status, client.error(answer)) == (404, "MANIFEST_UNKNOWN")
    assert client.push(image).status == 201
    assert tags(client) == ["1.0"]


def test_a_part_of_an_index_is_not_deleted(client: Client) -> None:
    part = Image.of("amd")
    image = Image.index(part, Image.of("arm", architecture="arm64"))
    client.push(image)
    answer = client.ask("DELETE", f"{MANIFESTS}/{part.digest}")
    assert (answer.status, client.error(answer)) == (405, "DENIED")
    assert client.ask("DELETE", f"{MANIFESTS}/{image.digest}").status == 202
    assert client.ask("DELETE", f"{MANIFESTS}/{part.digest}").status == 202
    assert client.ask("GET", f"{MANIFESTS}/{part.digest}").status == 404


def test_an_index_of_tagged_images(client: Client) -> None:
    parts = Image.of("amd"), Image.of("arm", architecture="arm64")
    for number, part in enumerate(parts):
        client.push(part, tag=str(number))
    image = Image.index(*parts)
    assert client.manifest(image.manifest, kind=image.media_type).status == 201
    assert tags(client) == ["0", "1", "1.0"]
    assert run(["check", "-q", "-s", str(client.source)]) == 0


@pytest.mark.parametrize("target", [
    f"POST {MANIFESTS}/1.0", f"PATCH {MANIFESTS}/1.0", f"PUT /v2/{NAME}/tags/list", "POST /v2/",
    f"PUT /v2/{NAME}/blobs/{sha256(b'')}", f"PUT /v2/{NAME}/blobs/uploads/", "DELETE /v2/_catalog",
])  # fmt: skip
def test_what_makes_no_sense(client: Client, target: str) -> None:
    method, path = target.split()
    answer = client.ask(method, path)
    assert (answer.status, client.error(answer)) == (405, "UNSUPPORTED")
    assert "GET" in answer.header("Allow") or "POST" in answer.header("Allow")


def test_many_push_at_once(client: Client) -> None:
    images = [Image.of(f"number {number}") for number in range(8)]
    seen: list[int] = []

    def push(number: int) -> None:
        seen.append(client.push(images[number], tag=f"t{number}").status)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [201] * 8
    assert tags(client) == sorted(f"t{number}" for number in range(8))
    assert run(["check", "-q", "-s", str(client.source)]) == 0


def test_a_missing_media_type_is_read_the_same_everywhere(client: Client) -> None:
    document = json.loads(Image.of("one").manifest)
    del document["mediaType"]
    image = Image(as_json(document), Image.of("one").blobs)
    assert client.push(image).status == 201
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    answer = client.manifest(image.manifest, reference="2.0", kind=docker)
    assert (answer.status, client.error(answer)) == (400, "MANIFEST_INVALID")


def test_odd_manifests_that_other_registries_take(client: Client) -> None:
    image = Image.of("odd")
    document = json.loads(image.manifest)
    foreign = {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": sha256(b"elsewhere"), "size": 123456,
        "urls": ["https://store.example.com/blobs/elsewhere"],
    }  # fmt: skip
    config = json.loads(image.blobs[document["config"]["digest"]])
    config["rootfs"]["diff_ids"].insert(0, sha256(b"unpacked"))
    raw = as_json(config)
    whole = {**image.blobs, sha256(raw): raw}
    described = descriptor(document["config"]["mediaType"], raw)
    inline = {**document["config"], "data": base64.b64encode(
        image.blobs[document["config"]["digest"]]).decode()}  # fmt: skip
    odd: dict[str, dict[str, Any]] = {
        "foreign": {"config": described, "layers": [foreign, *document["layers"]]},
        "inline": {"config": inline},
        "unknown": {"org.example.field": [1, {"a": None}]},
    }
    for tag, changes in odd.items():
        made = Image(as_json({**document, **changes}), whole)
        assert client.push(made, tag=tag).status == 201, tag
        assert client.body(client.ask("GET", f"{MANIFESTS}/{tag}")) == made.manifest
    assert run(["check", "-q", "-s", str(client.source)]) == 0
