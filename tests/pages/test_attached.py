"""What is attached is known by what it states, whatever envelope it comes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.cli import run
from builder.oci.validate import parse_manifest
from builder.pages.attached import kind_of, statements
from tests.images import CONFIG, INDEX, MANIFEST, Image, as_json, descriptor, sha256

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = "application/vnd.oci.empty.v1+json"
PREDICATE = "in-toto.io/predicate-type"
STATEMENT = "application/vnd.in-toto+json"
SLSA, SPDX = "https://slsa.dev/provenance/v1", "https://spdx.dev/Document"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("application/spdx+json", "sbom"),
        ("application/vnd.cyclonedx+json", "sbom"),
        ("application/vnd.syft+json", "sbom"),
        ("sbom/example", "sbom"),
        ("application/vnd.openvex+json", "vex"),
        ("application/vnd.cncf.notary.signature", "signature"),
        ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature"),
        ("application/vnd.dev.cosign.simplesigning.v1+json", "signature"),
        ("application/vnd.in-toto+json", "attestation"),
        ("application/vnd.docker.attestation.manifest.v1+json", "attestation"),
        ("application/sarif+json", "other"),
        ("application/vnd.acme.scan-report.sbom-diff.v1", "other"),
        ("application/vnd.example.keyless.pgpkeys", "other"),
        ("text/plain", "other"),
        ("", "other"),
    ],
)
def test_kinds_of_types(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def artifact(kind: str, *layers: tuple[str, str], **annotations: str) -> bytes:
    """A manifest of a type, with layers of types that say predicates."""
    return as_json(
        {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
            "config": descriptor(EMPTY, b"{}"),
            "layers": [
                descriptor(kind, b"x", annotations={PREDICATE: said} if said else {})
                for kind, said in layers
            ],
            "annotations": annotations,
        }
    )  # fmt: skip


def bundle(predicate: str, content: str = "dsse-envelope") -> bytes:
    said = {"dev.sigstore.bundle.content": content}
    if predicate:
        said["dev.sigstore.bundle.predicateType"] = predicate
    return artifact(BUNDLE, (BUNDLE, ""), **said)


@pytest.mark.parametrize(
    ("raw", "kinds"),
    [
        (bundle(SLSA), ["provenance"]),
        (bundle(f"{SPDX}/v2.3"), ["sbom"]),
        (bundle("https://cyclonedx.org/bom"), ["sbom"]),
        (bundle("https://cyclonedx.org/vex"), ["vex"]),
        (bundle("https://openvex.dev/ns/v0.2.0"), ["vex"]),
        (bundle("https://sigstore.dev/cosign/sign/v1"), ["signature"]),
        (bundle("https://in-toto.io/attestation/test-result/v0.1"), ["attestation"]),
        (bundle("", "message-signature"), ["signature"]),
        (bundle("", "dsse-envelope"), ["attestation"]),
        (artifact(STATEMENT, (STATEMENT, SPDX)), ["sbom"]),
        (artifact(STATEMENT, (STATEMENT, "")), ["attestation"]),
        (artifact("application/vnd.docker.attestation.manifest.v1+json",
                  (STATEMENT, SPDX), (STATEMENT, SLSA)), ["sbom", "provenance"]),
        (artifact("application/vnd.acme.thing.v1", ("text/plain", "")), ["other"]),
    ],
)  # fmt: skip
def test_what_a_manifest_states(raw: bytes, kinds: list[str]) -> None:
    assert [kind for kind, _ in statements(parse_manifest(raw))] == kinds


def attested(architecture: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """An index of an image and its attestations, as BuildKit makes one, and all blobs."""
    image = Image.of(architecture, architecture=architecture)
    texts = [as_json({"predicateType": text, "of": architecture}) for text in (SPDX, SLSA)]
    layers = [
        descriptor(STATEMENT, text, annotations={PREDICATE: said})
        for text, said in zip(texts, (SPDX, SLSA), strict=True)
    ]
    rootfs = {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}
    config = as_json({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs})
    statement = as_json({"schemaVersion": 2, "mediaType": MANIFEST,
                         "config": descriptor(CONFIG, config), "layers": layers})  # fmt: skip
    platform = {"os": "linux", "architecture": architecture}
    entries = [
        descriptor(MANIFEST, image.manifest, platform=platform),
        descriptor(
            MANIFEST, statement, platform={"os": "unknown", "architecture": "unknown"},
            annotations={"vnd.docker.reference.type": "attestation-manifest",
                         "vnd.docker.reference.digest": image.digest},
        ),
    ]  # fmt: skip
    raw = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    blobs = {sha256(data): data for data in (*texts, config, statement, image.manifest, raw)}
    return descriptor(INDEX, raw, platform=platform), blobs | image.blobs


def test_attestations_and_signatures_deep_in_an_index(greeting: Path) -> None:
    folder = greeting / "collections/vanessa/greeting"
    found = [attested("amd64"), attested("arm64")]
    top = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [item for item, _ in found],
                   "annotations": {"org.example.flavour": "slim"}})  # fmt: skip
    image = Image(top, {key: data for _, blobs in found for key, data in blobs.items()}, INDEX)
    image.tag(folder, "2.0")
    inner = json.loads(found[0][1][found[0][0]["digest"]])["manifests"][0]
    signed = Image.of("signature", config={"Labels": {"x": "y"}})
    signed.tag(folder, f"{inner['digest'].replace(':', '-')}.sig")
    assert run(["build", "-q", "-s", str(greeting)]) == 0
    page = json.loads((greeting / "_site/vanessa/greeting/tags/2.0/index.json").read_bytes())
    kinds = {group["kind"]: len(group["items"]) for group in page["attached"]}
    assert kinds == {"sbom": 2, "provenance": 2, "signature": 1}
    assert [item["platform"] for item in page["platforms"]] == ["linux/amd64", "linux/arm64"]
    assert [len(item["layers"]) for item in page["images"]] == [1, 1]
    assert page["annotations"] == [{"name": "org.example.flavour", "value": "slim"}]
    collection = json.loads((greeting / "_site/vanessa/greeting/index.json").read_bytes())
    assert [tag["name"] for tag in collection["tags"]] == ["latest", "2.0"]
