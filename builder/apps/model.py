"""What makes an artifact a web app, and how apps are published.

A web app is an artifact whose config has the app's type; the config says
which folder of the layers is the app's root, and whether unknown paths below
it are the app's own (`spa`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from builder.errors import ContentError
from builder.oci.manifest import Manifest
from builder.oci.strictjson import StrictJSONError, loads

CONFIG_TYPE = "application/vnd.alembic.app.config.v1+json"
KEEP = 5  # versions that stay unpacked unless the configuration says otherwise

# What browsers need to be told; `nosniff` forbids them to guess.
_TYPES = {
    "html": "text/html", "htm": "text/html", "css": "text/css", "js": "text/javascript",
    "mjs": "text/javascript", "json": "application/json", "map": "application/json",
    "webmanifest": "application/manifest+json", "svg": "image/svg+xml", "png": "image/png",
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "avif": "image/avif", "ico": "image/x-icon", "woff": "font/woff", "woff2": "font/woff2",
    "ttf": "font/ttf", "otf": "font/otf", "wasm": "application/wasm", "txt": "text/plain",
    "md": "text/markdown", "xml": "application/xml", "pdf": "application/pdf",
    "csv": "text/csv", "mp4": "video/mp4", "webm": "video/webm", "mp3": "audio/mpeg",
    "ogg": "audio/ogg", "wav": "audio/wav", "zip": "application/zip",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AppOptions:
    """One entry of `registry.apps`: a pattern of names, and how many versions stay unpacked."""

    name: str
    keep: int = KEEP


@dataclass(frozen=True, slots=True)
class AppConfig:
    """An app's config: `root` is a path in its layers, empty for all of them."""

    root: str = ""
    spa: bool = False

    def to_json(self) -> dict[str, str | bool]:
        """Return the JSON shape that the artifact carries."""
        document: dict[str, str | bool] = {"rootDir": self.root}
        return {**document, "spa": True} if self.spa else document


@dataclass(frozen=True, slots=True)
class AppFile:
    """One file of an app: size in bytes, digest as `sha256:<hex>`."""

    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class App:
    """An unpacked app: its files by path below its root."""

    config: AppConfig
    files: Mapping[str, AppFile]


def is_app(manifest: Manifest | None) -> bool:
    """Tell whether a manifest is a web app's."""
    config = manifest.config if manifest is not None else None
    return config is not None and config.media_type == CONFIG_TYPE


def options_for(name: str, listed: Sequence[AppOptions]) -> AppOptions | None:
    """Return what the configuration says of a collection; None when it is not listed."""
    return next((item for item in listed if fnmatchcase(name, item.name)), None)


def parse_config(raw: bytes, label: str) -> AppConfig:
    """Return an app's config; raises ContentError for what is none."""
    try:
        document = loads(raw, what="the app's config")
    except StrictJSONError as error:
        raise ContentError.at(label, error.message) from None
    found = document if isinstance(document, dict) else {}
    root, spa = found.get("rootDir", ""), found.get("spa", False)
    if not isinstance(root, str) or not isinstance(spa, bool):
        raise ContentError.at(label, "rootDir must be a text and spa true or false")
    root = root.strip("/").removeprefix("./")
    if root in (".", ""):
        return AppConfig("", spa)
    if fault := path_fault(root):
        raise ContentError.at(label, f"rootDir {fault}")
    return AppConfig(root, spa)


def path_fault(path: str) -> str:
    """Return why a path cannot be published, or the empty string."""
    parts = path.split("/")
    if len(path) > 1024 or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        return "is too long"
    if not path.isprintable() or "\\" in path or not _is_text(path):
        return "has characters that do not travel"
    if any(part in ("", ".", "..") for part in parts):
        return "leaves its folder"
    return ""


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def media_type_of(path: str) -> str:
    """Return the media type of an app's file."""
    return _TYPES.get(path.rpartition(".")[2].lower(), "application/octet-stream")
