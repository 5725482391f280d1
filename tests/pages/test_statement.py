"""What attached documents say, and what broken ones do not."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from builder.cli import run
from builder.pages.statement import Said, said

SPDX = {"spdxVersion": "SPDX-2.3", "name": "app", "packages": [{"name": "a"}, {"name": "b"}]}
CYCLONE = {
    "bomFormat": "CycloneDX", "specVersion": "1.5", "components": [],
    "metadata": {"component": {"name": "app"}},
}  # fmt: skip
SLSA_1 = {
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {
        "buildDefinition": {"resolvedDependencies": [
            {"uri": "pkg:docker/x"},
            {"uri": "git+https://example.org/a", "digest": {"gitCommit": "abc"}}]},
        "runDetails": {"builder": {"id": "https://example.org/ci"}},
    },
}  # fmt: skip
SLSA_02 = {
    "predicate": {
        "builder": {"id": "https://example.org/ci"},
        "invocation": {
            "configSource": {"uri": "git+https://example.org/a", "digest": {"sha1": "abc"}}
        },
    }
}
MADE = (("builder", "https://example.org/ci"), ("source", "git+https://example.org/a"),
        ("commit", "abc"))  # fmt: skip


def envelope(document: Any) -> dict[str, Any]:
    payload = base64.b64encode(json.dumps(document).encode()).decode()
    return {"payloadType": "application/vnd.in-toto+json", "payload": payload, "signatures": []}


def certificate(*names: x509.GeneralName) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
        .public_key(key.public_key()).serial_number(1).not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=1))
    )  # fmt: skip
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    raw = made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (SPDX, Said("app", "SPDX 2.3", 2)),
        (CYCLONE, Said("app", "CycloneDX 1.5", 0)),
        ({"schema": {}, "artifacts": [{}], "source": {"name": "x"}}, Said("x", "Syft", 1)),
        ({"predicate": SPDX}, Said("app", "SPDX 2.3", 2)),
        (envelope({"predicate": CYCLONE}), Said("app", "CycloneDX 1.5", 0)),
        ({"dsseEnvelope": envelope(SLSA_1)}, Said("", "", None, MADE, "https://slsa.dev/provenance/v1")),
        ({"predicateType": 5}, Said()),
        (SLSA_02, Said(facts=MADE)),
        ({}, Said()),
        ({"spdxVersion": 2, "packages": {}, "predicate": [], "runDetails": "x"}, Said()),
        ({"spdxVersion": "SPDX-2.3", "name": ["x"], "packages": {}}, Said("", "SPDX 2.3")),
        ({"buildDefinition": {"resolvedDependencies": [1, {"digest": "x"}]}}, Said()),
        ({"header": {"x5c": ["MAA="]}}, Said()),
        ({"header": {"x5c": [certificate()]}}, Said(facts=(("signer", "CN=somebody"),))),
        (
            {"verificationMaterial": {"certificate": {"rawBytes": certificate(
                x509.RFC822Name("me@example.org"))}}},
            Said(facts=(("signer", "me@example.org"),)),
        ),
    ],
)  # fmt: skip
def test_what_documents_say(document: dict[str, Any], expected: Said) -> None:
    assert said(document) == expected


def test_an_attached_sbom_is_read_and_downloaded(greeting: Path, tmp_path: Path) -> None:
    evil = {**SPDX, "name": "<script>alert(1)</script>"}
    for name, raw in (("sbom.spdx.json", json.dumps(evil)), ("broken.spdx.json", "{")):
        (tmp_path / name).write_text(raw)
        attach = ["attach", "vanessa/greeting:latest", str(tmp_path / name), "-s", str(greeting)]
        assert run([*attach, "--type", "application/spdx+json"]) == 0
    assert run(["build", "-q", "-s", str(greeting)]) == 0
    folder = greeting / "_site/vanessa/greeting/tags/latest"
    groups = json.loads((folder / "index.json").read_bytes())["attached"]
    items = {item["file"]: item for group in groups for item in group["items"]}
    assert set(items) >= {"sbom.spdx.json", "broken.spdx.json"}
    read = items["sbom.spdx.json"]
    assert (read["title"], read["format"], read["packages"]) == (evil["name"], "SPDX 2.3", 2)
    assert "format" not in items["broken.spdx.json"]
    assert json.loads((greeting / "_site" / read["download"].lstrip("/")).read_bytes()) == evil
    page = (folder / "index.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert 'download="sbom.spdx.json"' in page
    assert "2 packages" in page
