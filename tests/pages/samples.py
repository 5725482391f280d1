"""Collections of every kind, made in memory: no disk, no network, always the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.image import ImageConfig
from builder.oci.manifest import Manifest
from builder.oci.validate import parse_manifest
from builder.registry.model import (
    BlobPlace,
    Collection,
    LegacyLayer,
    LegacyManifest,
    Recipe,
    Tag,
)

SBOM = "application/spdx+json"
SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


class Maker:
    """Collects manifests, configs and blobs on the way to one Collection."""

    def __init__(self, name: str, **keys: Any) -> None:
        self.name = name
        self.keys = keys
        self.readme = ""
        self.tags: list[Tag] = []
        self.manifests: dict[Digest, Manifest] = {}
        self.configs: dict[Digest, ImageConfig] = {}
        self.blobs: dict[str, BlobPlace] = {}
        self.referrers: dict[Digest, tuple[Digest, ...]] = {}
        self.files: dict[str, Path] = {}

    def blob(
        self, label: str, size: int, media_type: str = mediatype.OCI_LAYER_GZIP
    ) -> dict[str, Any]:
        """Add a blob nobody reads, and return its descriptor."""
        found = digest(label)
        self.blobs[found] = BlobPlace(found, size, media_type, Path("/nowhere") / label)
        return {"mediaType": media_type, "digest": str(found), "size": size}

    def manifest(self, document: Mapping[str, Any]) -> Manifest:
        made = parse_manifest(json.dumps({"schemaVersion": 2, **document}).encode())
        self.manifests[made.digest] = made
        return made

    def image(
        self,
        layers: Sequence[tuple[str, int]],
        *,
        platform: tuple[str, str, str] = ("linux", "amd64", ""),
        config: Mapping[str, Any] | None = None,
        history: Sequence[Mapping[str, Any]] = (),
        created: str = "2024-05-01T10:00:00Z",
        **more: Any,
    ) -> Manifest:
        document = {
            "created": created,
            "os": platform[0],
            "architecture": platform[1],
            "variant": platform[2],
            "config": config or {},
            "history": list(history),
            "rootfs": {"type": "layers", "diff_ids": []},
        }
        raw = json.dumps(document)
        made = self.manifest(
            {
                "mediaType": mediatype.OCI_MANIFEST,
                "config": self.blob(raw, len(raw), mediatype.OCI_CONFIG),
                "layers": [self.blob(label, size) for label, size in layers],
                **more,
            }
        )
        self.configs[made.digest] = ImageConfig.from_json(document)
        return made

    def index(self, images: Sequence[tuple[str, str, str, Manifest]]) -> Manifest:
        children = []
        for system, architecture, variant, image in images:
            platform = {"os": system, "architecture": architecture}
            if variant:
                platform["variant"] = variant
            descriptor = Descriptor(image.media_type, image.digest, image.size)
            children.append({**descriptor.to_json(), "platform": platform})
        return self.manifest({"mediaType": mediatype.OCI_INDEX, "manifests": children})

    def attach(self, subject: Manifest, artifact_type: str, label: str, size: int) -> None:
        described = Descriptor(subject.media_type, subject.digest, subject.size).to_json()
        made = self.manifest(
            {
                "mediaType": mediatype.OCI_MANIFEST,
                "artifactType": artifact_type,
                "config": self.blob("{}", 2, mediatype.OCI_EMPTY),
                "layers": [self.blob(label, size, artifact_type)],
                "subject": described,
                "annotations": {"org.opencontainers.image.created": "2024-06-11T00:00:00Z"},
            }
        )
        held = self.referrers.get(subject.digest, ())
        self.referrers[subject.digest] = (*held, made.digest)

    def tag(self, name: str, manifest: Manifest | None = None, **more: Any) -> None:
        origin = f"collections/{self.name}/manifests/{name}/README.md"
        self.tags.append(Tag(name, origin, manifest, **more))

    def done(self) -> Collection:
        return Collection(
            self.name,
            f"collections/{self.name}",
            self.keys,
            self.readme,
            1,
            f"collections/{self.name}/README.md",
            tuple(self.tags),
            self.manifests,
            self.configs,
            self.blobs,
            self.referrers,
            self.files,
        )


_RUN = {
    "Entrypoint": ["/usr/bin/greet"],
    "Cmd": ["--name", "hello world"],
    "Env": [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "GREETING=<b>hello</b>",
        "API_TOKEN=do-not-show-me",
    ],
    "User": "nobody",
    "WorkingDir": "/srv",
    "ExposedPorts": {"8080/tcp": {}},
    "Labels": {
        "org.opencontainers.image.source": "https://example.org/greet.git",
        "org.opencontainers.image.title": "<script>alert(1)</script>",
        "org.opencontainers.image.licenses": "MIT",
    },
}

_HISTORY = (
    {"created_by": "/bin/sh -c #(nop) ADD file:8f1a in / "},
    {"created_by": '/bin/sh -c #(nop)  CMD ["sh"]', "empty_layer": True},
    {"created_by": "RUN /bin/sh -c apk add --no-cache ca-certificates # buildkit"},
    {"created_by": "ENV API_TOKEN=do-not-show-me", "empty_layer": True},
    {"created_by": "COPY greet /usr/bin/greet # buildkit"},
    {"created_by": 'ENTRYPOINT ["/usr/bin/greet"]', "empty_layer": True},
)


def greeting() -> Collection:
    """An image for three platforms with many tags, attachments and a yanked tag."""
    maker = Maker(
        "vanessa/greeting",
        title="Greeting",
        description="Says hello in forty languages, from a single static binary.",
        license="MIT",
        keywords=["hello", "demo", "static"],
        maintainers=["@vsoch", {"name": "Ada Lovelace", "email": "ada@example.org"}],
        source="https://github.com/vanessa/greeting",
        documentation="https://example.org/greeting/docs",
        redirect_from=["vanessa/greeting/old/"],
    )
    maker.readme = "# Greeting\n\nA small program."
    made: dict[str, Manifest] = {}
    for version, day, size in (
        ("1.0", "2023-11-02", 900_000), ("1.1", "2024-02-14", 1_400_000),
        ("1.2", "2024-06-10", 1_250_000), ("2.0-rc.1", "2024-06-20", 1_900_000),
    ):  # fmt: skip
        images = []
        for architecture, variant in (("amd64", ""), ("arm64", "v8"), ("arm", "v7")):
            base = f"base {architecture}"
            run = {**_RUN, "Env": [*_RUN["Env"], f"VERSION={version}"]}
            image = maker.image(
                [(base, 3_401_613), ("certificates", 612_220), (f"{version} {architecture}", size)],
                platform=("linux", architecture, variant),
                config=run,
                history=_HISTORY,
                created=f"{day}T10:00:00Z",
            )
            images.append(("linux", architecture, variant, image))
        made[version] = maker.index(images)
        keys = {"description": "Fixes the greeting in Welsh."} if version == "1.2" else {}
        yanked = "crashes on start" if version == "1.1" else ""
        maker.tag(version, made[version], created=f"{day}T10:00:00Z", yanked=yanked, keys=keys)
    maker.tag("1", made["1.2"], created="2024-06-10T10:00:00Z")
    maker.tag("latest", made["1.2"], created="2024-06-10T10:00:00Z")
    maker.attach(made["1.2"], SBOM, "sbom", 48_211)
    maker.attach(made["1.2"], SIGNATURE, "signature", 712)
    maker.tag(
        "nightly",
        recipe=Recipe(
            "collections/vanessa/greeting/manifests/nightly/Dockerfile", "pending", _RECIPE
        ),
    )
    return maker.done()


_RECIPE = """FROM alpine:3.20
RUN apk add --no-cache ca-certificates
COPY greet /usr/bin/greet
ENTRYPOINT ["/usr/bin/greet"]
"""


def dataset() -> Collection:
    """An artifact: two files, each with a title."""
    maker = Maker(
        "data/weather", description="Daily temperatures of three cities.", license="CC0-1.0"
    )
    layers = []
    for name, size in (("berlin.csv", 220_400), ("oslo.csv", 198_022)):
        layer = maker.blob(name, size, "text/csv")
        layers.append({**layer, "annotations": {"org.opencontainers.image.title": name}})
    manifest = maker.manifest(
        {
            "mediaType": mediatype.OCI_MANIFEST,
            "artifactType": "application/vnd.example.weather",
            "config": maker.blob("{}", 2, mediatype.OCI_EMPTY),
            "layers": layers,
            "annotations": {"org.opencontainers.image.created": "2024-01-31T00:00:00Z"},
        }
    )
    maker.tag("2024-01-31", manifest, created="2024-01-31")
    return maker.done()


def chart() -> Collection:
    """A Helm chart."""
    maker = Maker("charts/web", description="A web server behind a load balancer.")
    manifest = maker.manifest(
        {
            "mediaType": mediatype.OCI_MANIFEST,
            "config": maker.blob("chart", 140, "application/vnd.cncf.helm.config.v1+json"),
            "layers": [
                maker.blob("web.tgz", 8_400, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
            ],
        }
    )
    maker.tag("0.3.1", manifest, created="2024-03-03")
    return maker.done()


def legacy() -> Collection:
    """A collection of the original static registry: an md5 digest, bytes elsewhere."""
    maker = Maker("singularityhub/busybox", description="BusyBox, from the original registry.")
    url = "https://storage.example.org/busybox/latest.sif"
    hexadecimal = "md5:bbb4d8b4d4ef5ee2b7bb0c1e7d2f5d6e"
    layer = LegacyLayer(hexadecimal, 786_463, mediatype.SINGULARITY_LAYER, url)
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": mediatype.SINGULARITY_MANIFEST,
            "config": {"mediaType": mediatype.SINGULARITY_CONFIG, "size": 786_463},
            "layers": [{"mediaType": layer.media_type, "digest": layer.digest, "urls": [url]}],
        },
        indent=2,
    ).encode()
    manifest = LegacyManifest(raw, mediatype.SINGULARITY_MANIFEST, (layer,), 786_463)
    maker.tag("latest", legacy=manifest)
    return maker.done()


def recipe() -> Collection:
    """Nothing but a recipe that nobody has built."""
    maker = Maker(
        "labs/solver", description="A solver, to be built.", deprecated="vanessa/greeting"
    )
    path = "collections/labs/solver/manifests/1.0/Singularity"
    text = "Bootstrap: docker\nFrom: alpine\n\n%post\n    echo '</pre><script>'\n"
    maker.tag("1.0", recipe=Recipe(path, "pending", text))
    return maker.done()


def stale() -> Collection:
    """A tag whose recipe changed since it was built, and one whose layers are nowhere."""
    maker = Maker("labs/tools/deep", deprecated="superseded by newer tools")
    image = maker.image([("deep", 5_000)], config=_RUN)
    path = "collections/labs/tools/deep/manifests/1/Dockerfile"
    maker.tag("1", image, recipe=Recipe(path, "stale", _RECIPE), created="2024-04-04")
    maker.tag("0", maker.image([("lost", 7_000)]), available=False)
    return maker.done()


def empty() -> Collection:
    """A README and no tag."""
    return Maker("labs/empty").done()


def hidden() -> Collection:
    """A collection in no list."""
    maker = Maker("labs/hidden", hidden=True, description="Not for everybody.")
    maker.tag("1", maker.image([("hidden", 9)]))
    return maker.done()


def everything() -> tuple[Collection, ...]:
    return (
        greeting(), dataset(), chart(), legacy(), recipe(), stale(), empty(), hidden(),
    )  # fmt: skip
