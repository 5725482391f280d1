"""A registry of everything that pages show, small and the same every time.

Three hundred tags, forty layers, eight platforms, every kind of artifact, what is
attached, what is yanked or deprecated, long names and scripts of the world.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.layers.record import record_listing
from builder.oci.descriptor import Descriptor
from tests.conftest import write_tree
from tests.images import CONFIG, INDEX, LAYER, MANIFEST, as_json, descriptor, layer_of, sha256

APP_CONFIG = "application/vnd.alembic.app.config.v1+json"
BASE_NAME = "org.opencontainers.image.base.name"
TITLE = "org.opencontainers.image.title"
EMPTY = "application/vnd.oci.empty.v1+json"
LONG = "laboratory-of-computational-genomics/single-cell-rna-sequencing-quality-control-and-report"
GZIP = b"\x1f\x8b"
PLATFORMS = (
    ("linux", "amd64", ""), ("linux", "arm64", "v8"), ("linux", "arm", "v7"), ("linux", "386", ""),
    ("linux", "ppc64le", ""), ("linux", "s390x", ""), ("linux", "riscv64", ""),
    ("windows", "amd64", ""),
)  # fmt: skip
STEPS = (
    "/bin/sh -c #(nop) ADD file:8f1a in / ",
    f"RUN /bin/sh -c apt-get update && apt-get install -y {'lib-something-dev ' * 9} # buildkit",
    "COPY . /usr/src/app # buildkit",
)
Document = dict[str, Any]


class Collection:
    """One collection on its way to a folder."""

    def __init__(self, root: Path, name: str, readme: str = "") -> None:
        self.folder = root / "collections" / name
        self.folder.mkdir(parents=True)
        if readme:
            (self.folder / "README.md").write_text(readme)

    def blob(self, media_type: str, data: bytes, **more: Any) -> Document:
        place = self.folder / "blobs/sha256" / sha256(data).partition(":")[2]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return descriptor(media_type, data, **more)

    def document(self, media_type: str, content: Mapping[str, Any], **more: Any) -> Document:
        value = {"schemaVersion": 2, "mediaType": media_type, **content}
        return self.blob(media_type, as_json(value), **more)

    def image(
        self, texts: Sequence[str], platform: tuple[str, str, str] = PLATFORMS[0], **run: Any
    ) -> Document:
        layers = [layer_of(text * (20 + 7 * n)) for n, text in enumerate(texts)]
        system, architecture, variant = platform
        where = {"os": system, "architecture": architecture}
        where |= {"variant": variant} if variant else {}
        config = {
            **where,
            "created": "2025-03-01T10:00:00Z",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in layers]},
            "history": [{"created_by": STEPS[n % 3]} for n in range(len(layers))],
        }
        return self.document(
            MANIFEST,
            {
                "config": self.blob(CONFIG, as_json(config)),
                "layers": [self.blob(LAYER, layer) for layer, _ in layers],
                "annotations": {BASE_NAME: "docker.io/library/debian:12"},
            },
            platform=where,
        )

    def list_files(self) -> None:
        """Keep the listing of every layer."""
        for path in sorted((self.folder / "blobs/sha256").iterdir()):
            if path.read_bytes().startswith(GZIP):
                layer = descriptor(LAYER, path.read_bytes())
                record_listing(self.folder, Descriptor.from_json(layer), path)

    def artifact(
        self, artifact_type: str, files: Iterable[tuple[str, str, bytes]], **more: Any
    ) -> Document:
        layers = [
            self.blob(kind, data, **({"annotations": {TITLE: name}} if name else {}))
            for name, kind, data in files
        ]
        config = more.pop("config", None) or self.blob(EMPTY, b"{}")
        said = {"artifactType": artifact_type} if artifact_type else {}
        content = {**said, "config": config, "layers": layers, **more}
        return self.document(MANIFEST, content)

    def tag(self, what: Document, *names: str, **keys: str) -> None:
        raw = (self.folder / "blobs/sha256" / what["digest"].partition(":")[2]).read_bytes()
        said = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
        for name in names:
            files = {"manifest.json": raw, "README.md": f"---\n{said}---\n"}
            write_tree(self.folder / "manifests" / name, files)


def readme(title: str, description: str, body: str = "", **keys: Any) -> str:
    front = {"title": title, "description": description, **keys}
    said = "".join(f"{key}: {json.dumps(value)}\n" for key, value in front.items() if value)
    return f"---\n{said}---\n# {title}\n\n{body or description}\n"


def make_showcase(root: Path) -> Path:
    """Write the registry below `root`; return it."""
    about = "title: Showcase\ndescription: Everything that a registry can hold.\nmarkdown: GFM\n"
    apps = "registry:\n  target: nginx\n  apps: [web/clock]\n"
    write_tree(root, {"_config.yml": about + apps, "index.md": "---\n---\nMade for looking at.\n"})
    for part in (_many_tags, _images, _artifacts, _packages, _texts, _recipes, _small):
        part(root)
    return root


def _many_tags(root: Path) -> None:
    text = readme(
        "samtools", "Reads, writes and indexes sequence alignments", _LONG_README,
        license="MIT", keywords=["genomics", "bam"], maintainers=["@samtools"],
        source="https://example.org/samtools",
    )  # fmt: skip
    samtools = Collection(root, "bio/samtools", text)
    for n in range(250):
        minor, patch = divmod(n, 10)
        image = samtools.image(["base\n", f"samtools 1.{minor}.{patch}\n" * (1 + n % 5)])
        day = f"20{10 + n // 24}-{1 + n // 2 % 12:02}-{1 + n % 2 * 14:02}T00:00:00Z"
        yanked = {"yanked": "corrupts CRAM files"} if n == 200 else {}
        names = (f"1.{minor}.{patch}", *(("latest", "1") if n == 249 else ()))
        samtools.tag(image, *names, created=day, **yanked)
    for n in range(45):
        image = samtools.image(["base\n", f"nightly {n}\n"])
        samtools.tag(image, f"nightly-2025{1 + n // 28:02}{1 + n % 28:02}")
    for name in ("2.0.0-rc.1", "2.0.0-rc.2", "2.0.0-beta"):
        samtools.tag(samtools.image(["base\n", name]), name)


def _images(root: Path) -> None:
    tall = Collection(root, "vendor/monolith", readme("Monolith", "Forty layers of everything"))
    labels = {f"org.example.label-{n}": "a value that goes on " * (n + 1) for n in range(12)}
    labels["org.opencontainers.image.source"] = "https://example.org/monolith"
    env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "API_TOKEN=not-to-be-seen"]
    run: Document = {
        "Entrypoint": ["/usr/bin/app", "--serve"],
        "Env": env,
        "Labels": labels,
        "User": "app",
    }
    tall.tag(tall.image([f"layer {n}\n" for n in range(40)], **run), "1.0", "latest",
             created="2025-04-01T00:00:00Z")  # fmt: skip
    wide = Collection(
        root, "vendor/everywhere", readme("Everywhere", "Eight platforms", license="Apache-2.0")
    )
    for version in ("1.0.0", "1.1.0"):
        children = [
            wide.image(["base\n", f"{version} {item}\n"], item, **run) for item in PLATFORMS
        ]
        index = wide.document(INDEX, {"manifests": children})
        names = (version, "latest") if version == "1.1.0" else (version,)
        wide.tag(index, *names, created=f"2025-05-0{1 + int(version[2])}T00:00:00Z")
    _attach(wide, index)
    for collection in (tall, wide):
        collection.list_files()
    old = Collection(
        root, "vendor/old", readme("Old", "Was good once", deprecated="vendor/everywhere")
    )
    old.tag(old.image(["old\n"]), "0.1", created="2019-01-01T00:00:00Z", yanked="it deletes /home")


def _attach(wide: Collection, subject: Document) -> None:
    about = {key: subject[key] for key in ("mediaType", "digest", "size")}
    packages = [{"name": f"library-{n}", "versionInfo": f"1.{n}"} for n in range(40)]
    sbom = {"spdxVersion": "SPDX-2.3", "name": "everywhere", "packages": packages}
    spdx, statement = "application/spdx+json", "application/vnd.in-toto+json"
    wide.artifact(spdx, [("everywhere.spdx.json", spdx, as_json(sbom))], subject=about)
    signature = "application/vnd.dev.cosign.artifact.sig.v1+json"
    wide.artifact(
        signature, [("", "application/vnd.dev.cosign.simplesigning.v1+json", b"{}")], subject=about
    )
    provenance = {"predicateType": "https://slsa.dev/provenance/v1", "predicate": {
        "buildDefinition": {"resolvedDependencies": [
            {"uri": "git+https://example.org/everywhere", "digest": {"gitCommit": "a" * 40}}]},
        "runDetails": {"builder": {"id": "https://example.org/builders/1"}}}}  # fmt: skip
    layer = wide.blob(
        statement,
        as_json(provenance),
        annotations={"in-toto.io/predicate-type": provenance["predicateType"]},
    )
    content = {
        "artifactType": statement,
        "config": wide.blob(EMPTY, b"{}"),
        "layers": [layer],
        "subject": about,
    }
    wide.document(MANIFEST, content)


def _artifacts(root: Path) -> None:
    reads = Collection(
        root, "data/reads", readme("Reads", "Two files of a sequencer", license="CC0-1.0")
    )
    files = [("reads_1.fastq.gz", "application/gzip", gzip.compress(b"@r1\nACGT\n", mtime=0)),
             ("reads_2.fastq.gz", "application/gzip", gzip.compress(b"@r2\nTGCA\n", mtime=0)),
             ("samples.csv", "text/csv", b"name,age\nada,36\n")]  # fmt: skip
    reads.tag(
        reads.artifact("application/vnd.example.reads", files),
        "2025.1",
        "latest",
        created="2025-02-03T00:00:00Z",
    )
    sif = Collection(root, "hpc/solver", readme("Solver", "Solves linear systems on clusters"))
    image = [("solver.sif", "application/vnd.sylabs.sif.layer.v1.sif", b"SIF_MAGIC" * 99)]
    sif.tag(
        sif.artifact(
            "", image, config=sif.blob("application/vnd.sylabs.sif.config.v1+json", b"{}")
        ),
        "3.1",
        "latest",
    )
    write_tree(
        sif.folder / "manifests/3.1",
        {"Singularity": "Bootstrap: docker\nFrom: debian:12\n\n%post\n    make\n"},
    )
    for name, kind, file in (
        ("data/model", "application/vnd.cncf.model.manifest.v1+json", "model.safetensors"),
        ("tools/filter", "application/vnd.wasm.config.v0+json", "filter.wasm"),
        ("cache/layers", "application/vnd.buildkit.cacheconfig.v0", ""),
        ("homebrew/jq", "application/vnd.homebrew.bottle.v1", "jq-1.7.arm64_sonoma.bottle.tar.gz"),
    ):
        made = Collection(
            root, name, readme(name.rpartition("/")[2], f"An artifact of type {kind}")
        )
        made.tag(
            made.artifact(kind, [(file, "application/octet-stream", file.encode() * 40)]), "1.0"
        )


def _tgz(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _packages(root: Path) -> None:
    chart = Collection(root, "charts/web", readme("Web", "A web server behind a load balancer"))
    files = {
        "web/Chart.yaml": "name: web\nversion: 0.3.1\n",
        "web/README.md": "# Web\n\nServes.\n",
        "web/values.yaml": "replicas: 2\nimage:\n  repository: nginx\n  tag: stable\n",
    }
    config = chart.blob(
        "application/vnd.cncf.helm.config.v1+json", as_json({"name": "web", "version": "0.3.1"})
    )
    content = [("", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", _tgz(files))]
    chart.tag(chart.artifact("", content, config=config), "0.3.1", created="2025-01-05T00:00:00Z")
    app = Collection(root, "web/clock", readme("Clock", "Shows the time"))
    page = {"index.html": "<!doctype html><title>Clock</title><p>12:00"}
    app.tag(
        app.artifact("", [("", LAYER, _tgz(page))], config=app.blob(APP_CONFIG, b"{}")),
        "1.0",
        "latest",
    )


def _texts(root: Path) -> None:
    for name, title, text in (
        (LONG, "Quality control and report of single-cell RNA sequencing", "A description " * 25),
        ("i18n/arabic", "مرحبا بالعالم", "أداة صغيرة تقول مرحبا بلغات كثيرة، وتنتهي بعد ذلك"),
        ("i18n/hebrew", "שלום עולם", "כלי קטן שאומר שלום"),
        ("i18n/japanese", "こんにちは世界", "多くの言語で挨拶する小さなコンテナイメージです"),
        ("i18n/chinese", "你好世界", "用多种语言问候的小型容器镜像"),
    ):  # fmt: skip
        made = Collection(
            root, name, readme(title, text.strip(), f"{text}\n\n- {text}\n- `code`\n")
        )
        made.tag(
            made.image([f"{name}\n"]),
            "1.0.0-with-a-very-long-tag-name.that-goes-on-and-on" if name == LONG else "1.0",
        )
    bare = Collection(root, "nothing/said")
    bare.tag(bare.image(["bare\n"]), "latest")
    Collection(root, "nothing/here", "---\nkeywords: []\n---\n")


def _recipes(root: Path) -> None:
    for name in ("one", "two"):
        made = Collection(
            root, f"pending/{name}", readme(name.title(), "To be built from its recipe")
        )
        write_tree(made.folder / "manifests/latest", {"Dockerfile": "FROM debian:12\nRUN make\n"})


def _small(root: Path) -> None:
    for n in range(24):
        made = Collection(
            root,
            f"team/small{n}",
            readme(f"Small {n}", "One of many", license="MIT", keywords=["small"]),
        )
        for version in range(1, 3):
            own = [f"small {n} {version}\n" * 9] if n else []  # the others are built on the first
            made.tag(
                made.image([*(f"base {n}\n" for n in range(2 + version)), *own]),
                f"{version}.0",
                created=f"2024-{1 + n % 12:02}-0{version}T00:00:00Z",
            )


_LONG_README = """
Samtools is a suite of programs for reading and writing alignments.

> [!WARNING]
> Index files of older versions are not read.

## Install

```console
$ podman pull REGISTRY/bio/samtools:latest
```

| command | does |
| --- | --- |
| `view` | views and converts |
| `sort` | sorts |

- [x] done
- [ ] to do[^1]

[^1]: A note at the foot.

<details><summary>More</summary>

Text inside.

</details>
"""
