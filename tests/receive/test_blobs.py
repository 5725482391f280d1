"""Blob uploads: every way to send one, in the order of the specification."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from tests.images import Image, sha256
from tests.receive.conftest import NAME, Client

DATA = bytes(range(256)) * 3
DIGEST = sha256(DATA)
UPLOADS = f"/v2/{NAME}/blobs/uploads/"
BLOB = f"/v2/{NAME}/blobs/{DIGEST}"


def is_there(client: Client, name: str = NAME, data: bytes = DATA) -> bool:
    answer = client.ask("HEAD", f"/v2/{name}/blobs/{sha256(data)}")
    assert answer.status in (200, 404)
    if answer.status == 200:
        assert answer.header("Docker-Content-Digest") == sha256(data)
        assert client.body(client.ask("GET", f"/v2/{name}/blobs/{sha256(data)}")) == data
    return answer.status == 200


def waiting(client: Client) -> list[Path]:
    return [path for path in (client.source / ".builder-cache/receive").rglob("*")
            if path.is_file()]  # fmt: skip


def test_one_post(client: Client) -> None:
    assert not is_there(client)
    answer = client.ask("POST", f"{UPLOADS}?digest={DIGEST}", DATA)
    assert (answer.status, answer.header("Location")) == (201, BLOB)
    assert answer.header("Docker-Content-Digest") == DIGEST
    assert is_there(client)
    assert not (client.source / "collections").exists()


def test_post_and_put(client: Client) -> None:
    where = client.begin()
    assert where.startswith(UPLOADS)
    answer = client.ask("PUT", f"{where}?digest={DIGEST}", DATA)
    assert (answer.status, answer.header("Location")) == (201, BLOB)
    assert is_there(client)
    assert client.ask("GET", where).status == 404


def test_a_stream_and_put(client: Client) -> None:
    where = client.begin()
    answer = client.ask("PATCH", where, DATA, transfer_encoding="chunked", content_length="")
    assert (answer.status, answer.header("Range")) == (202, f"0-{len(DATA) - 1}")
    assert client.ask("PUT", f"{answer.header('Location')}?digest={DIGEST}").status == 201
    assert is_there(client)


@pytest.mark.parametrize("last", ["PATCH", "PUT"])
def test_chunks(client: Client, last: str) -> None:
    where = client.begin()
    for start in range(0, len(DATA), 300):
        part = DATA[start : start + 300]
        is_last = start + 300 >= len(DATA) and last == "PUT"
        method, query = ("PUT", f"?digest={DIGEST}") if is_last else ("PATCH", "")
        shown = f"{start}-{start + len(part) - 1}"
        answer = client.ask(method, f"{where}{query}", part, content_range=shown)
        if not is_last:
            assert answer.status == 202
            assert answer.header("Range") == f"0-{start + len(part) - 1}"
            status = client.ask("GET", where)
            assert (status.status, status.header("Range")) == (204, answer.header("Range"))
            assert status.header("Docker-Upload-UUID") in where
    if last == "PATCH":
        assert client.ask("PUT", f"{where}?digest={DIGEST}").status == 201
    assert is_there(client)


@pytest.mark.parametrize(
    ("said", "length", "status", "code"),
    [
        ("200-299", 100, 416, "BLOB_UPLOAD_INVALID"),  # a gap
        ("0-99", 100, 416, "BLOB_UPLOAD_INVALID"),  # an overlap
        ("50-149", 100, 416, "BLOB_UPLOAD_INVALID"),
        ("99-100", 2, 416, "BLOB_UPLOAD_INVALID"),
        ("100-99", 100, 416, "BLOB_UPLOAD_INVALID"),
        ("100", 100, 416, "BLOB_UPLOAD_INVALID"),
        ("-1-99", 100, 416, "BLOB_UPLOAD_INVALID"),
        ("bytes", 100, 416, "BLOB_UPLOAD_INVALID"),
        ("100-" + "9" * 40, 100, 416, "BLOB_UPLOAD_INVALID"),
        ("\u0661-\u0662", 100, 416, "BLOB_UPLOAD_INVALID"),
        ("100-298", 200, 400, "SIZE_INVALID"),
        ("100-300", 200, 400, "SIZE_INVALID"),
    ],
)
def test_chunks_that_do_not_fit(
    client: Client, said: str, length: int, status: int, code: str
) -> None:
    where = client.begin()
    assert client.ask("PATCH", where, DATA[:100], content_range="0-99").status == 202
    answer = client.ask("PATCH", where, DATA[100 : 100 + length], content_range=said)
    assert (answer.status, client.error(answer)) == (status, code)
    assert answer.header("Range") == "0-99"
    assert answer.header("Location") == where
    assert client.ask("GET", where).header("Range") == "0-99"
    assert (
        client.ask("PATCH", where, DATA[100:], content_range=f"100-{len(DATA) - 1}").status == 202
    )
    assert client.ask("PUT", f"{where}?digest={DIGEST}").status == 201
    assert is_there(client)


@pytest.mark.parametrize("sent", [100, 300])
def test_a_stream_of_another_length_than_its_range(client: Client, sent: int) -> None:
    where = client.begin()
    answer = client.ask("PATCH", where, DATA[:sent], content_range="0-199", content_length="",
                        transfer_encoding="chunked")  # fmt: skip
    assert (answer.status, client.error(answer)) == (400, "SIZE_INVALID")
    assert client.ask("GET", where).header("Range") == "0-0"
    assert client.ask("PUT", f"{where}?digest={DIGEST}", DATA).status == 201


@pytest.mark.parametrize("way", ["POST", "PUT", "PATCH"])
def test_bytes_of_another_digest(client: Client, way: str) -> None:
    where = f"{UPLOADS}?digest={DIGEST}"
    if way != "POST":
        where = f"{client.begin()}?digest={DIGEST}"
    if way == "PATCH":
        client.ask("PATCH", where.partition("?")[0], b"other")
    answer = client.ask("POST" if way == "POST" else "PUT", where, b"bytes")
    assert (answer.status, client.error(answer)) == (400, "DIGEST_INVALID")
    assert not is_there(client)
    assert waiting(client) == []


@pytest.mark.parametrize("digest", ["sha256:12", "md5:" + "0" * 32, "", "x", "../../etc/passwd"])
def test_what_is_no_digest(client: Client, digest: str) -> None:
    where = client.begin()
    answer = client.ask("PUT", f"{where}?digest={digest}", DATA)
    assert (answer.status, client.error(answer)) == (400, "DIGEST_INVALID")
    assert client.ask("POST", f"{UPLOADS}?digest={digest}", DATA).status == 400
    assert client.ask("PUT", where, DATA).status == 400
    assert client.ask("GET", where).status == 204


@pytest.mark.parametrize("query", ["", "?digest-algorithm=sha512"])
def test_sha512(client: Client, query: str) -> None:
    digest = f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    where = client.ask("POST", f"{UPLOADS}{query}").header("Location")
    assert client.ask("PUT", f"{where}?digest={digest}", DATA).status == 201
    assert client.body(client.ask("GET", f"/v2/{NAME}/blobs/{digest}")) == DATA
    assert client.ask("POST", f"{UPLOADS}?digest-algorithm=md5").status == 400


def test_nothing_is_a_blob_too(client: Client) -> None:
    assert client.upload(NAME, b"").status == 201
    assert is_there(client, data=b"")


def test_cancel(client: Client) -> None:
    where = client.begin()
    client.ask("PATCH", where, DATA)
    assert client.ask("DELETE", where).status == 204
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        answer = client.ask(method, f"{where}?digest={DIGEST}")
        assert (answer.status, client.error(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert waiting(client) == []


@pytest.mark.parametrize("name", ["x", "0" * 36, "..", "%2e%2e", "a" * 300])
def test_unknown_uploads(client: Client, name: str) -> None:
    assert client.ask("PATCH", f"{UPLOADS}{name}", DATA).status in (400, 404, 405)


def test_an_upload_belongs_to_its_repository(client: Client) -> None:
    where = client.begin()
    elsewhere = where.replace(NAME, "team/other")
    assert client.ask("PATCH", elsewhere, DATA).status == 404


def test_an_upload_goes_on_after_a_restart(client: Client) -> None:
    where = client.begin()
    client.ask("PATCH", where, DATA[:300], cut=True)
    client.restart()
    assert client.ask("GET", where).header("Range") == "0-299"
    rest = client.ask("PATCH", where, DATA[300:], content_range=f"300-{len(DATA) - 1}")
    assert rest.status == 202
    assert client.ask("PUT", f"{where}?digest={DIGEST}").status == 201
    assert is_there(client)


def test_a_post_that_is_cut_leaves_nothing(client: Client) -> None:
    client.ask("POST", f"{UPLOADS}?digest={DIGEST}", DATA[:300], cut=True, content_length="768")
    assert waiting(client) == []


def test_the_newest_request_goes_on(client: Client) -> None:
    where = client.begin()
    from builder.preview.respond import Request  # noqa: PLC0415

    hung = client.receiver.begin(Request("PATCH", where, {"content-length": "400"}))
    hung.write(DATA[:100])
    assert client.ask("PATCH", where, DATA[100:], content_range="100-767").status == 202
    hung.write(DATA[100:400])
    late = hung.answer
    assert late is not None
    assert late.status == 409
    assert client.ask("PUT", f"{where}?digest={DIGEST}").status == 201
    assert is_there(client)


def test_mount(client: Client) -> None:
    client.upload("team/other", DATA)
    for query in (f"mount={DIGEST}&from=team/other", f"mount={DIGEST}"):
        name = f"team/{len(query)}"
        answer = client.ask("POST", f"/v2/{name}/blobs/uploads/?{query}")
        assert (answer.status, answer.header("Docker-Content-Digest")) == (201, DIGEST)
        assert is_there(client, name)


def test_mount_from_a_collection(client: Client) -> None:
    image = Image.of("other")
    client.push(image, "team/other")
    for digest in image.blobs:
        assert client.ask("POST", f"{UPLOADS}?mount={digest}&from=team/other").status == 201
    assert client.manifest(image.manifest).status == 201


@pytest.mark.parametrize("source", ["team/other", "../../etc", "team/tool/..", "TEAM", "v2", ""])
def test_what_cannot_be_mounted_is_uploaded(client: Client, source: str) -> None:
    client.upload("team/third", DATA) if source else None
    answer = client.ask("POST", f"{UPLOADS}?mount={DIGEST}&from={source}")
    assert answer.status == 202
    where = answer.header("Location")
    assert client.ask("PUT", f"{where}?digest={DIGEST}", DATA).status == 201


@pytest.mark.parametrize(
    "name", ["Team/tool", "v2/tool", "team/blobs/x", "team//x", "a" * 256, "con", "te am", "-x"]
)
def test_names_that_cannot_be(client: Client, name: str) -> None:
    answer = client.ask("POST", f"/v2/{name}/blobs/uploads/")
    assert answer.status in (400, 405), answer
    assert client.error(answer) in ("NAME_INVALID", "UNSUPPORTED")
    assert waiting(client) == []


def test_delete(client: Client) -> None:
    client.upload(NAME, DATA)
    assert client.ask("DELETE", BLOB).status == 202
    assert not is_there(client)
    answer = client.ask("DELETE", BLOB)
    assert (answer.status, client.error(answer)) == (404, "BLOB_UNKNOWN")
    client.upload(NAME, DATA)
    assert is_there(client)


def test_a_blob_that_is_needed_is_not_deleted(client: Client) -> None:
    image = Image.of("one")
    client.push(image)
    for digest in image.blobs:
        answer = client.ask("DELETE", f"/v2/{NAME}/blobs/{digest}")
        assert (answer.status, client.error(answer)) == (405, "DENIED")
    client.ask("DELETE", f"/v2/{NAME}/manifests/{image.digest}")
    for digest in image.blobs:
        assert client.ask("DELETE", f"/v2/{NAME}/blobs/{digest}").status == 202
        assert client.ask("GET", f"/v2/{NAME}/blobs/{digest}").status == 404


def test_a_full_disk(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    where = client.begin()
    free = type("Free", (), {"free": 100 << 20})
    monkeypatch.setattr("builder.receive.spool.shutil.disk_usage", lambda _: free)
    answer = client.ask("PATCH", where, b"", content_length=str(1 << 40))
    assert answer.status == 507
    assert "room" in str(client.json(answer))
    assert client.ask("PUT", f"{where}?digest={DIGEST}", DATA).status == 201


def test_too_many_uploads(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.receive.uploads.MAX_OPEN", 3)
    for _ in range(3):
        client.begin()
    answer = client.ask("POST", UPLOADS)
    assert (answer.status, client.error(answer)) == (429, "TOOMANYREQUESTS")
    assert answer.header("Retry-After")


def test_what_is_old_is_swept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    where = client.begin()
    client.upload(NAME, DATA)
    monkeypatch.setattr("builder.receive.spool.KEPT_SECONDS", -10)
    client.restart()
    assert client.ask("GET", where).status == 404
    assert not is_there(client)
    assert waiting(client) == []


def test_two_send_the_same(client: Client) -> None:
    data = os.urandom(1 << 20)
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.append(client.upload(NAME, data).status))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [201] * 4
    assert is_there(client, data=data)
