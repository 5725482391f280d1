"""What makes an artifact a web app, and how apps are published.

A web app is an artifact whose config has the app's type; the config says
which folder of the layers is the app's root, and whether unknown paths below
it are the app's own (`spa`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from builder.errors import ContentError, Problem
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.oci.reference import RESERVED
from builder.oci.strictjson import StrictJSONError, loads

CONFIG_TYPE = mediatype.APP_CONFIG
KEEP = 5  # versions that stay unpacked unless the configuration says otherwise
_FILE_ENDINGS = (".html", ".json", ".xml", ".txt")


@dataclass(frozen=True, slots=True)
class AppOptions:
    """One entry of `registry.apps`: a pattern of names, and how its apps are published.

    `keep` is how many versions stay unpacked; `spa` gives unknown paths to
    the app whatever its own config says; `type` is its config's media type. `where` is
    a problem without words at the place that says all this.
    """

    name: str
    keep: int = KEEP
    spa: bool = False
    type: str = CONFIG_TYPE
    where: Problem = field(default=Problem("_config.yml"), compare=False, repr=False)


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

    @property
    def name(self) -> str:
        """What its content is called on a disk: the digest's 64 characters."""
        return self.digest.partition(":")[2]


@dataclass(frozen=True, slots=True)
class App:
    """An unpacked app: the digest of its manifest, and its files by path below its root."""

    manifest: Digest
    config: AppConfig
    files: Mapping[str, AppFile]


def find_app(
    top: Manifest | None,
    child_of: Callable[[Descriptor], Manifest | None],
    config_type: str = CONFIG_TYPE,
) -> Manifest | None:
    """Return the app that a manifest is, or that stands in an index; None when there is none.

    `child_of` gives the manifest of a descriptor in the index.
    """
    if top is None:
        return None
    if not top.is_index:
        return top if top.config and top.config.media_type == config_type else None
    for entry in top.manifests:
        child = child_of(entry)
        if child is None or child.is_index:
            continue
        if (found := find_app(child, child_of, config_type)) is not None:
            return found
    return None


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


def address_fault(name: str, version: str) -> str:
    """Return why an app cannot be published at `/NAME/VERSION/`, or the empty string."""
    for part in (*name.split("/"), version):
        if part.lower().endswith(_FILE_ENDINGS):
            return f"{part!r} would be taken for a file: no part of an app's address ends so"
    if version in RESERVED:
        return f"{version!r} is a reserved name: it is an endpoint of the registry API"
    return ""


def path_fault(path: str) -> str:
    """Return why a path cannot be published, or the empty string."""
    parts = path.split("/")
    if len(path) > 1024 or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        return "is too long"
    if not path.isprintable() or "\\" in path or not _is_text(path):
        return "has characters that are not portable"
    if any(part in ("", ".", "..") for part in parts):
        return "leaves its folder"
    return ""


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
