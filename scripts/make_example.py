"""Make the images of the example registry in `collections/`, the same bytes everywhere.

    python scripts/make_example.py            write manifests and blobs
    python scripts/make_example.py --check    tell whether the committed ones equal them

The READMEs and recipes are written by hand; this makes what nobody writes by
hand: programs, layers, configs, manifests, a picture. Compressed data is
stored, not squeezed, so that no compression library's version shows in it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from example_formats import gzipped, packed, picture
from example_programs import greeting, wordcount

ROOT = Path(__file__).resolve().parent.parent / "collections"

OCI = "application/vnd.oci.image"
OCI_TYPES = (f"{OCI}.manifest.v1+json", f"{OCI}.config.v1+json", f"{OCI}.layer.v1.tar+gzip")
DOCKER_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)
EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"

PHRASES = (
    "language,phrase\nda,Hej\nde,Guten Tag\nen,Hello\nes,Hola\nfr,Bonjour\nit,Ciao\nsw,Jambo\n"
)
MORE_PHRASES = PHRASES + "cy,Helo\nfi,Hei\nmi,Kia ora\nzu,Sawubona\n"
DATASET_ABOUT = (
    "How to say hello, one language a line.\n"
    "phrases.csv has two columns: a language code of ISO 639-1, and the phrase in it.\n"
)
CHANGELOG = (
    "# Changes in 1.1.0\n\n- A longer greeting.\n- The table of phrases is the layer of 1.0.0,"
    " so an upgrade fetches the program only.\n"
)

Document = dict[str, Any]


def encoded(document: object) -> bytes:
    """Return a document as the JSON bytes it is known by."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


class Collection:
    """One collection's files, by path below `collections/`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: dict[str, bytes] = {}
        self._kept: dict[str, bytes] = {}

    def blob(self, data: bytes, media_type: str, **more: Any) -> Document:
        """Keep a blob; return its descriptor."""
        encoded_digest = hashlib.sha256(data).hexdigest()
        self.files[f"{self.name}/blobs/sha256/{encoded_digest}"] = data
        self._kept[f"sha256:{encoded_digest}"] = data
        return {
            "mediaType": media_type,
            "digest": f"sha256:{encoded_digest}",
            "size": len(data),
            **more,
        }

    def tag(self, descriptor: Document, *tags: str) -> None:
        """Let tags point to what a descriptor names; that is then kept as their manifest only."""
        for tag in tags:
            path = f"{self.name}/manifests/{tag}/manifest.json"
            self.files[path] = self._kept[descriptor["digest"]]

    def image(
        self,
        layers: list[tuple[bytes, str]],
        run: Document,
        *,
        architecture: str,
        created: str,
        annotations: dict[str, str],
        types: tuple[str, str, str] = OCI_TYPES,
    ) -> Document:
        """Keep an image of layers, given as tar and the step that made it."""
        manifest_type, config_type, layer_type = types
        config = {
            "created": created,
            "architecture": architecture,
            "os": "linux",
            "config": run,
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar, _ in layers],
            },
            "history": [
                *({"created": created, "created_by": step} for _, step in layers),
                {"created": created, "created_by": f"ENTRYPOINT {json.dumps(run['Entrypoint'])}",
                 "empty_layer": True},
            ],
        }  # fmt: skip
        manifest = {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": self.blob(encoded(config), config_type),
            "layers": [self.blob(gzipped(tar), layer_type) for tar, _ in layers],
        }
        if types is OCI_TYPES:
            manifest["annotations"] = annotations
        platform = {"architecture": architecture, "os": "linux"}
        return self.blob(encoded(manifest), manifest_type, platform=platform)

    def index(self, children: list[Document], annotations: dict[str, str]) -> Document:
        """Keep an index."""
        media_type = f"{OCI}.index.v1+json"
        document = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": children,
            "annotations": annotations,
        }
        return self.blob(encoded(document), media_type)

    def artifact(
        self,
        artifact_type: str,
        files: list[tuple[str, str, bytes]],
        annotations: dict[str, str],
        subject: Document | None = None,
    ) -> Document:
        """Keep an artifact of files, given as name, media type and content."""
        manifest: Document = {
            "schemaVersion": 2,
            "mediaType": OCI_TYPES[0],
            "artifactType": artifact_type,
            "config": self.blob(b"{}", EMPTY),
            "layers": [
                self.blob(content, media_type, annotations={TITLE: name})
                for name, media_type, content in files
            ],
        }
        if subject:
            manifest["subject"] = subject
        manifest["annotations"] = annotations
        return self.blob(encoded(manifest), OCI_TYPES[0])


def described(title: str, version: str, created: str, text: str) -> dict[str, str]:
    """Return the annotations that every example image carries."""
    prefix = "org.opencontainers.image"
    return {
        f"{prefix}.title": title,
        f"{prefix}.description": text,
        f"{prefix}.version": version,
        f"{prefix}.created": created,
        f"{prefix}.licenses": "MIT",
        f"{prefix}.authors": "Vanessa",
    }


def greeting_image(
    kept: Collection, version: str, text: str, created: str, architecture: str
) -> Document:
    """Keep one platform's greeting image."""
    phrases = packed({"usr/share/greeting/phrases.csv": (PHRASES.encode(), 0o644)})
    program = packed({"usr/bin/greeting": (greeting(text, architecture), 0o755)})
    about = described("greeting", version, created, "Says hello and ends")
    run = {
        "User": "65534:65534",
        "Env": ["PATH=/usr/bin", f"GREETING_VERSION={version}"],
        "Entrypoint": ["/usr/bin/greeting"],
        "WorkingDir": "/usr/share/greeting",
        "Labels": about,
    }
    layers = [
        (phrases, "COPY phrases.csv /usr/share/greeting/phrases.csv"),
        (program, f"COPY greeting /usr/bin/greeting  # {version}, linux/{architecture}"),
    ]
    return kept.image(layers, run, architecture=architecture, created=created, annotations=about)


def make_greeting() -> Collection:
    """Return the multi-platform image: three versions, five more tags, two referrers."""
    kept = Collection("vanessa/greeting")
    kept.files[f"{kept.name}/logo.png"] = picture()
    early = greeting_image(kept, "0.9.0", "Hello!", "2024-02-01T10:00:00Z", "amd64")
    kept.tag(early, "0.9.0")
    versions = {}
    for version, created, text in (
        ("1.0.0", "2024-05-31T09:30:00Z", "Hello from a static registry!\n"),
        ("1.1.0", "2025-03-14T15:09:26Z", "Hello from a static registry! It is made of files.\n"),
    ):
        children = [
            greeting_image(kept, version, text, created, architecture)
            for architecture in ("amd64", "arm64")
        ]
        about = described("greeting", version, created, "Says hello and ends")
        versions[version] = kept.index(children, about)
    kept.tag(versions["1.0.0"], "1.0.0")
    kept.tag(versions["1.1.0"], "1.1.0", "1.1", "latest")
    kept.tag(children[0], "1.1.0-amd64")
    add_referrers(kept, versions["1.1.0"])
    return kept


def add_referrers(kept: Collection, subject: Document) -> None:
    """Keep an SBOM and a list of changes that refer to `subject`."""
    created = {"org.opencontainers.image.created": "2025-03-14T15:20:00Z"}
    sbom = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "greeting-1.1.0",
        "documentNamespace": "https://example.org/spdx/greeting-1.1.0",
        "creationInfo": {"created": "2025-03-14T15:20:00Z", "creators": ["Tool: make_example.py"]},
        "packages": [
            {
                "SPDXID": "SPDXRef-greeting",
                "name": "greeting",
                "versionInfo": "1.1.0",
                "downloadLocation": "NOASSERTION",
                "licenseConcluded": "MIT",
            }
        ],
    }
    spdx = "application/spdx+json"
    kept.artifact(spdx, [("greeting.spdx.json", spdx, encoded(sbom))], created, subject)
    notes = [("CHANGES.md", "text/markdown", CHANGELOG.encode())]
    kept.artifact("application/vnd.example.changelog.v1", notes, created, subject)


def make_hello() -> Collection:
    """Return the collection that `vanessa/greeting` replaced."""
    kept = Collection("vanessa/hello")
    image = greeting_image(kept, "0.1.0", "Hello.\n", "2024-01-10T08:00:00Z", "amd64")
    kept.tag(image, "0.1.0")
    return kept


def make_dataset() -> Collection:
    """Return an artifact that is no image: two files, in two editions that share one."""
    kept = Collection("vanessa/dataset")
    for edition, created, phrases in (
        ("2024.1", "2024-06-30T12:00:00Z", PHRASES),
        ("2025.1", "2025-06-30T12:00:00Z", MORE_PHRASES),
    ):
        files = [
            ("phrases.csv", "text/csv", phrases.encode()),
            ("ABOUT.txt", "text/plain", DATASET_ABOUT.encode()),
        ]
        about = described("phrases", edition, created, "How to say hello in other languages")
        descriptor = kept.artifact("application/vnd.example.dataset.v1", files, about)
        kept.tag(descriptor, edition)
    kept.tag(descriptor, "latest")
    return kept


def make_wordcount() -> Collection:
    """Return a single-platform image, once in OCI's and once in Docker's format."""
    kept = Collection("tools/text/wordcount")
    created = "2024-11-05T18:45:00Z"
    about = described("wordcount", "1.0", created, "Counts the words on its standard input")
    program = packed({"wordcount": (wordcount(), 0o755)})
    run = {"User": "65534:65534", "Env": ["PATH=/"], "Entrypoint": ["/wordcount"], "Labels": about}
    for types, tags in ((OCI_TYPES, ("1.0", "latest")), (DOCKER_TYPES, ("1.0-docker",))):
        layers = [(program, "COPY wordcount /wordcount")]
        image = kept.image(
            layers, run, architecture="amd64", created=created, annotations=about, types=types
        )
        kept.tag(image, *tags)
    return kept


def without_tagged(kept: Collection) -> dict[str, bytes]:
    """Return a collection's files; what a tag folder holds is not kept among the blobs too."""
    tagged = {
        hashlib.sha256(data).hexdigest()
        for path, data in kept.files.items()
        if path.endswith("/manifest.json")
    }
    needed = {
        child["digest"].partition(":")[2]
        for path, data in kept.files.items()
        if path.endswith("/manifest.json")
        for child in json.loads(data).get("manifests", ())
    }
    spare = tagged - needed
    return {path: data for path, data in kept.files.items() if path.rpartition("/")[2] not in spare}


def made_before() -> set[str]:
    """Return the paths of the files that are there and that this script would have made."""
    found = {*ROOT.glob("**/blobs/sha256/*"), *ROOT.glob("**/manifest.json")}
    return {path.relative_to(ROOT).as_posix() for path in found}


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare, exit 1 if different")
    check = parser.parse_args().check
    files: dict[str, bytes] = {}
    for make in (make_greeting, make_hello, make_dataset, make_wordcount):
        files.update(without_tagged(make()))
    different = [
        path
        for path, data in files.items()
        if not (ROOT / path).is_file() or (ROOT / path).read_bytes() != data
    ]
    extra = made_before() - files.keys()
    for path in sorted([*different, *extra]):
        print(f"{'remove' if path in extra else 'write'} collections/{path}")
        if check:
            continue
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        if path in extra:
            (ROOT / path).unlink()
        else:
            (ROOT / path).write_bytes(files[path])
    return 1 if check and (different or extra) else 0


if __name__ == "__main__":
    sys.exit(main())
