"""The keys of the documents that clients parse.

Decoders written in Go fold the case of keys: to them `Layers` is `layers`. A
key that differs from one of these by case alone means one thing to them and
nothing to others, so `oci.strictjson` refuses it where its object is known.
"""

from __future__ import annotations

from builder.oci.strictjson import Shape

_PLATFORM = Shape("architecture", "os", "os.version", "os.features", "variant", "features")
_DESCRIPTOR = Shape(
    "mediaType", "digest", "size", "urls", "annotations", "data", "artifactType",
    platform=_PLATFORM,
)  # fmt: skip
MANIFEST = Shape(
    "schemaVersion", "mediaType", "artifactType", "annotations", "fsLayers", "history",
    "signatures", "name", "tag",
    config=_DESCRIPTOR, layers=_DESCRIPTOR, manifests=_DESCRIPTOR, subject=_DESCRIPTOR,
    blobs=_DESCRIPTOR,
)  # fmt: skip
CONFIG = Shape(
    "created", "author", "architecture", "os", "os.version", "os.features", "variant",
    config=Shape(
        "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
        "StopSignal", "ArgsEscaped", "Healthcheck", "Shell", "OnBuild",
    ),
    rootfs=Shape("type", "diff_ids"),
    history=Shape("created", "author", "created_by", "comment", "empty_layer"),
)  # fmt: skip
LAYOUT = Shape("imageLayoutVersion")
DOCKER_ARCHIVE = Shape("Config", "RepoTags", "Layers", "Parent", "LayerSources")
