"""Media types: those of OCI and Docker images, and those that files of a name have.

Source: image-spec `media-types.md`, distribution's `manifest-v2-2.md`, IANA's
register. The one table of them: a type is spelt out here and nowhere else.
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
ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json"
SIF_LAYER = "application/vnd.sylabs.sif.layer.v1.sif"
SIF_CONFIG = "application/vnd.sylabs.sif.config.v1+json"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
HELM_PROVENANCE = "application/vnd.cncf.helm.chart.provenance.v1.prov"
APP_CONFIG = "application/vnd.alembic.app.config.v1+json"
UNKNOWN_ARTIFACT = "application/vnd.unknown.artifact.v1"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
SPDX = "application/spdx+json"
CYCLONEDX = "application/vnd.cyclonedx+json"
SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
OPENVEX = "application/vnd.openvex+json"
SARIF = "application/sarif+json"
OCTET_STREAM = "application/octet-stream"
JSON = "application/json"
HTML = "text/html"
TEXT = "text/plain"

# What the ending of a file's name stands for. Our own table, so that all machines agree; servers
# that forbid browsers to guess (`nosniff`) have to tell them.
_OF_ENDING = {
    "html": HTML, "htm": HTML, "xhtml": "application/xhtml+xml", "css": "text/css",
    "js": "text/javascript", "mjs": "text/javascript", "json": JSON, "map": JSON,
    "geojson": "application/geo+json", "wasm": "application/wasm",
    "webmanifest": "application/manifest+json", "svg": "image/svg+xml", "png": "image/png",
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "avif": "image/avif", "bmp": "image/bmp", "ico": "image/x-icon", "woff": "font/woff",
    "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf", "txt": TEXT,
    "md": "text/markdown", "csv": "text/csv", "vtt": "text/vtt", "xml": "application/xml",
    "rss": "application/rss+xml", "atom": "application/atom+xml", "pdf": "application/pdf",
    "mp4": "video/mp4", "webm": "video/webm", "mp3": "audio/mpeg", "m4a": "audio/mp4",
    "ogg": "audio/ogg", "wav": "audio/wav", "zip": "application/zip", "glb": "model/gltf-binary",
    "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml",
    "gz": "application/gzip", "tgz": "application/gzip", "tar": "application/x-tar",
    "zst": "application/zstd", "pem": "application/x-pem-file", "sif": SIF_LAYER,
    "parquet": "application/vnd.apache.parquet", "onnx": "application/onnx",
}  # fmt: skip

IMAGE_MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, SINGULARITY_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = IMAGE_MANIFESTS | INDEXES
IMAGE_CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

# RFC 6838, section 4.2: two restricted names of up to 127 characters.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
GRAMMAR = re.compile(rf"{_NAME}/{_NAME}")
# `.tar`, with how it is packed in Docker's way (`.gzip`) or as a suffix of RFC 6839 (`+gzip`).
_TAR = re.compile(r".*[./+](?:x-)?tar(?:[.+](?P<packed>gzip|zstd|bzip2|xz))?")
_LAYER = re.compile(
    r"application/vnd\.(?:oci\.image\.layer|docker\.image\.rootfs)"
    r"(?P<foreign>\.nondistributable|\.foreign)?\."
)

# Types a browser would run as a page of our own origin.
_ACTIVE = frozenset({HTML, "application/xhtml+xml", "image/svg+xml", "text/xml"})


def of_file(name: str) -> str:
    """Return the media type that a file's name stands for, without parameters."""
    return _OF_ENDING.get(name.rpartition(".")[2].lower(), OCTET_STREAM)


def with_charset(media_type: str) -> str:
    """Return the type as a web server sends it: text is UTF-8."""
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def is_valid(text: str) -> bool:
    """Tell whether `text` is a media type that may be published."""
    return GRAMMAR.fullmatch(text) is not None and text.lower() not in _ACTIVE


def is_tar(media_type: str) -> bool:
    """Tell whether content of this type is a tar, compressed or not."""
    return _TAR.fullmatch(media_type) is not None


def is_filesystem_layer(media_type: str) -> bool:
    """Tell whether this is a layer of an image's file system: a tar, compressed or not."""
    return _LAYER.match(media_type) is not None and is_tar(media_type)


def is_foreign_layer(media_type: str) -> bool:
    """Tell whether this is a layer that may not be passed on (Windows' base layers)."""
    found = _LAYER.match(media_type)
    return found is not None and found["foreign"] is not None


def compression(media_type: str) -> str:
    """Return how a tar is packed: `gzip`, `zstd`, `bzip2`, `xz`; empty for not, or no tar."""
    found = _TAR.fullmatch(media_type)
    return found["packed"] or "" if found is not None else ""
