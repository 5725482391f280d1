"""What the documents say that are attached to an image: SBOMs, provenance, signatures.

All of it is a stranger's word, which nobody has checked: it is shown as such.
A document that is not here, too large or not what it seems only says less.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from builder.errors import BuilderError
from builder.oci.strictjson import MAX_BYTES, loads
from builder.registry.model import BlobPlace
from builder.storage.local import open_regular

_MAX_TEXT = 300  # characters of one fact


@dataclass(frozen=True, slots=True)
class Said:
    """What one document says of itself; `packages` is None for what lists none.

    `predicate` is the type of a statement, in whatever envelope it is.
    """

    title: str = ""
    format: str = ""
    packages: int | None = None
    facts: tuple[tuple[str, str], ...] = ()
    predicate: str = ""


@lru_cache(maxsize=256)
def said_at(place: BlobPlace) -> Said:
    """Return what a document says; nothing for one that is not here, too large or no JSON."""
    if place.file is None or place.size > MAX_BYTES:
        return Said()
    try:
        document = loads(_bytes(place.file))
        return said(document) if isinstance(document, dict) else Said()
    except (BuilderError, OSError, ValueError):
        return Said()


def _bytes(file: Path) -> bytes:
    with open_regular(file, str(file)) as stream:
        return stream.read(MAX_BYTES + 1)


def said(document: dict[str, Any]) -> Said:
    """Return what a document says; raises ValueError or StrictJSONError for a broken envelope."""
    signer = _signer(document)
    statement = _opened(document)
    predicate = _object(statement, "predicate") or statement
    facts = (*signer, *_provenance(predicate))
    kind, title, packages = _sbom(predicate)
    return Said(title, kind, packages, facts, one_line(statement.get("predicateType")))


def _opened(document: dict[str, Any]) -> dict[str, Any]:
    """Return the statement inside a Sigstore bundle or a DSSE envelope, else the document."""
    envelope = _object(document, "dsseEnvelope") or document
    payload = envelope.get("payload")
    if not isinstance(payload, str) or "payloadType" not in envelope:
        return document
    found = loads(base64.b64decode(payload, validate=True))
    return found if isinstance(found, dict) else {}


def _sbom(document: dict[str, Any]) -> tuple[str, str, int | None]:
    """Return format, name and number of packages of an SBOM."""
    if version := one_line(document.get("spdxVersion")):
        packages = _count(document.get("packages"))
        return version.replace("SPDX-", "SPDX "), one_line(document.get("name")), packages
    if document.get("bomFormat") == "CycloneDX":
        about = _object(_object(document, "metadata"), "component")
        kind = f"CycloneDX {one_line(document.get('specVersion'))}".rstrip()
        return kind, one_line(about.get("name")), _count(document.get("components"))
    if isinstance(document.get("artifacts"), list) and "schema" in document:
        name = one_line(_object(document, "source").get("name"))
        return "Syft", name, _count(document["artifacts"])
    return "", "", None


def _provenance(predicate: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield who built it from what. Source: slsa.dev, provenance v0.2 and v1."""
    run = _object(predicate, "runDetails") or predicate
    if builder := one_line(_object(run, "builder").get("id")):
        yield "builder", builder
    definition = _object(predicate, "buildDefinition")
    source = _object(_object(predicate, "invocation"), "configSource")
    listed = definition.get("resolvedDependencies")
    for item in (source, *(listed if isinstance(listed, list) else ())):
        digests = _object(item, "digest") if isinstance(item, dict) else {}
        commit = one_line(digests.get("gitCommit") or digests.get("sha1"))
        if commit:
            yield "source", one_line(item.get("uri"))
            yield "commit", commit
            return


def _signer(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield whom the certificate of a Sigstore bundle or of a Notary signature names."""
    material = _object(document, "verificationMaterial")
    raw = _object(material, "certificate").get("rawBytes")
    chain = _object(document, "header").get("x5c")
    raw = chain[0] if isinstance(chain, list) and chain else raw
    if not isinstance(raw, str):
        return
    from builder.oci.certificate import named_by  # noqa: PLC0415 - with the cryptography

    if signer := one_line(named_by(base64.b64decode(raw, validate=True))):
        yield "signer", signer


def _object(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else None


def one_line(value: Any) -> str:
    """Return a text as one short line; empty for what is none."""
    line = " ".join(value.split()) if isinstance(value, str) else ""
    return line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT]}…"
