"""Pulling: manifests, blobs, and whether they exist."""

from __future__ import annotations

import hashlib

import pytest

from tests.conformance.asking import Asker
from tests.conformance.requirements import requirement
from tests.conformance.sample import ABSENT, MALFORMED, NAME, NOBODY, Sample

pytestmark = pytest.mark.e2e

SUPPORT = "Determining Support"
MANIFESTS = "Pulling manifests"
BLOBS = "Pulling blobs"
EXISTS = "Checking if content exists"
DIGEST = "Docker-Content-Digest"
GROWN = "SHOULD (1.1), MUST (main)"


def references(sample: Sample) -> list[tuple[str, str]]:
    """Return every way to ask for a manifest of the sample, and the digest behind it."""
    return [*sample.tags.items(), *((digest, digest) for digest in sample.manifests)]


def digest_of(data: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@requirement(SUPPORT, "MUST", "`GET /v2/` is answered with 200")
def test_the_base_is_there(ask: Asker) -> None:
    assert ask.get("").status_code == 200


@requirement(MANIFESTS, "MUST", "the manifest that a tag points to is answered with 200")
def test_manifests_by_tag(ask: Asker, sample: Sample) -> None:
    for tag, digest in sample.tags.items():
        answer = ask.get(f"{NAME}/manifests/{tag}")
        assert answer.status_code == 200, tag
        assert answer.content == sample.manifests[digest], tag


@requirement(MANIFESTS, "MUST", "a manifest is answered with 200 under its digest")
def test_manifests_by_digest(ask: Asker, sample: Sample) -> None:
    for digest, manifest in sample.manifests.items():
        answer = ask.get(f"{NAME}/manifests/{digest}")
        assert answer.status_code == 200, digest
        assert answer.content == manifest, digest


@requirement(MANIFESTS, "SHOULD", "`Content-Type` is the type the manifest was stored with")
def test_manifests_have_their_own_type(ask: Asker, sample: Sample) -> None:
    for reference, digest in references(sample):
        answer = ask.get(f"{NAME}/manifests/{reference}")
        found = answer.headers.get("Content-Type", "").partition(";")[0]
        assert found == sample.types[digest], reference


@requirement(MANIFESTS, "SHOULD NOT", "`Content-Type` has no parameters")
def test_types_have_no_parameters(ask: Asker, sample: Sample) -> None:
    for reference, _ in references(sample):
        answer = ask.get(f"{NAME}/manifests/{reference}")
        assert ";" not in answer.headers.get("Content-Type", ""), reference


@requirement(MANIFESTS, GROWN, "the answer has the manifest's digest in `Docker-Content-Digest`")
def test_manifests_have_a_digest_header(ask: Asker, sample: Sample) -> None:
    for reference, _ in references(sample):
        assert DIGEST in ask.get(f"{NAME}/manifests/{reference}").headers, reference


@requirement(
    MANIFESTS, "MUST", "`Docker-Content-Digest`, where it is sent, is the manifest's digest"
)
def test_the_digest_header_of_manifests_is_right(ask: Asker, sample: Sample) -> None:
    for reference, digest in references(sample):
        answer = ask.get(f"{NAME}/manifests/{reference}")
        assert answer.headers.get(DIGEST, digest) == digest, reference


@requirement(
    MANIFESTS, "MUST", "a tag or digest that is not in the repository is answered with 404"
)
def test_missing_manifests(ask: Asker) -> None:
    for reference in ("nope", "1", "1.0.0", "LATEST", ABSENT):
        assert ask.get(f"{NAME}/manifests/{reference}").status_code == 404, reference


@requirement(MANIFESTS, "MUST", "a manifest of an unknown repository is answered with 404")
def test_manifests_of_nobody(ask: Asker) -> None:
    for reference in ("latest", ABSENT):
        assert ask.get(f"{NOBODY}/manifests/{reference}").status_code == 404, reference


@requirement(
    MANIFESTS, "MUST NOT", "what is neither a tag nor a digest is never answered with a manifest"
)
def test_other_references(ask: Asker) -> None:
    for reference in (*MALFORMED, ".hidden", "-dash", "a+b", "y" * 129, "1.0@latest"):
        assert ask.get(f"{NAME}/manifests/{reference}").status_code in (400, 404), reference


@requirement(BLOBS, "MUST", "a blob is answered with 200 and its bytes")
def test_blobs(ask: Asker, sample: Sample) -> None:
    for digest, data in sample.blobs.items():
        answer = ask.get(f"{NAME}/blobs/{digest}")
        assert answer.status_code == 200, digest
        assert answer.content == data, digest


@requirement(BLOBS, GROWN, "the answer has the blob's digest in `Docker-Content-Digest`")
def test_blobs_have_a_digest_header(ask: Asker, sample: Sample) -> None:
    for digest in sample.blobs:
        assert DIGEST in ask.get(f"{NAME}/blobs/{digest}").headers, digest


@requirement(BLOBS, "MUST", "`Docker-Content-Digest`, where it is sent, matches the body")
def test_the_digest_header_of_blobs_is_right(ask: Asker, sample: Sample) -> None:
    for digest in sample.blobs:
        answer = ask.get(f"{NAME}/blobs/{digest}")
        said = answer.headers.get(DIGEST, digest)
        assert digest_of(answer.content, said) == said, digest


@requirement(BLOBS, "MUST", "a blob that is not in the repository is answered with 404")
def test_missing_blobs(ask: Asker, sample: Sample) -> None:
    assert ask.get(f"{NAME}/blobs/{ABSENT}").status_code == 404
    assert ask.get(f"{NAME}/blobs/sha512:{'0' * 128}").status_code == 404
    assert ask.get(f"{NOBODY}/blobs/{next(iter(sample.blobs))}").status_code == 404


def largest(sample: Sample) -> tuple[str, bytes]:
    return max(sample.blobs.items(), key=lambda item: len(item[1]))


@requirement(BLOBS, "SHOULD", "a `Range` is answered with 206 and those bytes")
def test_ranges(ask: Asker, sample: Sample) -> None:
    digest, data = largest(sample)
    size = len(data)
    wanted = {
        "20-59": (20, 60),
        "20-": (20, size),
        "-20": (size - 20, size),
        f"{size - 10}-{size + 1000}": (size - 10, size),
        f"-{size + 1000}": (0, size),
    }
    for text, (start, end) in wanted.items():
        answer = ask.get(f"{NAME}/blobs/{digest}", Range=f"bytes={text}")
        assert answer.status_code == 206, text
        assert answer.content == data[start:end], text
        assert answer.headers["Content-Length"] == str(end - start), text
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}", text


@requirement(BLOBS, "SHOULD", "a `Range` that cannot be satisfied is answered with 416")
def test_impossible_ranges(ask: Asker, sample: Sample) -> None:
    digest, data = largest(sample)
    for text in (f"{len(data)}-", f"{len(data) + 5}-{len(data) + 9}", "50-0"):
        answer = ask.get(f"{NAME}/blobs/{digest}", Range=f"bytes={text}")
        assert answer.status_code == 416, text


@requirement(EXISTS, "MUST", "`HEAD` of a manifest is answered with 200 and no body")
def test_heads_of_manifests(ask: Asker, sample: Sample) -> None:
    for reference, _ in references(sample):
        answer = ask.head(f"{NAME}/manifests/{reference}")
        assert (answer.status_code, answer.content) == (200, b""), reference


@requirement(EXISTS, "MUST", "`HEAD` of a blob is answered with 200 and no body")
def test_heads_of_blobs(ask: Asker, sample: Sample) -> None:
    for digest in sample.blobs:
        answer = ask.head(f"{NAME}/blobs/{digest}")
        assert (answer.status_code, answer.content) == (200, b""), digest


@requirement(EXISTS, GROWN, "`HEAD` has the digest in `Docker-Content-Digest`")
def test_heads_have_a_digest(ask: Asker, sample: Sample) -> None:
    for reference, digest in references(sample):
        answer = ask.head(f"{NAME}/manifests/{reference}")
        assert answer.headers.get(DIGEST) == digest, reference
    for digest in sample.blobs:
        assert ask.head(f"{NAME}/blobs/{digest}").headers.get(DIGEST) == digest


@requirement(EXISTS, GROWN, "`HEAD` has the size in bytes in `Content-Length`")
def test_heads_have_a_size(ask: Asker, sample: Sample) -> None:
    for reference, digest in references(sample):
        answer = ask.head(f"{NAME}/manifests/{reference}")
        assert answer.headers.get("Content-Length") == str(len(sample.manifests[digest]))
    for digest, data in sample.blobs.items():
        answer = ask.head(f"{NAME}/blobs/{digest}")
        assert answer.headers.get("Content-Length") == str(len(data)), digest


@requirement(EXISTS, "MUST", "`HEAD` of what is not there is answered with 404")
def test_heads_of_nothing(ask: Asker) -> None:
    for path in (f"manifests/{ABSENT}", "manifests/nope", f"blobs/{ABSENT}"):
        assert ask.head(f"{NAME}/{path}").status_code == 404, path
        assert ask.head(f"{NOBODY}/{path}").status_code == 404, path
