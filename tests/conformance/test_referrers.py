"""Content discovery: lists of referrers, whole and of one type."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.conformance.asking import Asker, json_of
from tests.conformance.requirements import requirement
from tests.conformance.sample import (
    ABSENT,
    MALFORMED,
    NAME,
    NESTED,
    REPORT,
    SBOM,
    SIGNATURE,
    Sample,
)
from tests.images import INDEX

pytestmark = pytest.mark.e2e

REFERRERS = "Listing Referrers"
SCHEMA = "Referrers Tag Schema"
FILTERS = "OCI-Filters-Applied"


def listed(answer: requests.Response) -> dict[str, Any]:
    """Return the descriptors of a list by their digest."""
    assert answer.status_code == 200, answer.url
    return {item["digest"]: item for item in json_of(answer).get("manifests", [])}


def all_of(ask: Asker, sample: Sample) -> dict[str, Any]:
    found = listed(ask.get(f"{NAME}/referrers/{sample.subject}"))
    assert found, "no referrer at all"
    return found


def of_type(ask: Asker, sample: Sample, artifact_type: str) -> requests.Response:
    path = f"{NAME}/referrers/{sample.subject}"
    return ask.send("GET", path, params={"artifactType": artifact_type})


@requirement(REFERRERS, "MUST", "the list of a manifest's referrers is answered with 200")
def test_referrers_are_listed(ask: Asker, sample: Sample) -> None:
    assert ask.get(f"{NAME}/referrers/{sample.subject}").status_code == 200


@requirement(
    REFERRERS, "MUST NOT", "a well-formed digest, known or not, is never answered with 404"
)
def test_referrers_are_never_missing(ask: Asker, sample: Sample) -> None:
    for digest in (*sample.manifests, ABSENT, f"sha512:{'0' * 128}"):
        assert ask.get(f"{NAME}/referrers/{digest}").status_code == 200, digest
    assert ask.get(f"{NESTED}/referrers/{sample.subject}").status_code == 200


@requirement(REFERRERS, "MUST", "a malformed digest is answered with 400")
def test_referrers_of_a_malformed_digest(ask: Asker) -> None:
    for digest in (*MALFORMED, "latest"):
        assert ask.get(f"{NAME}/referrers/{digest}").status_code == 400, digest


@requirement(REFERRERS, "MUST", "the body is an image index")
def test_the_list_is_an_index(ask: Asker, sample: Sample) -> None:
    for digest in (sample.subject, ABSENT):
        body = json_of(ask.get(f"{NAME}/referrers/{digest}"))
        assert body.get("schemaVersion") == 2
        assert body.get("mediaType") == INDEX
        assert isinstance(body.get("manifests"), list)


@requirement(REFERRERS, "MUST", "`Content-Type` is that of an image index")
def test_the_type_of_the_list(ask: Asker, sample: Sample) -> None:
    for digest in (sample.subject, sample.tags["docker"], ABSENT):
        answer = ask.get(f"{NAME}/referrers/{digest}")
        assert answer.headers.get("Content-Type") == INDEX, digest


@requirement(REFERRERS, "MUST", "every manifest with that subject is listed, and nothing else")
def test_the_list_is_complete(ask: Asker, sample: Sample) -> None:
    found = all_of(ask, sample)
    assert set(found) == set(sample.referrers)
    for digest, item in found.items():
        assert item["size"] == len(sample.manifests[digest])
        assert item["mediaType"] == sample.types[digest]


@requirement(REFERRERS, "MUST", "what refers to a manifest that is not here is listed as well")
def test_referrers_of_what_is_not_here(ask: Asker, sample: Sample) -> None:
    assert set(listed(ask.get(f"{NAME}/referrers/{sample.lost_subject}"))) == {sample.tags["lost"]}


@requirement(REFERRERS, "MUST", "nothing that refers is an empty list")
def test_an_empty_list_of_referrers(ask: Asker, sample: Sample) -> None:
    for digest in (sample.tags["docker"], ABSENT):
        assert listed(ask.get(f"{NAME}/referrers/{digest}")) == {}, digest


@requirement(REFERRERS, "MUST", "`artifactType` of a descriptor is the manifest's or index's own")
def test_types_of_artifacts(ask: Asker, sample: Sample) -> None:
    found = all_of(ask, sample)
    for tag, artifact_type in (("sbom", SBOM), ("report", REPORT)):
        assert found[sample.tags[f"about-{tag}"]]["artifactType"] == artifact_type


@requirement(REFERRERS, "MUST", "an image manifest without one has the media type of its config")
def test_types_of_configs(ask: Asker, sample: Sample) -> None:
    assert all_of(ask, sample)[sample.tags["about-signature"]]["artifactType"] == SIGNATURE


@requirement(REFERRERS, "MUST", "an index without one has no `artifactType` in its descriptor")
def test_an_index_without_a_type(ask: Asker, sample: Sample) -> None:
    assert "artifactType" not in all_of(ask, sample)[sample.tags["about-set"]]


@requirement(REFERRERS, "MUST", "descriptors have the annotations of what they describe")
def test_annotations_of_referrers(ask: Asker, sample: Sample) -> None:
    for digest, item in all_of(ask, sample).items():
        assert item["annotations"] == sample.referrers[digest]["annotations"], digest


@requirement(REFERRERS, "SHOULD", "`artifactType` in a query leaves descriptors of that type alone")
def test_filters(ask: Asker, sample: Sample) -> None:
    for artifact_type in (SBOM, SIGNATURE, REPORT):
        wanted = {key for key, each in sample.referrers.items() if each["type"] == artifact_type}
        answer = of_type(ask, sample, artifact_type)
        assert set(listed(answer)) == wanted, artifact_type
        assert answer.headers.get("Content-Type") == INDEX


@requirement(REFERRERS, "MUST", "a list that was filtered says so in `OCI-Filters-Applied`")
def test_filters_are_told(ask: Asker, sample: Sample) -> None:
    whole = all_of(ask, sample)
    for artifact_type in (SBOM, SIGNATURE, "application/vnd.example.nothing"):
        answer = of_type(ask, sample, artifact_type)
        if listed(answer) != whole:
            assert answer.headers.get(FILTERS) == "artifactType", artifact_type


@requirement(REFERRERS, "MUST NOT", "a list that was not filtered does not say that it was")
def test_no_filter_is_told(ask: Asker, sample: Sample) -> None:
    assert FILTERS not in ask.get(f"{NAME}/referrers/{sample.subject}").headers
    answer = of_type(ask, sample, SBOM)
    if FILTERS in answer.headers:
        assert {item.get("artifactType") for item in listed(answer).values()} == {SBOM}


@requirement(REFERRERS, "SHOULD", "a type that nothing has is answered with an empty list")
def test_filters_without_a_match(ask: Asker, sample: Sample) -> None:
    assert listed(of_type(ask, sample, "application/vnd.example.nothing")) == {}
    lost = f"{NAME}/referrers/{sample.lost_subject}"
    assert listed(ask.send("GET", lost, params={"artifactType": SIGNATURE})) == {}
    answer = ask.send("GET", f"{NAME}/referrers/{ABSENT}", params={"artifactType": SBOM})
    assert listed(answer) == {}
    assert answer.headers.get(FILTERS) == "artifactType"


@requirement(SCHEMA, "SHOULD", "the tag `<alg>-<ref>` is an index of the same referrers")
def test_the_tag_schema(ask: Asker, sample: Sample) -> None:
    answer = ask.get(f"{NAME}/manifests/{sample.subject.replace(':', '-')}")
    assert set(listed(answer)) == set(sample.referrers)


@requirement(REFERRERS, "MUST", "what is listed can be pulled by its digest")
def test_referrers_can_be_pulled(ask: Asker, sample: Sample) -> None:
    for digest in sample.referrers:
        answer = ask.get(f"{NAME}/manifests/{digest}")
        assert answer.content == sample.manifests[digest]
