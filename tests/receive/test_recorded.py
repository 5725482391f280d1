"""Requests in the form that each tool sends them, in its order, with the answers it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builder.cli import run
from builder.preview.respond import Response
from tests.conformance.sample import artifact, docker_image
from tests.images import INDEX, MANIFEST, Image, descriptor, sha256
from tests.receive.conftest import NAME, Client

DOCKER = "application/vnd.docker.distribution.manifest"
ACCEPT = f"{DOCKER}.v2+json, {DOCKER}.list.v2+json, {MANIFEST}, {INDEX}"
STREAM: dict[str, Any] = {"transfer_encoding": "chunked", "content_length": "",
          "content_type": "application/octet-stream"}  # fmt: skip
HELM = "application/vnd.cncf.helm.config.v1+json"


def expect(answer: Response, *statuses: int) -> Response:
    assert answer.status in statuses, (answer.status, answer.data)
    return answer


def missing(client: Client, digest: str, name: str = NAME) -> None:
    expect(client.ask("HEAD", f"/v2/{name}/blobs/{digest}"), 404)


def docker(client: Client) -> str:
    """The daemon: probe, HEAD, POST, PATCH in a stream, PUT without a body, HEAD, manifest."""
    image = docker_image()
    expect(client.ask("GET", "/v2/"), 200)
    for digest, data in image.blobs.items():
        missing(client, digest)
        where = expect(client.ask("POST", f"/v2/{NAME}/blobs/uploads/"), 202).header("Location")
        where = expect(client.ask("PATCH", where, data, **STREAM), 202).header("Location")
        expect(client.ask("PUT", f"{where}?digest={digest.replace(':', '%3A')}"), 201)
        expect(client.ask("HEAD", f"/v2/{NAME}/blobs/{digest}"), 200)
    expect(client.manifest(image.manifest, kind=image.media_type), 201)
    return image.digest


def buildx(client: Client) -> str:
    """containerd's pusher: HEAD of the tag, whole PUTs, children by digest, then the index."""
    parts = Image.of("amd"), Image.of("attestation", architecture="unknown")
    image = Image.index(*parts)
    expect(client.ask("HEAD", f"/v2/{NAME}/manifests/1.0", accept=f"{INDEX}, *"), 404)
    for part in parts:
        for digest, data in part.blobs.items():
            missing(client, digest)
            answer = client.ask("POST", f"/v2/{NAME}/blobs/uploads/?from=library%2Falpine&"
                                f"mount={digest.replace(':', '%3A')}")  # fmt: skip
            where = expect(answer, 202).header("Location")
            kind = "application/octet-stream"
            expect(client.ask("PUT", f"{where}?digest={digest}", data, content_type=kind), 201)
        expect(client.ask("HEAD", f"/v2/{NAME}/manifests/{part.digest}", accept=ACCEPT), 404)
        expect(client.manifest(part.manifest, reference=part.digest), 201)
    expect(client.manifest(image.manifest, kind=INDEX), 201)
    return image.digest


def crane(client: Client) -> str:
    """go-containerregistry: mounts from where it pulled, POST, PATCH, PUT; children first."""
    image = Image.of("crane")
    client.push(Image.of("crane"), "team/from")
    expect(client.ask("GET", "/v2/"), 200)
    for digest in image.blobs:
        missing(client, digest)
        query = f"?from=team%2Ffrom&mount={digest.replace(':', '%3A')}&origin=127.0.0.1"
        expect(client.ask("POST", f"/v2/{NAME}/blobs/uploads/{query}"), 201)
    expect(client.ask("HEAD", f"/v2/{NAME}/manifests/1.0", accept=ACCEPT), 404)
    expect(client.manifest(image.manifest), 201)
    expect(client.ask("HEAD", f"/v2/{NAME}/manifests/1.0", accept=ACCEPT), 200)
    return image.digest


def oras(client: Client) -> str:
    """oras-go: manifest by digest and then by tag; the answer's OCI-Subject decides the rest."""
    image = Image.of("oras")
    sbom = artifact(b"sbom", artifact_type="x/sbom",
                    subject=descriptor(image.media_type, image.manifest))  # fmt: skip
    for pushed, tag in ((image, "1.0"), (sbom, "")):
        for digest, data in pushed.blobs.items():
            expect(client.ask("HEAD", f"/v2/{NAME}/blobs/{digest}"), 200, 404)
            where = expect(client.ask("POST", f"/v2/{NAME}/blobs/uploads/"), 202).header("Location")
            expect(client.ask("PUT", f"{where}?digest={digest}", data), 201)
        expect(client.ask("HEAD", f"/v2/{NAME}/manifests/{pushed.digest}"), 404)
        answer = expect(client.manifest(pushed.manifest, reference=pushed.digest), 201)
        assert answer.header("OCI-Subject") == ("" if tag else image.digest)
        if tag:
            expect(client.manifest(pushed.manifest, reference=tag), 201)
    return image.digest


def regctl(client: Client) -> str:
    """regclient: a mount from anywhere, chunks with their range, and the upload's state."""
    image = Image.of("regctl")
    for digest, data in image.blobs.items():
        answer = client.ask("POST", f"/v2/{NAME}/blobs/uploads/?mount={digest}")
        where = expect(answer, 202).header("Location")
        for start in range(0, len(data), 50):
            part = data[start : start + 50]
            shown = f"{start}-{start + len(part) - 1}"
            answer = expect(client.ask("PATCH", where, part, content_range=shown), 202)
            where = answer.header("Location")
            assert answer.header("Range") == f"0-{start + len(part) - 1}"
        expect(client.ask("GET", where), 204)
        expect(client.ask("PUT", f"{where}?digest={digest}"), 201)
    expect(client.manifest(image.manifest), 201)
    return image.digest


def helm(client: Client) -> str:
    """helm push: a chart and its config, whole, tagged by the chart's version."""
    chart = artifact(b"a chart", config_type=HELM)
    for digest, data in chart.blobs.items():
        missing(client, digest)
        where = expect(client.ask("POST", f"/v2/{NAME}/blobs/uploads/"), 202).header("Location")
        expect(client.ask("PUT", f"{where}?digest={digest}", data), 201)
    expect(client.manifest(chart.manifest), 201)
    return sha256(chart.manifest)


def cosign(client: Client) -> str:
    """cosign sign: a tag named after the image's digest, beside it."""
    image = Image.of("signed")
    client.push(image)
    signature = artifact(b"signature", config_type="application/vnd.oci.image.config.v1+json")
    tag = f"{image.digest.replace(':', '-')}.sig"
    expect(client.ask("HEAD", f"/v2/{NAME}/manifests/{image.digest}", accept=ACCEPT), 200)
    expect(client.ask("GET", f"/v2/{NAME}/manifests/{tag}", accept=ACCEPT), 404)
    for digest, data in signature.blobs.items():
        where = expect(client.ask("POST", f"/v2/{NAME}/blobs/uploads/"), 202).header("Location")
        where = expect(client.ask("PATCH", where, data, **STREAM), 202).header("Location")
        expect(client.ask("PUT", f"{where}?digest={digest}"), 201)
    expect(client.manifest(signature.manifest, reference=tag), 201)
    expect(client.ask("GET", f"/v2/{NAME}/manifests/{tag}"), 200)
    return image.digest


@pytest.mark.parametrize("tool", [docker, buildx, crane, oras, regctl, helm, cosign])
def test_a_push_of(tool: Callable[[Client], str], client: Client) -> None:
    digest = tool(client)
    found = expect(client.ask("GET", f"/v2/{NAME}/manifests/1.0", accept=ACCEPT), 200)
    assert found.header("Docker-Content-Digest") == digest
    assert run(["check", "-q", "-s", str(client.source)]) == 0
