"""Manifests in front matter, as the original static registry wrote them.

The bytes are fixed by this project's contract: UTF-8 JSON, two spaces of
indent, keys in the order schemaVersion, mediaType, config, layers, and a
final newline. `size` is published as written.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any

from builder.errors import ContentError, Problem
from builder.frontmatter import FrontMatter
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, DigestError, looks_like_digest
from builder.oci.manifest import Manifest
from builder.registry.model import LegacyLayer, LegacyManifest
from builder.registry.schema import legacy_problems, whole

# The digest of the manifest in front matter, in the image that was made of what it names: as
# long as they fit, the friendly API answers with the old one.
CONVERTED_FROM = "vnd.static-container-registry.converted-from"
_BARE_HEX = re.compile(r"[a-f0-9]{32,128}")
_MD5 = re.compile(r"(?:md5:)?([a-f0-9]{32})")
_MD5_BASE64 = re.compile(r"md5:([A-Za-z0-9+/]{22}==)")  # as Google's storage writes it


def has_manifest(matter: FrontMatter) -> bool:
    """Tell whether the front matter of a tag describes a manifest."""
    return "layers" in matter.keys


def parse_legacy(matter: FrontMatter) -> LegacyManifest:
    """Return the manifest that front matter describes; raises ContentError with all faults."""
    problems = [*legacy_problems(matter), *_digest_problems(matter)]
    if problems:
        raise ContentError(problems)
    keys = matter.keys
    layers = tuple(
        LegacyLayer(
            str(layer["digest"]),
            whole(layer["size"]),
            str(layer.get("mediaType") or mediatype.SINGULARITY_LAYER),
            str(layer["url"]),
        )
        for layer in keys["layers"]
    )
    size = whole(keys.get("size") or 0)
    config = {"mediaType": mediatype.SINGULARITY_CONFIG, "size": size}
    if keys.get("digest"):
        config["digest"] = str(keys["digest"])
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.SINGULARITY_MANIFEST,
        "config": config,
        "layers": [_layer_json(layer) for layer in layers],
    }
    raw = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    return LegacyManifest(raw, mediatype.SINGULARITY_MANIFEST, layers, size)


def md5_of(digest: str) -> str:
    """Return the md5 that a layer's digest is, in hex, or the empty string."""
    if (found := _MD5.fullmatch(digest)) is not None:
        return found[1]
    coded = _MD5_BASE64.fullmatch(digest)
    return base64.b64decode(coded[1]).hex() if coded is not None else ""


def is_made_from(manifest: Manifest, legacy: LegacyManifest) -> bool:
    """Tell whether an image was made of what a manifest in front matter names."""
    return manifest.annotations.get(CONVERTED_FROM) == Digest.of(legacy.raw)


def _layer_json(layer: LegacyLayer) -> dict[str, Any]:
    return {
        "mediaType": layer.media_type,
        "size": layer.size,
        "digest": layer.digest,
        "urls": [layer.url],
    }


def _digest_problems(matter: FrontMatter) -> Iterable[Problem]:
    layers = matter.keys.get("layers")
    places: list[tuple[tuple[str | int, ...], object]] = [(("digest",), matter.keys.get("digest"))]
    for number, layer in enumerate(layers if isinstance(layers, list) else ()):
        if isinstance(layer, dict):
            places.append((("layers", number, "digest"), layer.get("digest")))
            kind = layer.get("mediaType", mediatype.SINGULARITY_LAYER)
            if not isinstance(kind, str) or not mediatype.is_valid(kind):
                line = matter.line("layers", number, "mediaType")
                yield Problem(matter.path, line, "mediaType: may not be published")
    for at, digest in places:
        if digest is None:
            continue
        text = str(digest)
        known = looks_like_digest(text) or md5_of(text)
        if not known and not _BARE_HEX.fullmatch(text):
            yield Problem(matter.path, matter.line(*at), f"digest: {text!r} is not a digest")


def oci_manifest(legacy: LegacyManifest) -> Manifest | None:
    """Return the manifest for OCI clients, or None when a digest is not sha256 or sha512."""
    document = json.loads(legacy.raw)
    try:
        config = Descriptor.from_json(document["config"])
        layers = tuple(Descriptor.from_json(layer) for layer in document["layers"])
    except (DigestError, KeyError):
        return None
    return Manifest(legacy.raw, legacy.media_type, Digest.of(legacy.raw), config, layers)
