"""From what a site answered to who can pull from it: the rules, one a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builder.clients import ARTIFACT, CLIENTS, INDEX, KINDS, REFERRER, SINGLE
from builder.clients import DOCKER_SCHEMA2 as DOCKER
from builder.probe.facts import Facts, Part, Reply, Sample, Tagged
from builder.probe.judgement import judge

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OWN = {SINGLE: MANIFEST, INDEX: OCI_INDEX, DOCKER: DOCKER_MANIFEST, ARTIFACT: MANIFEST,
       REFERRER: MANIFEST}  # fmt: skip
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
LIST = Reply(200, OCI_INDEX, 80)


def sample(kind: str, **changed: Any) -> Sample:
    good = Reply(200, OWN[kind], 500, DIGEST, found=DIGEST)
    reply = replace(good, **changed)
    head = replace(reply, found="")
    return Sample(kind, "a/b", "a/b:1", OWN[kind], DIGEST, reply, head, reply, head)


def facts(**changed: Any) -> Facts:
    """Return the facts of a site that does everything, with some changed."""
    good = {
        "url": "https://example.org", "path": "", "near": False, "root": Reply(200), "listed": 1,
        "tags": (), "samples": tuple(map(sample, KINDS)), "parts": (),
        "blob": Reply(200, found=DIGEST), "blob_digest": DIGEST, "blob_part": Reply(206),
        "missing": Reply(404, "application/json"), "paged": Reply(200, link="<x>"),
        "referrers": LIST, "no_referrers": LIST, "filtered": replace(LIST, filters="artifactType"),
    }  # fmt: skip
    return Facts(**{**good, **changed})


def works(**changed: Any) -> dict[str, str]:
    """Return what clients do not answer `yes`, by a short name, with what they cannot pull."""
    verdicts = judge(facts(**changed)).verdicts
    return {it.clients.partition(",")[0]: ", ".join(it.fails) if it.works == "partly" else it.works
            for it in verdicts if it.works != "yes"}  # fmt: skip


def every(**changed: Any) -> tuple[Sample, ...]:
    return tuple(sample(kind, **changed) for kind in KINDS)


GENERIC = {"docker": "no", "podman": "no", "containerd": "no", "crane": INDEX, "oras": "no"}
EVERYONE = {name.partition(",")[0]: "no" for name in CLIENTS if name != "curl"}
ROWS = [
    ("all is well", {}, {}),
    ("a login is asked for", {"root": Reply(401)}, {}),
    ("octet-stream", {"samples": every(type="application/octet-stream")}, GENERIC),
    ("text", {"samples": every(type="text/plain; charset=utf-8")}, GENERIC),
    ("no type", {"samples": every(type="")}, GENERIC),
    ("one type for all", {"samples": every(type=MANIFEST)},
     {"docker": f"{INDEX}, {DOCKER}", "podman": f"{INDEX}, {DOCKER}",
      "containerd": f"{INDEX}, {DOCKER}", "crane": f"{INDEX}, {DOCKER}",
      "oras": f"{INDEX}, {DOCKER}"}),
    ("parameters", {"samples": tuple(sample(kind, type=f"{OWN[kind]}; charset=utf-8")
                                     for kind in KINDS)}, {"crane": INDEX}),
    ("a path", {"path": "/registry"}, EVERYONE),
    ("plain http", {"url": "http://example.org"}, {"docker": "no"}),
    ("plain http here", {"url": "http://localhost:80", "near": True}, {}),
    ("no /v2/", {"root": Reply(404)}, {"podman": "no", "crane": "no"}),
    ("/v2/ is forbidden", {"root": Reply(403)}, {"podman": "no", "crane": "no"}),
    ("no length", {"samples": every(length=None)}, {"oras": "no"}),
    ("no length, no digest", {"samples": every(length=None, digest="")}, {"oras": "no"}),
    ("compressed", {"samples": every(encoding="gzip")}, {"oras": "no"}),
    ("zstd", {"samples": (replace(sample(SINGLE), zstd=True), sample(INDEX))}, {}),
    ("images alone", {"samples": (sample(SINGLE, type="text/html"),)},
     {"docker": "no", "podman": "no", "containerd": "no", "oras": "no"}),
    ("layers elsewhere",
     {"parts": (Part(SINGLE, "v2/x", Reply(404), DIGEST, elsewhere=True),)},
     {name.partition(",")[0]: SINGLE for name in CLIENTS if name != "curl"}),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "expected"), [row[1:] for row in ROWS],
                         ids=[row[0] for row in ROWS])  # fmt: skip
def test_who_can_pull(changed: dict[str, Any], expected: dict[str, str]) -> None:
    assert works(**changed) == expected
    for verdict in judge(facts(**changed)).verdicts:
        assert any(it.blocks for it in verdict.obstacles) == (verdict.works != "yes")
        assert all(item.why and item.fix for item in verdict.obstacles)


@pytest.mark.parametrize(("status", "expected"), [(405, {}), (501, {}), (200, {}),
                         (404, {"docker": SINGLE, "containerd": SINGLE}),
                         (403, {"docker": SINGLE, "containerd": SINGLE})])  # fmt: skip
def test_head(status: int, expected: dict[str, str]) -> None:
    single = sample(SINGLE)
    assert single.head_by_tag is not None
    single = replace(single, head_by_tag=replace(single.head_by_tag, status=status))
    assert works(samples=(single, sample(INDEX))) == expected


def test_a_companion_is_named_to_those_who_can_read_it() -> None:
    found = judge(facts(samples=every(type="text/plain"), schema1="a/b:1.s1")).verdicts
    fixes = {it.clients: " ".join(obstacle.fix for obstacle in it.obstacles) for it in found}
    assert "a/b:1.s1" in fixes["podman, buildah, skopeo"]
    assert "a/b:1.s1" not in fixes["docker"]
    assert "builder proxy https://example.org" in fixes["docker"]


@pytest.mark.parametrize(
    ("changed", "lacking"),
    [
        ({}, set()),
        ({"blob_part": Reply(200)}, {"Range"}),
        ({"samples": every(digest="")}, {"Docker-Content-Digest"}),
        ({"missing": Reply(404, "text/html")}, {"errors in JSON"}),
        ({"paged": Reply(200)}, {"tags in pages"}),
        ({"filtered": LIST}, {"artifactType filter"}),
        ({"referrers": Reply(404), "no_referrers": Reply(404)}, {"referrers"}),
    ],
)
def test_what_there_is_beside_pulls(changed: dict[str, Any], lacking: set[str]) -> None:
    judgement = judge(facts(**changed))
    assert {it.name for it in judgement.features if not it.has} == lacking
    assert not judgement.broken


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tags": (Tagged("a/b", "1", Reply(404)),)}, "is in the list of tags and answers 404"),
        ({"tags": (Tagged("a/b", "1", Reply(0, fault="cut")),)}, "answers cut"),
        ({"tags": (Tagged("a/b", "1", Reply(200), "not JSON"),)}, "is no manifest: not JSON"),
        ({"tags": (Tagged("a/b", "1", Reply(200, digest=DIGEST, found=OTHER)),)}, "the bytes have"),
        ({"samples": every(found=OTHER)}, f"the bytes have the digest {OTHER}"),
        ({"samples": every(digest=OTHER)}, f"Docker-Content-Digest says {OTHER}"),
        ({"samples": every(status=404)}, "and it answers 404"),
        ({"parts": (Part(SINGLE, "v2/x", Reply(404), DIGEST),)}, "the single image needs it"),
        ({"parts": (Part(SINGLE, "v2/x", Reply(200, digest=OTHER), DIGEST),)}, OTHER),
        ({"blob": Reply(200, found=OTHER)}, f"the bytes have the digest {OTHER}"),
        ({"missing": Reply(200, "text/html")}, "does not exist answers 200"),
        ({"no_referrers": Reply(404)}, "referrers of an unknown digest answer 404"),
    ],
)
def test_what_is_promised_and_not_kept(changed: dict[str, Any], said: str) -> None:
    assert any(said in message for _, message in judge(facts(**changed)).broken)


def test_a_schema_1_manifest_has_the_digest_of_its_payload() -> None:
    reply = Reply(200, digest=DIGEST, found=OTHER)
    assert not judge(facts(tags=(Tagged("a/b", "1", reply, schema1=True),))).broken
