from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from builder.errors import LocalError, RemoteError, UsageError
from builder.storage.object_faults import ConflictError
from builder.storage.objects import SINGLE, ObjectStore, open_objects
from tests.publish.fake_s3 import FakeS3


@pytest.fixture
def bucket(fake: FakeS3) -> ObjectStore:
    return open_objects("s3://bucket/site", endpoint=fake.address)


TYPED = {"Content-Type": "application/json", "Cache-Control": "no-cache", "sha256": "abc"}


def test_an_object_keeps_its_bytes_type_and_metadata(bucket: ObjectStore, fake: FakeS3) -> None:
    bucket.put("v2/a/blobs/sha256:1", b"{}", TYPED)
    stored = fake.objects["site/v2/a/blobs/sha256:1"]
    assert stored.body == b"{}"
    assert stored.headers["content-type"] == "application/json"
    assert stored.headers["x-amz-meta-sha256"] == "abc"
    stat = bucket.head("v2/a/blobs/sha256:1")
    assert stat
    assert (stat.size, stat.etag, stat.attributes) == (2, stored.etag, TYPED)
    got = bucket.get("v2/a/blobs/sha256:1")
    assert got
    assert got[0] == b"{}"
    assert b"".join(bucket.open("v2/a/blobs/sha256:1", 1)) == b"}"


def test_what_is_missing(bucket: ObjectStore) -> None:
    assert bucket.head("no") is None
    assert bucket.get("no") is None
    bucket.delete("no")
    with pytest.raises(FileNotFoundError):
        list(bucket.open("no"))


def test_listing_stays_below_the_prefix(bucket: ObjectStore, fake: FakeS3) -> None:
    fake.store("other", b"", {})
    for number in range(1200):
        fake.store(f"site/n/{number}", b"1", {})
    fake.store("site/m", b"22", {})
    assert len(list(bucket.list())) == 1201
    assert len(list(bucket.list("n/"))) == 1200
    assert next(item for item in bucket.list() if item.key == "m").size == 2


@pytest.mark.parametrize("key", ["a b", "x#y", "x%20y", "q?z", "ü/é", "a+b", "_x/.y/z~"])
def test_keys_are_what_they_look_like(key: str, bucket: ObjectStore, fake: FakeS3) -> None:
    bucket.put(key, b"1", {})
    assert list(fake.objects) == [f"site/{key}"]
    assert [item.key for item in bucket.list()] == [key]
    bucket.delete(key)
    assert not fake.objects


def test_a_key_may_end_in_a_slash(bucket: ObjectStore, fake: FakeS3) -> None:
    assert bucket.slash_keys
    bucket.put("v2/", b"{}", TYPED)
    open_objects("s3://bucket", endpoint=fake.address).put("v2/", b"{}", TYPED)
    assert sorted(fake.objects) == ["site/v2/", "v2/"]
    stat = bucket.head("v2/")
    assert stat
    assert stat.attributes == TYPED
    bucket.delete("v2/")
    assert list(fake.objects) == ["v2/"]


def test_conditions(bucket: ObjectStore) -> None:
    bucket.put("a", b"1", {}, only_if="absent")
    with pytest.raises(ConflictError):
        bucket.put("a", b"2", {}, only_if="absent")
    seen = bucket.head("a")
    assert seen
    bucket.put("a", b"2", {}, only_if=seen)
    with pytest.raises(ConflictError):
        bucket.put("a", b"3", {}, only_if=seen)
    found = bucket.get("a")
    assert found
    assert found[0] == b"2"


def test_large_objects_go_up_in_parts(bucket: ObjectStore, fake: FakeS3) -> None:
    pieces = [b"x" * (1 << 20)] * (2 * SINGLE // (1 << 20)) + [b"end"]
    bucket.upload("big", iter(pieces), sum(map(len, pieces)), TYPED)
    assert fake.objects["site/big"].body == b"".join(pieces)
    assert fake.objects["site/big"].headers["content-type"] == "application/json"
    assert fake.names("PUT").count("site/big") == 3


def test_a_body_that_fails_leaves_no_object(bucket: ObjectStore, fake: FakeS3) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * SINGLE * 2
        raise LocalError("the file is gone")

    with pytest.raises(LocalError, match="the file is gone"):
        bucket.upload("big", pieces(), SINGLE * 3, {})
    assert not fake.objects


def test_a_cut_connection_is_tried_again(bucket: ObjectStore, fake: FakeS3) -> None:
    fake.resets = {"a": 1, "big": 1}
    bucket.put("a", b"1" * 1000, {}, only_if="absent")
    bucket.upload("big", [b"x" * SINGLE * 2], SINGLE * 2, {})
    assert len(fake.objects["site/big"].body) == SINGLE * 2


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "AccessDenied", "403.*AccessDenied"),
        (403, "RequestTimeTooSkewed", "clock"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (404, "NoSuchBucket", "make the bucket first"),
        (301, "PermanentRedirect", "AWS_REGION"),
        (400, "Strange", "400: Strange Strange it is"),
    ],
)
def test_refusals_say_what_to_do(
    status: int, code: str, words: str, bucket: ObjectStore, fake: FakeS3
) -> None:
    fake.fault = lambda _, __: (status, code)
    actions = (lambda: bucket.put("a", b"1", {}), lambda: bucket.get("a"),
               lambda: list(bucket.list()))  # fmt: skip
    for action in actions:
        with pytest.raises(RemoteError) as raised:
            action()
        assert re.search(rf"(?s)s3://bucket/site.*{words}", str(raised.value))


def test_a_completion_that_fails_with_200(bucket: ObjectStore, fake: FakeS3) -> None:
    fake.complete_fails = True
    with pytest.raises(RemoteError, match="Complete"):
        bucket.upload("big", [b"x" * SINGLE * 2], SINGLE * 2, {})
    assert not fake.objects


def test_no_server_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a long secret")
    bucket = open_objects("s3://bucket", endpoint="http://127.0.0.1:1")
    with pytest.raises(RemoteError, match="cannot be reached"):
        bucket.head("a")


@pytest.mark.parametrize(
    ("url", "endpoint", "words"),
    [
        ("s3://", "", "names no bucket"),
        ("ftp://bucket", "", "names no bucket"),
        ("s3://somebody:word@bucket/site", "", "names no bucket"),
        ("s3://bucket//site", "", "is not a plain path"),
        ("s3://bucket/a b", "", "is not a plain path"),
        ("s3://bucket/%2e%2e/other", "", "is not a plain path"),
        ("s3://bucket/a/../b", "", "is not a plain path"),
        ("s3://bucket/a?b", "", "is not a plain path"),
        ("s3://bucket", "nonsense", "is not the URL"),
        ("s3://bucket", "https://user:pw@host", "is not the URL"),
        ("s3://bucket", "http://storage.example.org", "plain http"),
        ("s3://bucket", "http://127.0.0.1.example.org", "plain http"),
        ("az://bucket", "http://192.0.2.1", "plain http"),
    ],
)
def test_addresses_that_are_refused(url: str, endpoint: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        open_objects(url, endpoint=endpoint)
    assert ":word@" not in caught.value.message
    assert ":pw@" not in caught.value.message


def test_an_account_that_nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(RemoteError, match="whose storage account") as caught:
        open_objects("az://container")
    assert "AZURE_STORAGE_ACCOUNT_NAME" in caught.value.hint


def test_plain_http_elsewhere_needs_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.example.org")
    with pytest.raises(UsageError, match="plain http"):
        open_objects("s3://bucket")
    assert open_objects("s3://bucket", insecure=True).label == "s3://bucket"


def test_a_ca_file_that_is_not_there() -> None:
    with pytest.raises(LocalError, match="No such file"):
        open_objects("s3://bucket", ca="/nonexistent")


def test_google_is_asked_in_its_words(fake: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    account = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
    bucket = open_objects("gs://bucket/deep/site", endpoint=fake.address)
    bucket.put("v2/a/blobs/sha256:1", b"1", TYPED, only_if="absent")
    bucket.put("v2/", b"{}", TYPED)
    assert fake.names("PUT") == ["deep/site/v2/a/blobs/sha256:1", "deep/site/v2/"]
    assert fake.objects["deep/site/v2/"].headers["content-type"] == "application/json"


def test_azure_has_no_keys_that_end_in_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "somebody")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0IHNlY3JldA==")
    bucket = open_objects("az://bucket")
    assert not bucket.slash_keys
    with pytest.raises(RemoteError, match="cannot end in a slash"):
        bucket.put("v2/", b"{}", {})


def test_ceph_compares_without_quotes(bucket: ObjectStore, fake: FakeS3) -> None:
    fake.bare_etags = True
    bucket.put("a", b"1", {})
    seen = bucket.head("a")
    assert seen
    bucket.put("a", b"2", {}, only_if=seen)
    with pytest.raises(ConflictError):
        bucket.put("a", b"3", {}, only_if=seen)
    assert fake.objects["site/a"].body == b"2"
