"""What is attached is known by what it states, whatever envelope it comes in."""

from __future__ import annotations

import base64
import json
import re
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


def test_envelopes_that_nothing_beside_them_names(greeting: Path) -> None:
    """What they state is in them alone; a page, and the list of tags, have it from there."""
    folder = greeting / "collections/vanessa/greeting"
    top = json.loads((folder / "manifests/latest/manifest.json").read_bytes())
    subject = {key: top[key] for key in ("mediaType",)} | {
        "digest": sha256((folder / "manifests/latest/manifest.json").read_bytes()),
        "size": (folder / "manifests/latest/manifest.json").stat().st_size,
    }
    spdx = {"predicateType": SPDX, "predicate": {"spdxVersion": "SPDX-2.3", "packages": [1, 2]}}
    payload = base64.b64encode(as_json(spdx)).decode()
    envelope = {"payloadType": STATEMENT, "payload": payload, "signatures": []}
    for kind, document in [
        (BUNDLE, {"dsseEnvelope": envelope}),
        ("application/vnd.dsse.envelope.v1+json", envelope),
        (STATEMENT, {"predicateType": SLSA, "predicate": {}}),
        (BUNDLE, {"messageSignature": {}}),
        (BUNDLE, []),
    ]:
        data = as_json(document)
        raw = as_json({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "subject": subject,
            "config": descriptor(EMPTY, b"{}"), "layers": [descriptor(kind, data)],
        })  # fmt: skip
        Image(b"", {sha256(item): item for item in (b"{}", data, raw)}).store(folder)
    layers = [descriptor("application/vnd.dev.cosign.simplesigning.v1+json", b"{}")]
    config = as_json({"rootfs": {"type": "layers", "diff_ids": [layers[0]["digest"]]}})
    raw = as_json({"schemaVersion": 2, "mediaType": MANIFEST,
                   "config": descriptor(CONFIG, config), "layers": layers})  # fmt: skip
    signature = Image(raw, {sha256(item): item for item in (b"{}", config)})
    signature.tag(folder, f"{subject['digest'].replace(':', '-')}.sig")
    assert run(["build", "-q", "-s", str(greeting)]) == 0
    page = json.loads((greeting / "_site/vanessa/greeting/tags/latest/index.json").read_bytes())
    found = {group["kind"]: group["items"] for group in page["attached"]}
    assert {kind: len(items) for kind, items in found.items()} == {
        "sbom": 2, "provenance": 1, "signature": 3,
    }  # fmt: skip
    assert all(item["packages"] == 2 for item in found["sbom"])
    types = [item["artifact_type"] for item in found["signature"]]
    assert types.count("application/vnd.dev.cosign.simplesigning.v1+json") == 1
    html = (greeting / "_site/vanessa/greeting/tags/latest/index.html").read_text()
    for kind, items in found.items():
        table = html.split(f'<h3 id="attached-{kind}">')[1].partition("</table>")[0]
        known = any(item.keys() & {"packages", "facts", "created"} for item in items)
        assert (">Details</th>" in table) == known, f"{kind}: a column is there where it is filled"
    badges = [greeting / "_site/vanessa/greeting" / path for path in ("", "tags/latest")]
    first, second = (
        re.findall(r'badge good">([^<]+)', (path / "index.html").read_text()) for path in badges
    )
    assert {"SBOM", "provenance"} <= {*first} & {*second}, "lists and pages agree"


BREW = {"com.github.package.type": "homebrew_bottle"}
CACHE = "application/vnd.buildkit.cacheconfig.v0"


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (Image.of("x", annotations=BREW), "bottle"),
        (Image(as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            descriptor(CACHE, b"{}")]}), {sha256(b"{}"): b"{}"}, INDEX), "cache"),
        (Image.of("x"), "image"),
    ],
)  # fmt: skip
def test_what_has_the_shape_of_an_image_and_is_none(
    registry: Path, document: Image, kind: str
) -> None:
    document.tag(registry / "collections/a", "1")
    assert run(["build", "-q", "-s", str(registry)]) == 0
    page = (registry / "_site/a/tags/1/index.html").read_text()
    assert ("docker pull" in page) == (kind == "image")
    assert json.loads((registry / "_site/a/tags/1/index.json").read_bytes())["kind"] == kind
