"""What a read-only registry refuses, and how it says so; and what clients rely on beyond that."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.conformance.asking import Asker, error_of, json_of
from tests.conformance.requirements import requirement
from tests.conformance.sample import ABSENT, MALFORMED, MANY, NAME, NESTED, NOBODY, Sample

pytestmark = pytest.mark.e2e

ERRORS = "Error Codes"
DELETING = "Content Management"
WARNINGS = "Warnings"
BEYOND = "Beyond the specification"
CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DENIED", "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID",
    "NAME_UNKNOWN", "SIZE_INVALID", "TOOMANYREQUESTS", "UNAUTHORIZED", "UNSUPPORTED",
}  # fmt: skip
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def refusals(ask: Asker) -> Iterator[requests.Response]:
    """Yield an answer of every kind that tells of an error."""
    for path in (f"{NAME}/manifests/nope", f"{NAME}/blobs/{ABSENT}", f"{NOBODY}/tags/list"):
        yield ask.get(path)
    for digest in MALFORMED:
        for kind in ("manifests", "blobs", "referrers"):
            yield ask.get(f"{NAME}/{kind}/{digest}")
    for method in WRITES:
        yield ask.send(method, f"{NAME}/manifests/latest", data=b"{}")
        yield ask.send(method, f"{NAME}/blobs/uploads/")
    yield ask.send("GET", f"{MANY}/tags/list", params={"n": "many"})


def told(ask: Asker) -> Iterator[requests.Response]:
    """Yield the refusals that have a body of JSON."""
    for answer in refusals(ask):
        if answer.status_code >= 400 and "json" in answer.headers.get("Content-Type", ""):
            yield answer


@requirement(ERRORS, "MUST", "an error's JSON is an object with a list of `errors`")
def test_the_shape_of_errors(ask: Asker) -> None:
    for answer in told(ask):
        assert set(json_of(answer)) == {"errors"}
        assert error_of(answer)


@requirement(ERRORS, "MUST", "`code` has upper-case letters and underscores only")
def test_the_spelling_of_codes(ask: Asker) -> None:
    for answer in told(ask):
        assert re.fullmatch("[A-Z_]+", error_of(answer))


@requirement(ERRORS, "MUST", "`code` is one of the codes that the specification lists")
def test_codes_are_known(ask: Asker) -> None:
    for answer in told(ask):
        assert error_of(answer) in CODES, answer.url


@requirement(ERRORS, "SHOULD", "`message`, where it is sent, is a text for people")
def test_messages(ask: Asker) -> None:
    for answer in told(ask):
        for each in json_of(answer)["errors"]:
            assert isinstance(each.get("message", ""), str)


@requirement(ERRORS, "MAY", "errors have a body of JSON")
def test_errors_are_json(ask: Asker) -> None:
    for answer in refusals(ask):
        if answer.status_code < 400:  # a list that no host cuts is whole, whatever `n` is
            continue
        assert answer.headers.get("Content-Type") == "application/json", answer.url
        assert error_of(answer)


@requirement(ERRORS, "MAY", "an unknown manifest, blob or repository is told with its own code")
def test_codes_of_what_is_missing(ask: Asker) -> None:
    for path, code in (
        (f"{NAME}/manifests/nope", "MANIFEST_UNKNOWN"),
        (f"{NAME}/manifests/{ABSENT}", "MANIFEST_UNKNOWN"),
        (f"{NAME}/blobs/{ABSENT}", "BLOB_UNKNOWN"),
        (f"{NOBODY}/tags/list", "NAME_UNKNOWN"),
        (f"{NOBODY}/manifests/latest", "NAME_UNKNOWN"),
        (f"{NOBODY}/blobs/{ABSENT}", "NAME_UNKNOWN"),
    ):
        assert error_of(ask.get(path)) == code, path


@requirement(ERRORS, "MUST (suite)", "sending a manifest to a malformed digest gives 400 or 404")
def test_sending_to_a_malformed_digest(ask: Asker) -> None:
    for digest in MALFORMED:
        answer = ask.send("PUT", f"{NAME}/manifests/{digest}", data=b"{}")
        assert answer.status_code in (400, 404), digest
        if answer.status_code == 400:
            assert error_of(answer) in CODES


@requirement(ERRORS, "SHOULD", "a malformed digest is answered with 400 and `DIGEST_INVALID`")
def test_malformed_digests(ask: Asker) -> None:
    for digest in MALFORMED:
        for kind in ("manifests", "blobs"):
            answer = ask.get(f"{NAME}/{kind}/{digest}")
            assert answer.status_code == 400, (kind, digest)
            assert error_of(answer) == "DIGEST_INVALID"


@requirement(DELETING, "MUST", "where tags cannot be deleted, `DELETE` gives 400 or 405")
def test_tags_cannot_be_deleted(ask: Asker) -> None:
    assert ask.send("DELETE", f"{NAME}/manifests/latest").status_code in (400, 405)
    assert ask.get(f"{NAME}/manifests/latest").status_code == 200


@requirement(DELETING, "MUST", "where manifests cannot be deleted, `DELETE` gives 400 or 405")
def test_manifests_cannot_be_deleted(ask: Asker, sample: Sample) -> None:
    answer = ask.send("DELETE", f"{NAME}/manifests/{sample.subject}")
    assert answer.status_code in (400, 405)
    assert ask.get(f"{NAME}/manifests/{sample.subject}").status_code == 200


@requirement(DELETING, "MUST", "where blobs cannot be deleted, `DELETE` gives 400 or 405")
def test_blobs_cannot_be_deleted(ask: Asker, sample: Sample) -> None:
    digest = next(iter(sample.blobs))
    assert ask.send("DELETE", f"{NAME}/blobs/{digest}").status_code in (400, 405)
    assert ask.get(f"{NAME}/blobs/{digest}").status_code == 200


@requirement(WARNINGS, "MUST", "a `Warning`, where it is sent, has the code 299 and the agent `-`")
def test_warnings(ask: Asker) -> None:
    for answer in (ask.get(f"{NAME}/manifests/latest"), *refusals(ask)):
        assert answer.headers.get("Warning", '299 - ""').startswith('299 - "')


@requirement(BEYOND, "beyond", "whatever would write is answered with 405 and `UNSUPPORTED`")
def test_writes_are_refused(ask: Asker) -> None:
    for method in WRITES:
        for path in ("manifests/latest", "blobs/uploads/", f"blobs/{ABSENT}", "tags/list"):
            answer = ask.send(method, f"{NAME}/{path}", data=b"{}")
            assert answer.status_code == 405, (method, path)
            assert error_of(answer) == "UNSUPPORTED"
            assert "GET" in answer.headers.get("Allow", "")


@requirement(BEYOND, "beyond", "an `n` that is no whole number is answered with 400")
def test_an_n_that_is_no_number(ask: Asker) -> None:
    for number in ("x", "-1", "1.5", "1e3", "\u0661"):
        answer = ask.list(MANY, n=number)
        assert answer.status_code == 400, number
        assert error_of(answer) in CODES


@requirement(BEYOND, "beyond", "a `last` that is no tag is answered with the tags after its place")
def test_last_is_no_tag(ask: Asker) -> None:
    tags = json_of(ask.list(MANY))["tags"]
    for last in ("0", "1.", "1.10", "5.5a", "M", "Up", "Upper-", "alph", "zz", "-", "x" * 127):
        wanted = [tag for tag in tags if tag > last]
        found = ask.list(MANY, n=4, last=last)
        assert json_of(found)["tags"] == wanted[:4], last
        assert ("Link" in found.headers) == (len(wanted) > 4), last


@requirement(BEYOND, "beyond", "`_catalog` lists the repositories with tags, also in pages")
def test_the_catalogue(ask: Asker) -> None:
    everything = [MANY, NAME, NESTED]
    assert json_of(ask.list("")) == {"repositories": everything}
    for count in range(5):
        answer = ask.list("", n=count)
        assert json_of(answer) == {"repositories": everything[:count]}
        assert ("Link" in answer.headers) == (0 < count < 3), count
    for at, last in enumerate(everything):
        assert json_of(ask.list("", n=1, last=last))["repositories"] == everything[at + 1 : at + 2]
    link = ask.list("", n=2).headers["Link"]
    assert json_of(ask.follow(link)) == {"repositories": everything[2:]}


@requirement(BEYOND, "beyond", "`If-None-Match` with the answer's own `ETag` is answered with 304")
def test_conditions(ask: Asker, sample: Sample) -> None:
    digest = next(iter(sample.blobs))
    for path in ("manifests/latest", f"manifests/{sample.subject}", f"blobs/{digest}"):
        etag = ask.get(f"{NAME}/{path}").headers.get("ETag", "")
        assert etag, path
        again = ask.get(f"{NAME}/{path}", If_None_Match=etag)
        assert (again.status_code, again.content) == (304, b""), path
        assert ask.get(f"{NAME}/{path}", If_None_Match='"other"').status_code == 200


@requirement(BEYOND, "beyond", "manifests and blobs are sent as they are to clients that unpack")
def test_nothing_is_compressed(ask: Asker, sample: Sample) -> None:
    for path in ("manifests/index", f"blobs/{next(iter(sample.blobs))}", "tags/list"):
        answer = ask.get(f"{NAME}/{path}", Accept_Encoding="gzip, br, zstd")
        assert "Content-Encoding" not in answer.headers, path
        assert answer.headers.get("Content-Length") == str(len(answer.content)), path


@requirement(BEYOND, "beyond", "no answer can be taken for a page by a browser")
def test_nothing_is_sniffed(ask: Asker, sample: Sample) -> None:
    for path in ("manifests/index", f"blobs/{next(iter(sample.blobs))}", "tags/list"):
        answer = ask.get(f"{NAME}/{path}")
        assert answer.headers.get("X-Content-Type-Options") == "nosniff", path
        assert "html" not in answer.headers.get("Content-Type", ""), path
