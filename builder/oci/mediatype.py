"""Media types of the OCI and Docker image formats.

Source: image-spec `media-types.md`, distribution's `manifest-v2-2.md`.
"""

from __future__ import annotations

import re

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
SINGULARITY_MANIFEST = "application/vnd.singularity.distribution.manifest.v2+json"
SINGULARITY_CONFIG = "application/vnd.singularity.container.image.v1+json"
SINGULARITY_LAYER = "application/vnd.singularity.image.squashfs"
APP_CONFIG = "application/vnd.alembic.app.config.v1+json"
OCTET_STREAM = "application/octet-stream"
JSON = "application/json"

IMAGE_MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, SINGULARITY_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = IMAGE_MANIFESTS | INDEXES
IMAGE_CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

# RFC 6838, section 4.2: two restricted names of up to 127 characters.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_GRAMMAR = re.compile(rf"{_NAME}/{_NAME}")

# Types a browser would run as a page of our own origin.
_ACTIVE = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml", "text/xml"})


def is_valid(text: str) -> bool:
    """Tell whether `text` is a media type that may be published."""
    return _GRAMMAR.fullmatch(text) is not None and text.lower() not in _ACTIVE


def is_filesystem_layer(media_type: str) -> bool:
    """Tell whether a layer of this type is a tar of files, compressed or not."""
    return ".layer." in media_type or ".rootfs." in media_type
