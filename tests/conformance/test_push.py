"""Pushing to `builder serve --push`: blobs, mounts, manifests, and what is deleted again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conformance.asking import Asker, error_of, json_of
from tests.conformance.requirements import pushed
from tests.conformance.sample import ABSENT, artifact
from tests.hosts import serving
from tests.images import Image, as_json, descriptor, sha256

pytestmark = pytest.mark.e2e

BLOBS = "Pushing blobs"
CHUNKS = "Pushing a blob in chunks"
MOUNTS = "Mounting a blob from another repository"
MANIFESTS = "Pushing Manifests"
SUBJECTS = "Pushing Manifests with Subject"
DELETING = "Content Management"
DIGEST = "Docker-Content-Digest"
DATA = bytes(range(256))
NAME = "push/to"


@pytest.fixture(scope="module")
def to(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Whom to push to."""
    source: Path = tmp_path_factory.mktemp("pushed")
    (source / "_config.yml").write_text("title: Pushed\n")
    with serving(source, "--push", "--no-livereload") as address, Asker(address) as asker:
        yield asker


def go_on(answer: requests.Response) -> str:
    """Return where an answer leads, below `/v2/`."""
    place = answer.headers["Location"]
    assert place.startswith("/v2/"), place
    return place.removeprefix("/v2/")


def begin(to: Asker, name: str = NAME) -> str:
    answer = to.send("POST", f"{name}/blobs/uploads/")
    assert answer.status_code == 202
    return go_on(answer)


def put_blob(to: Asker, data: bytes, name: str = NAME) -> requests.Response:
    return to.send("PUT", begin(to, name), params={"digest": sha256(data)}, data=data)


def put(to: Asker, image: Image, reference: str, name: str = NAME) -> requests.Response:
    """Push an image without children, its content first."""
    for data in image.blobs.values():
        assert put_blob(to, data, name).status_code == 201
    return put_manifest(to, image, reference, name)


def put_manifest(to: Asker, image: Image, reference: str, name: str = NAME) -> requests.Response:
    headers = {"Content-Type": image.media_type}
    path = f"{name}/manifests/{reference}"
    return to.send("PUT", path, data=image.manifest, headers=headers)


def delete(to: Asker, path: str) -> None:
    assert to.send("DELETE", f"{NAME}/{path}").status_code == 202, path
    assert to.head(f"{NAME}/{path}").status_code == 404, path


@pushed(BLOBS, "MUST", "`POST` to `uploads/` is answered with 202 and a `Location`")
def test_an_upload_begins(to: Asker) -> None:
    assert begin(to).startswith(f"{NAME}/blobs/uploads/")


@pushed(BLOBS, "MUST", "`PUT` with `digest` and all bytes is answered with 201 and a `Location`")
def test_post_then_put(to: Asker) -> None:
    answer = put_blob(to, b"post then put")
    assert answer.status_code == 201
    assert to.get(go_on(answer)).content == b"post then put"


@pushed(BLOBS, "MUST", "`POST` with `digest` and all bytes is answered with 201, or with 202")
def test_a_single_post(to: Asker) -> None:
    answer = to.send("POST", f"{NAME}/blobs/uploads/", params={"digest": sha256(DATA)}, data=DATA)
    assert answer.status_code == 201
    assert to.get(go_on(answer)).content == DATA


@pushed(BLOBS, "MUST (main)", "the answer that a blob is there has its digest in a header")
def test_a_blob_is_told_with_its_digest(to: Asker) -> None:
    assert put_blob(to, DATA).headers[DIGEST] == sha256(DATA)


@pushed(BLOBS, "MUST", "bytes of another digest are refused with 400 and are not there")
def test_bytes_of_another_digest(to: Asker) -> None:
    for method, path in (("POST", f"{NAME}/blobs/uploads/"), ("PUT", begin(to))):
        answer = to.send(method, path, params={"digest": ABSENT}, data=DATA)
        assert answer.status_code == 400
        assert error_of(answer) == "DIGEST_INVALID"
    assert to.head(f"{NAME}/blobs/{ABSENT}").status_code == 404


@pushed(BLOBS, "MUST (main)", "`digest-algorithm=sha512` begins an upload of such a digest")
def test_another_algorithm(to: Asker) -> None:
    digest = f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    answer = to.send("POST", f"{NAME}/blobs/uploads/", params={"digest-algorithm": "sha512"})
    done = to.send("PUT", go_on(answer), params={"digest": digest}, data=DATA)
    assert (done.status_code, done.headers[DIGEST]) == (201, digest)
    assert to.get(f"{NAME}/blobs/{digest}").content == DATA


@pushed(CHUNKS, "MUST", "`PATCH` is answered with 202, a `Location` and the `Range` that is there")
def test_chunks(to: Asker) -> None:
    place = begin(to)
    for start, end in ((0, 99), (100, 199)):
        shown = {"Content-Range": f"{start}-{end}"}
        answer = to.send("PATCH", place, data=DATA[start : end + 1], headers=shown)
        assert (answer.status_code, answer.headers["Range"]) == (202, f"0-{end}")
        place = go_on(answer)
    last = to.send("PUT", place, params={"digest": sha256(DATA)}, data=DATA[200:],
                   headers={"Content-Range": "200-255"})  # fmt: skip
    assert last.status_code == 201
    assert to.get(go_on(last)).content == DATA


@pushed(CHUNKS, "MUST", "an upload whose chunks are all there ends by a `PUT` without a body")
def test_an_end_without_a_body(to: Asker) -> None:
    place = begin(to)
    answer = to.send("PATCH", place, data=DATA, headers={"Content-Range": "0-255"})
    last = to.send("PUT", go_on(answer), params={"digest": sha256(DATA)})
    assert last.status_code == 201
    assert to.get(go_on(last)).content == DATA


@pushed(CHUNKS, "MUST", "a chunk out of order is refused with 416, and the upload can go on")
def test_chunks_out_of_order(to: Asker) -> None:
    place = begin(to)
    to.send("PATCH", place, data=DATA[:100], headers={"Content-Range": "0-99"})
    for shown in ("150-199", "50-99", "0-49"):
        answer = to.send("PATCH", place, data=DATA[:50], headers={"Content-Range": shown})
        assert answer.status_code == 416, shown
        assert answer.headers["Range"] == "0-99"
    to.send("PATCH", place, data=DATA[100:], headers={"Content-Range": "100-255"})
    assert to.send("PUT", place, params={"digest": sha256(DATA)}).status_code == 201


@pushed(CHUNKS, "MUST", "`GET` of an upload is answered with 204, `Location` and `Range`")
def test_the_state_of_an_upload(to: Asker) -> None:
    place = begin(to)
    to.send("PATCH", place, data=DATA[:100])
    answer = to.get(place)
    assert (answer.status_code, answer.headers["Range"]) == (204, "0-99")
    assert go_on(answer) == place


@pushed(CHUNKS, "MUST", "a `PATCH` without `Content-Range` goes on where the upload is")
def test_a_stream(to: Asker) -> None:
    place = begin(to)
    assert to.send("PATCH", place, data=iter([DATA[:7], DATA[7:]])).status_code == 202
    assert to.send("PUT", place, params={"digest": sha256(DATA)}).status_code == 201


@pushed(CHUNKS, "MUST", "`DELETE` of an upload is answered with 204, after which it is unknown")
def test_an_upload_is_cancelled(to: Asker) -> None:
    place = begin(to)
    assert to.send("DELETE", place).status_code == 204
    answer = to.get(place)
    assert answer.status_code == 404
    assert error_of(answer) == "BLOB_UPLOAD_UNKNOWN"


@pushed(MOUNTS, "MUST", "a blob of another repository is answered with 201, and is there")
def test_a_mount(to: Asker) -> None:
    put_blob(to, b"mounted", "push/from")
    query = {"mount": sha256(b"mounted"), "from": "push/from"}
    answer = to.send("POST", f"{NAME}/blobs/uploads/", params=query)
    assert (answer.status_code, answer.headers[DIGEST]) == (201, sha256(b"mounted"))
    assert to.get(go_on(answer)).content == b"mounted"


@pushed(MOUNTS, "MAY", "without `from` the blob is looked for in all repositories")
def test_a_mount_from_anywhere(to: Asker) -> None:
    put_blob(to, b"from anywhere", "push/from")
    query = {"mount": sha256(b"from anywhere")}
    answer = to.send("POST", f"{NAME}/blobs/uploads/", params=query)
    assert answer.status_code == 201
    assert to.get(go_on(answer)).content == b"from anywhere"


@pushed(MOUNTS, "MUST", "what cannot be mounted begins an upload: 202 and a `Location`")
def test_a_mount_of_nothing(to: Asker) -> None:
    for source in ("push/from", "push/nobody", "../etc"):
        query = {"mount": ABSENT, "from": source}
        answer = to.send("POST", f"{NAME}/blobs/uploads/", params=query)
        assert answer.status_code == 202, source
        assert "/blobs/uploads/" in go_on(answer)


@pushed(MANIFESTS, "MUST", "`PUT` of a manifest is answered with 201 and a `Location` to pull from")
def test_a_manifest(to: Asker) -> None:
    image = Image.of("a manifest")
    for reference in ("1.0", image.digest):
        answer = put(to, image, reference)
        assert answer.status_code == 201
        assert to.get(go_on(answer)).content == image.manifest
        assert to.get(f"{NAME}/manifests/{reference}").content == image.manifest


@pushed(MANIFESTS, "MUST (main)", "the answer has the manifest's digest in a header")
def test_a_manifest_is_told_with_its_digest(to: Asker) -> None:
    image = Image.of("with its digest")
    assert put(to, image, "digest").headers[DIGEST] == image.digest


@pushed(MANIFESTS, "SHOULD", "parameters of a manifest's `Content-Type` are ignored")
def test_parameters_of_a_type(to: Asker) -> None:
    image = Image.of("with parameters")
    odd = Image(image.manifest, image.blobs, f'{image.media_type}; charset="utf-8";v=1')
    assert put(to, odd, "parameters").status_code == 201
    answer = to.get(f"{NAME}/manifests/parameters")
    assert answer.headers["Content-Type"] == image.media_type


@pushed(
    MANIFESTS, "MUST", "a manifest without a `mediaType` is served as the type it was pushed as"
)
def test_a_manifest_without_its_type(to: Asker) -> None:
    image = Image.of("no media type")
    document = json.loads(image.manifest)
    del document["mediaType"]
    bare = Image(as_json(document), image.blobs)
    assert put(to, bare, "bare").status_code == 201
    for reference in ("bare", bare.digest):
        answer = to.get(f"{NAME}/manifests/{reference}")
        assert (answer.content, answer.headers["Content-Type"]) == (bare.manifest, image.media_type)


@pushed(MANIFESTS, "beyond", "a tag that is pushed again points to the new manifest alone")
def test_a_tag_is_moved(to: Asker) -> None:
    before, after = Image.of("before the move"), Image.of("after the move")
    for image in (before, after):
        assert put(to, image, "moving").status_code == 201
    assert to.get(f"{NAME}/manifests/moving").content == after.manifest
    assert json_of(to.list(NAME))["tags"].count("moving") == 1


@pushed(MANIFESTS, "MUST", "a manifest is kept byte for byte")
def test_no_byte_is_changed(to: Asker) -> None:
    image = Image.of("spaces")
    odd = Image(image.manifest + b" \n ", image.blobs)
    put(to, odd, "odd")
    assert to.get(f"{NAME}/manifests/odd").content == odd.manifest


@pushed(MANIFESTS, "SHOULD", "a tag is listed as soon as its manifest was taken")
def test_a_tag_is_listed(to: Asker) -> None:
    put(to, Image.of("listed"), "listed")
    assert "listed" in json_of(to.list(NAME))["tags"]


@pushed(MANIFESTS, "MUST", "bytes of another digest than the address says are refused with 400")
def test_a_manifest_of_another_digest(to: Asker) -> None:
    answer = put(to, Image.of("another digest"), ABSENT)
    assert answer.status_code == 400
    assert error_of(answer) == "DIGEST_INVALID"


@pushed(MANIFESTS, "MAY", "a manifest before its blobs is refused with `MANIFEST_BLOB_UNKNOWN`")
def test_a_manifest_before_its_blobs(to: Asker) -> None:
    answer = put_manifest(to, Image.of("nothing of it was sent"), "early")
    assert answer.status_code == 404
    assert error_of(answer) == "MANIFEST_BLOB_UNKNOWN"


@pushed(MANIFESTS, "SHOULD", "a manifest over the limit is refused with 413, one of 4 MiB is taken")
def test_large_manifests(to: Asker) -> None:
    notes = {f"note-{number}": "x" * 10_000 for number in range(410)}
    image = Image.of("large", annotations=notes)
    assert 4_000_000 < len(image.manifest) < 4 << 20
    assert put(to, image, "large").status_code == 201
    assert to.get(f"{NAME}/manifests/large").content == image.manifest
    more = Image(image.manifest + b" " * (1 << 20), image.blobs)
    assert put_manifest(to, more, "larger").status_code == 413


@pushed(MANIFESTS, "MAY (main)", "`tag` in the query of a digest gives tags, told in `OCI-Tag`")
def test_tags_in_the_query(to: Asker) -> None:
    image = Image.of("tags in the query")
    answer = put(to, image, f"{image.digest}?tag=one&tag=two")
    assert answer.status_code == 201
    assert answer.headers["OCI-Tag"].split(", ") == ["one", "two"]
    for tag in ("one", "two"):
        assert to.get(f"{NAME}/manifests/{tag}").content == image.manifest


@pushed(SUBJECTS, "MUST", "a manifest with a `subject` is answered with that in `OCI-Subject`")
def test_the_subject_is_told(to: Asker) -> None:
    image = Image.of("subject")
    put(to, image, "subject")
    about = descriptor(image.media_type, image.manifest)
    referrer = artifact(b"about", artifact_type="x/about", subject=about)
    answer = put(to, referrer, referrer.digest)
    assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, image.digest)
    listed = json_of(to.get(f"{NAME}/referrers/{image.digest}"))["manifests"]
    assert [item["digest"] for item in listed] == [referrer.digest]


@pushed(SUBJECTS, "MUST", "a manifest is taken, and listed, also where its subject is not there")
def test_a_subject_that_is_not_there(to: Asker) -> None:
    nobody = Image.of("nobody has this")
    about = descriptor(nobody.media_type, nobody.manifest)
    referrer = artifact(b"nobody", artifact_type="x/about", subject=about)
    assert put(to, referrer, referrer.digest).headers["OCI-Subject"] == nobody.digest
    listed = json_of(to.get(f"{NAME}/referrers/{nobody.digest}"))["manifests"]
    assert [item["digest"] for item in listed] == [referrer.digest]


@pushed(DELETING, "MUST", "`DELETE` of a tag is answered with 202; other tags of it stay")
def test_a_tag_is_deleted(to: Asker) -> None:
    image = Image.of("delete a tag")
    put(to, image, "goes")
    put_manifest(to, image, "stays")
    delete(to, "manifests/goes")
    assert "goes" not in json_of(to.list(NAME))["tags"]
    assert to.get(f"{NAME}/manifests/stays").content == image.manifest


@pushed(DELETING, "MUST", "`DELETE` of a digest is answered with 202; its tags go with it")
def test_a_manifest_is_deleted(to: Asker) -> None:
    image = Image.of("delete a manifest")
    put(to, image, "gone")
    delete(to, f"manifests/{image.digest}")
    assert to.get(f"{NAME}/manifests/gone").status_code == 404


@pushed(DELETING, "MUST", "`DELETE` of a blob is answered with 202, after which it is not there")
def test_a_blob_is_deleted(to: Asker) -> None:
    put_blob(to, b"delete a blob")
    delete(to, f"blobs/{sha256(b'delete a blob')}")


@pushed(DELETING, "MUST", "`DELETE` of what is not there, or nowhere, is answered with 404")
def test_nothing_is_deleted(to: Asker) -> None:
    for path in (f"manifests/{ABSENT}", "manifests/nobody", f"blobs/{ABSENT}"):
        for name in (NAME, "no/such/repository"):
            assert to.send("DELETE", f"{name}/{path}").status_code == 404, path


@pushed(DELETING, "SHOULD", "a deleted referrer is in no list any more")
def test_a_referrer_is_deleted(to: Asker) -> None:
    image = Image.of("loses its referrer")
    put(to, image, "loses")
    about = descriptor(image.media_type, image.manifest)
    referrer = artifact(b"goes again", artifact_type="x/about", subject=about)
    put(to, referrer, referrer.digest)
    delete(to, f"manifests/{referrer.digest}")
    assert json_of(to.get(f"{NAME}/referrers/{image.digest}"))["manifests"] == []


@pushed(MANIFESTS, "MUST (suite)", "an index is taken with none, one or nested children")
def test_indexes(to: Asker) -> None:
    inner = Image.index(Image.of("inner"))
    for number, image in enumerate((Image.index(), inner)):
        for data in image.blobs.values():
            if data.startswith(b"{") and "schemaVersion" in json.loads(data):
                child = Image(data)
                assert put_manifest(to, child, child.digest).status_code == 201
            else:
                put_blob(to, data)
        assert put_manifest(to, image, f"index-{number}").status_code == 201
    outer = Image(as_json({"schemaVersion": 2, "mediaType": inner.media_type,
                           "manifests": [descriptor(inner.media_type, inner.manifest)]}),
                  {}, inner.media_type)  # fmt: skip
    assert put_manifest(to, outer, "nested").status_code == 201
    assert to.get(f"{NAME}/manifests/{inner.digest}").content == inner.manifest
