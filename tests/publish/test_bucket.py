"""Publishing to a bucket: order, types, conditions, and stores that misbehave."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from builder.publish.plan import PAGES, POINTER, stage_of
from builder.publish.release import MAX_GENERATION, make_release, read_release
from builder.publish.signing import SigningKey
from tests.images import Image
from tests.publish.conftest import Publish, complete
from tests.publish.fake_s3 import FakeS3

Move = Callable[[str], Image]
TARGET = ("-t", "plain")
V2 = (*TARGET, "--only", "v2")  # fewer objects
TAG = "v2/vanessa/greeting/manifests/latest"


def reader(fake: FakeS3) -> Callable[[str], bytes | None]:
    return lambda key: found.body if (found := fake.objects.get(key)) else None


def puts(fake: FakeS3) -> list[str]:
    keys = fake.names("PUT")
    fake.log.clear()
    return keys


def test_objects_have_their_types(publish: Publish, fake: FakeS3) -> None:
    done = publish("s3://bucket", *TARGET)
    assert (done["generation"], done["changed"]) == (1, True)
    digest = complete(reader(fake))
    tag = fake.objects[TAG]
    assert tag.headers["content-type"] == "application/vnd.oci.image.manifest.v1+json"
    assert tag.headers["cache-control"] == "public, max-age=60, no-transform"
    assert tag.headers["x-amz-meta-digest"] == digest
    by_digest = fake.objects[f"v2/vanessa/greeting/manifests/{digest}"]
    assert by_digest.headers["cache-control"].endswith("immutable, no-transform")
    assert fake.objects["v2/"].body == fake.objects["v2/index.json"].body
    assert fake.objects["v2/"].headers["content-type"] == "application/json"
    assert fake.objects["index.html"].headers["content-type"] == "text/html; charset=utf-8"
    assert not any("content-encoding" in item.headers for item in fake.objects.values())


def test_content_comes_before_what_points_to_it(publish: Publish, fake: FakeS3) -> None:
    publish("s3://bucket", *TARGET)
    sent = puts(fake)
    stages = [stage_of(key) for key in sent]
    assert stages == sorted(stages)
    assert sent[-1] == "release.json"
    assert stages[-1] == POINTER


def test_only_what_changed_is_sent(publish: Publish, fake: FakeS3, move: Move) -> None:
    publish("s3://bucket/deep/site", *TARGET)
    total = len(puts(fake))
    again = publish("s3://bucket/deep/site", *TARGET)
    assert (again["changed"], again["generation"], puts(fake)) == (False, 1, [])
    move("two")
    done = publish("s3://bucket/deep/site", *TARGET)
    assert done["generation"] == 2
    sent = puts(fake)
    assert 0 < len(sent) < total / 2 + 10
    assert "deep/site/robots.txt" not in sent
    assert all(key.startswith("deep/site/") for key in fake.objects)


def test_the_listing_tells_that_nothing_changed(publish: Publish, fake: FakeS3, move: Move) -> None:
    publish("s3://bucket", *V2)
    fake.log.clear()
    assert publish("s3://bucket", *V2)["changed"] is False
    assert fake.log == [("GET", ""), ("GET", "release.json"), ("GET", "moves.json")]
    move("two")
    fake.log.clear()
    publish("s3://bucket", *V2)
    of_objects = {key for method, key in fake.log if method == "HEAD" and "/manifests/" in key}
    assert of_objects <= set(puts(fake))  # nobody looks at what stays as it is


@pytest.mark.parametrize("part", ["/blobs/", "/manifests/latest", "api/release/"])
@pytest.mark.parametrize("how", ["gone", "other", "longer"])
def test_what_changed_in_the_bucket_is_found(
    part: str, how: str, publish: Publish, fake: FakeS3
) -> None:
    publish("s3://bucket", *V2)
    key = next(key for key in fake.objects if part in key)
    held = fake.objects.pop(key)
    if how == "other":
        fake.store(key, held.body, {**held.headers, "x-amz-meta-digest": "sha256:0"})
    elif how == "longer":
        fake.store(key, held.body + b" ", held.headers)
        fake.objects[key] = replace(fake.objects[key], modified=held.modified)
    publish("s3://bucket", *V2)
    assert fake.objects[key].body == held.body
    assert fake.objects[key].headers == held.headers


@pytest.mark.parametrize("key", ["moves.json", "api/moves/0.json"])
def test_a_log_that_is_gone_is_missed(key: str, publish: Publish, fake: FakeS3) -> None:
    publish("s3://bucket", *V2)
    del fake.objects[key]
    status, error = publish("s3://bucket", *V2)
    assert status == 1
    assert f"{key}: is gone" in error


def test_an_interrupted_run_is_gone_on_with(publish: Publish, fake: FakeS3, move: Move) -> None:
    publish("s3://bucket", *TARGET)
    before = complete(reader(fake))
    puts(fake)
    image = move("two")
    fake.fault = lambda method, key: (
        ((403, "AccessDenied") if method == "PUT" and key.endswith("tags/list") else None)
        or ((403, "AccessDenied") if method == "PUT" and stage_of(key) == PAGES else None)
    )
    status, error = publish("s3://bucket", *TARGET)
    assert status == 4
    assert "403" in error
    first = puts(fake)
    fake.fault = lambda *_: None
    assert publish("s3://bucket", *TARGET)["generation"] == 2
    second = puts(fake)
    assert complete(reader(fake)) == image.digest != before
    finished = {key for key in first if stage_of(key) < PAGES}
    assert finished
    assert not finished & set(second)


def test_back_to_what_an_interrupted_run_replaced(
    publish: Publish, fake: FakeS3, move: Move
) -> None:
    one = move("one")
    publish("s3://bucket", *V2)
    move("two")
    fake.fault = lambda method, key: (
        (403, "AccessDenied") if (method, key) == ("PUT", "release.json") else None
    )
    assert publish("s3://bucket", *V2)[0] == 4
    fake.fault = lambda *_: None
    move("one")
    publish("s3://bucket", *V2)
    assert complete(reader(fake)) == one.digest


def test_pruning_waits_for_its_releases(publish: Publish, fake: FakeS3, move: Move) -> None:
    fake.store("foreign.txt", b"mine", {})
    images = []
    for number in range(5):
        images.append(move(f"image {number}").digest)
        publish("s3://bucket", *V2)
    manifest = "v2/vanessa/greeting/manifests/{}"
    assert all(manifest.format(digest) in fake.objects for digest in images)
    planned = publish("s3://bucket", *V2, "--keep", "3", "--grace", "0", "--prune", "--dry-run")
    assert planned["removed"]
    fake.log.clear()
    done = publish("s3://bucket", *V2, "--keep", "3", "--grace", "0", "--prune")
    assert done["removed"] == planned["removed"]
    assert [d for d in images if manifest.format(d) in fake.objects] == images[2:]
    removed = fake.names("DELETE")
    kinds = [stage_of(key) for key in removed]
    assert kinds == sorted(kinds, reverse=True)
    assert "foreign.txt" in fake.objects
    assert "v2/" in fake.objects
    complete(reader(fake))
    assert publish("s3://bucket", *V2, "--keep", "3", "--grace", "0", "--prune")["removed"] == []


def test_a_tag_that_is_gone_goes_when_pruned(
    publish: Publish, fake: FakeS3, greeting: Path
) -> None:
    folder = greeting / "collections/vanessa/greeting"
    other = Image.of("other")
    other.tag(folder, "old")
    publish("s3://bucket", *V2)
    for path in (folder / "tags").glob("old*"):
        path.unlink()
    publish("s3://bucket", *V2, "--prune")
    assert f"v2/vanessa/greeting/manifests/{other.digest}" in fake.objects
    assert TAG in fake.objects


def test_each_half_removes_its_own(publish: Publish, fake: FakeS3) -> None:
    publish("s3://bucket/a", *TARGET, "--only", "v2")
    publish("s3://bucket/a", *TARGET, "--only", "pages", "--prune")
    publish("s3://bucket/a", *TARGET, "--only", "v2", "--prune")
    assert "a/index.html" in fake.objects
    assert f"a/{TAG}" in fake.objects


def test_a_dry_run_writes_nothing(publish: Publish, fake: FakeS3) -> None:
    planned = publish("s3://bucket", *TARGET, "--dry-run")
    assert not fake.objects
    assert publish("s3://bucket", *TARGET)["stages"] == planned["stages"]


def test_what_is_refused_leaves_all_as_it_was(publish: Publish, fake: FakeS3, move: Move) -> None:
    publish("s3://bucket", *V2)
    before = {key: item.body for key, item in fake.objects.items()}
    move("two")
    fake.fault = lambda method, key: (
        (403, "AccessDenied") if method == "PUT" and "/blobs/" in key else None
    )
    status, error = publish("s3://bucket", *V2)
    assert status == 4
    assert "403" in error
    assert {key: item.body for key, item in fake.objects.items()} == before


def test_a_connection_that_is_cut_once(publish: Publish, fake: FakeS3, greeting: Path) -> None:
    image = Image.of(os.urandom(12 << 20).hex())
    image.tag(greeting / "collections/vanessa/greeting", "latest")
    fake.resets = {"/blobs/": 1}
    publish("s3://bucket", *V2)
    assert complete(reader(fake)) == image.digest
    assert fake.names("POST")


@pytest.mark.parametrize("part", ["/blobs/", "release.json", "/tags/list"])
def test_a_store_that_lies(part: str, publish: Publish, fake: FakeS3, move: Move) -> None:
    publish("s3://bucket", *V2)
    before = complete(reader(fake))
    pointer = fake.objects["release.json"].body
    move("two")
    fake.objects.pop("v2/vanessa/greeting/tags/list")
    fake.lies = lambda key: part in key
    status, error = publish("s3://bucket", *V2)
    assert status == 4
    assert "cannot be verified" in error
    if part == "/blobs/":
        assert complete(reader(fake)) == before
    assert fake.objects["release.json"].body == pointer


def test_parts_that_are_never_put_together(publish: Publish, fake: FakeS3, greeting: Path) -> None:
    Image.of(os.urandom(12 << 20).hex()).tag(greeting / "collections/vanessa/greeting", "latest")
    fake.complete_fails = True
    status, error = publish("s3://bucket", *V2)
    assert status == 4
    assert "Complete" in error
    assert TAG not in fake.objects


def test_content_that_is_there_already_is_a_success(
    publish: Publish, fake: FakeS3, move: Move
) -> None:
    publish("s3://bucket", *V2)
    image = move("two")
    blob = next(digest for digest in image.blobs)
    key = f"v2/vanessa/greeting/blobs/{blob}"
    headers = {
        "content-type": "application/octet-stream",
        "cache-control": "public, max-age=31536000, immutable, no-transform",
        "x-amz-meta-digest": blob,
    }

    def meanwhile(method: str, asked: str) -> None:
        if (method, asked) == ("PUT", key) and key not in fake.objects:
            fake.store(key, image.blobs[blob], headers)

    fake.fault = meanwhile
    publish("s3://bucket", *V2)
    assert complete(reader(fake)) == image.digest


@pytest.mark.parametrize("key", [TAG, "release.json"])
def test_another_publisher_wins(key: str, publish: Publish, fake: FakeS3, move: Move) -> None:
    publish("s3://bucket", *V2)
    move("two")
    theirs = b"{}"

    def meanwhile(method: str, asked: str) -> None:
        if (method, asked) == ("PUT", key) and fake.objects[key].body != theirs:
            fake.store(key, theirs, {})

    fake.fault = meanwhile
    status, error = publish("s3://bucket", *V2)
    assert status == 4
    assert "somebody else publishes" in error
    assert fake.objects[key].body == theirs


def test_a_wrong_clock(publish: Publish, fake: FakeS3) -> None:
    fake.fault = lambda *_: (403, "RequestTimeTooSkewed")
    status, error = publish("s3://bucket", *V2)
    assert status == 4
    assert "clock" in error
    assert not fake.objects


def test_secrets_are_not_sent_in_the_clear(publish: Publish, fake: FakeS3) -> None:
    status, error = publish("s3://bucket", *V2, "--endpoint", "http://s3.example.org")
    assert status == 2
    assert "plain http" in error
    assert "a long secret" not in error
    assert not fake.log


def test_a_site_that_redirects(publish: Publish, fake: FakeS3) -> None:
    status, error = publish("s3://bucket", "-t", "nginx")
    assert status == 1
    assert "-t s3" in error
    assert not fake.objects


def test_a_type_that_changed_is_sent_again(publish: Publish, fake: FakeS3) -> None:
    publish("s3://bucket", *V2)
    tag = fake.objects[TAG]
    fake.store(TAG, tag.body, {**tag.headers, "content-type": "text/plain"})
    puts(fake)
    publish("s3://bucket", *V2)
    assert TAG in puts(fake)
    assert fake.objects[TAG].headers["content-type"] == tag.headers["content-type"]


def test_a_list_that_is_gone(publish: Publish, fake: FakeS3, move: Move) -> None:
    publish("s3://bucket", *V2)
    gone = next(key for key in fake.objects if key.startswith("api/release/"))
    held = fake.objects.pop(gone)
    publish("s3://bucket", *V2)
    assert fake.objects[gone].body == held.body
    move("two")
    publish("s3://bucket", *V2)
    fake.objects.pop(gone)
    status, error = publish("s3://bucket", *V2, "--prune")
    assert status == 1
    assert "remove api/releases/" in error


def test_a_pointer_that_is_no_release(publish: Publish, fake: FakeS3) -> None:
    fake.store("release.json", b"<html>", {})
    status, error = publish("s3://bucket", *V2)
    assert status == 1
    assert "s3://bucket/release.json" in error
    assert list(fake.objects) == ["release.json"]


def forge(fake: FakeS3, generation: int, key: SigningKey | None = None) -> None:
    """Put a release in place of the one that is there, as whoever may write to the bucket can."""
    made = make_release([], generation, key, "2024-05-01T12:00:00Z", name="x", keep=_forget)
    stored = fake.objects["release.json"]
    fake.objects["release.json"] = replace(stored, body=made.to_bytes())


def _forget(path: str, data: bytes) -> None:
    """Keep no list."""


def test_only_a_signed_release_says_which_number_is_next(
    publish: Publish, fake: FakeS3, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = SigningKey.make()
    monkeypatch.setenv("BUILDER_SIGNING_KEY", key.to_pem().decode())
    publish("s3://bucket", *V2)
    move("two")
    assert publish("s3://bucket", *V2)["generation"] == 2
    for number, signer in ((MAX_GENERATION - 1, None), (7_000_000, SigningKey.make()), (1, key)):
        forge(fake, number, signer)
        expected = generation_of_highest(fake) + 1
        assert publish("s3://bucket", *V2)["generation"] == expected
        assert read_release(fake.objects["release.json"].body, [key.public]).generation == expected


def generation_of_highest(fake: FakeS3) -> int:
    names = [key for key in fake.objects if key.startswith("api/releases/")]
    return max(int(name.rpartition("/")[2].removesuffix(".json")) for name in names)


def test_the_first_signed_release_follows_those_before_but_not_any_number(
    publish: Publish, fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("s3://bucket", *V2)
    monkeypatch.setenv("BUILDER_SIGNING_KEY", SigningKey.make().to_pem().decode())
    assert publish("s3://bucket", *V2)["generation"] == 2
    for key in [key for key in fake.objects if key.startswith("api/releases/")]:
        del fake.objects[key]
    forge(fake, MAX_GENERATION - 1)
    status, said = publish("s3://bucket", *V2)
    assert (status, "but is not signed" in said) == (1, True)


def test_numbers_have_an_end_that_is_said(publish: Publish, fake: FakeS3) -> None:
    publish("s3://bucket", *V2)
    forge(fake, MAX_GENERATION)
    status, said = publish("s3://bucket", *V2)
    assert (status, "publishing never reaches" in said) == (1, True)


def test_a_release_is_renewed_before_it_expires(
    publish: Publish, fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("s3://bucket", "--expires", "10")
    publish(*flags)
    found = read_release(fake.objects["release.json"].body)
    assert (found.time, found.expires) == ("2024-05-01T12:00:00Z", "2024-05-11T12:00:00Z")
    for time, changed in (("2024-05-05T12:00:00Z", False), ("2024-05-07T12:00:00Z", True)):
        monkeypatch.setattr("builder.cli.publish.now", partial(str, time))
        assert publish(*flags)["changed"] is changed
    assert read_release(fake.objects["release.json"].body).expires == "2024-05-17T12:00:00Z"
    assert publish("s3://bucket", *V2)["changed"]  # it has an end no more
