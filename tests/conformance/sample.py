"""The registry that all hosts serve here: every kind of content a specification speaks of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import write_tree
from tests.images import INDEX, LAYER, MANIFEST, Image, as_json, descriptor, layer_of

NAME = "conformance/sample"
MANY = "conformance/many"
NESTED = "conformance/sample/nested"
UNTAGGED = "conformance/untagged"
NOBODY = "conformance/nobody"
ABSENT = f"sha256:{'0' * 64}"
MALFORMED = ("sha256:tooshort", "sha256:", f"sha256:{'G' * 64}", "sha256:totallywrong")

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
EMPTY = "application/vnd.oci.empty.v1+json"
SBOM, SIGNATURE, REPORT = (
    "application/vnd.example.sbom.v1+json",
    "application/vnd.example.signature.v1",
    "application/vnd.example.report$v1",
)
# In the order of bytes; that of letters regardless of case is another.
MANY_TAGS = sorted(
    [f"{number}.{minor}" for number in range(12) for minor in range(10)]
    + ["_first", "Upper", "upper-1", "Zeta", "alpha", "v1.0-rc.1", "x" * 128]
)


@dataclass(slots=True)
class Sample:
    """What is in the registry at `source`, by what clients ask for.

    `manifests` and `blobs` hold bytes by digest, `types` the media type of a
    manifest, `tags` the digest of a tag of `NAME`.
    """

    source: Path
    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    referrers: dict[str, dict[str, Any]] = field(default_factory=dict)
    subject: str = ""
    lost_subject: str = ""

    @classmethod
    def write(cls, source: Path) -> Sample:
        """Write the registry into a new folder."""
        sample = cls(source)
        write_tree(source, {"_config.yml": "title: Conformance\n"})
        image = Image.of("sample")
        sample.subject = image.digest
        sample._add(image, "1.0", "1.10", "1.2", "latest", "Upper", "lower")
        sample._add(Image.index(Image.of("amd"), Image.of("arm", architecture="arm64")), "index")
        sample._add(docker_image(), "docker")
        sample._add(sha512_image(), "sha512")
        sample._add(artifact(b"alone", artifact_type=SBOM), "artifact")
        sample._refer(image)
        lost = Image.of("nobody has this")
        sample.lost_subject = lost.digest
        sample._add(artifact(b"lost", artifact_type=SBOM, subject=_of(lost)), "lost")
        for tag in MANY_TAGS:
            image.tag(source / "collections" / MANY, tag)
        image.tag(source / "collections" / NESTED, "one")
        untagged = source / "collections" / UNTAGGED
        image.layout(untagged)
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [_of(image)]}
        (untagged / "index.json").write_bytes(as_json(index))
        return sample

    def _refer(self, image: Image) -> None:
        notes = {"org.example.note": "hello", "org.opencontainers.image.created": "2024-01-02"}
        about: dict[str, Any] = {"subject": _of(image), "annotations": notes}
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
        made = {
            "sbom": (artifact(b"sbom", artifact_type=SBOM, **about), SBOM),
            "sbom-2": (artifact(b"another", artifact_type=SBOM, **about), SBOM),
            "signature": (artifact(b"sig", config_type=SIGNATURE, **about), SIGNATURE),
            "report": (
                Image(as_json({**index, "artifactType": REPORT, **about}), {}, INDEX),
                REPORT,
            ),
            "set": (Image(as_json({**index, **about}), {}, INDEX), None),
        }
        for tag, (referrer, artifact_type) in made.items():
            self._add(referrer, f"about-{tag}")
            self.referrers[referrer.digest] = {"type": artifact_type, "annotations": notes}

    def _add(self, image: Image, *tags: str) -> None:
        for tag in tags:
            image.tag(self.source / "collections" / NAME, tag)
            self.tags[tag] = image.digest
        self.manifests[image.digest] = image.manifest
        self.types[image.digest] = image.media_type
        for item in json.loads(image.manifest).get("manifests", []):
            child = image.blobs[item["digest"]]
            self.manifests[item["digest"]] = child
            self.types[item["digest"]] = item["mediaType"]
        self.blobs |= image.blobs


def _of(image: Image) -> dict[str, Any]:
    return descriptor(image.media_type, image.manifest)


def docker_image() -> Image:
    """Return an image as Docker writes them."""
    image = Image.of("docker")
    document = json.loads(image.manifest)
    document["mediaType"] = DOCKER
    document["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    for layer in document["layers"]:
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    return Image(as_json(document), image.blobs, DOCKER)


def sha512_image() -> Image:
    """Return an image whose layer has a digest of the other registered algorithm."""
    image = Image.of("sha512")
    layer, _ = layer_of("sha512")
    digest = f"sha512:{hashlib.sha512(layer).hexdigest()}"
    document = json.loads(image.manifest)
    document["layers"] = [{"mediaType": LAYER, "digest": digest, "size": len(layer)}]
    config = document["config"]["digest"]
    return Image(as_json(document), {config: image.blobs[config], digest: layer})


def artifact(
    data: bytes, *, artifact_type: str = "", config_type: str = EMPTY, **more: Any
) -> Image:
    """Return a manifest of one blob that is no image."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(config_type, b"{}"),
        "layers": [descriptor("text/plain", data)],
        **more,
    }
    if artifact_type:
        document["artifactType"] = artifact_type
    blobs = {document["config"]["digest"]: b"{}", document["layers"][0]["digest"]: data}
    return Image(as_json(document), blobs)
