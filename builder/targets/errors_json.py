"""The answers of a registry to what it does not have, as files that a web server can send.

Source: distribution-spec, "Error Codes".
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from builder.oci.mediatype import OCI_INDEX
from builder.targets.base import SideFile

# File name below `v2/` to code and message. `v2/404.json`, for names, is part of every site.
_ERRORS = {
    "404-manifest.json": ("MANIFEST_UNKNOWN", "no such manifest"),
    "404-blob.json": ("BLOB_UNKNOWN", "no such blob"),
    "400.json": ("DIGEST_INVALID", "this is not a digest"),
    "405.json": ("UNSUPPORTED", "this registry is read-only"),
}


def error_files() -> Iterator[SideFile]:
    """Yield the files, an empty list of referrers among them."""
    for name, (code, message) in _ERRORS.items():
        document = {"errors": [{"code": code, "message": message}]}
        yield _file(name, document)
    empty = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    yield _file("no-referrers.json", empty)


def _file(name: str, document: object) -> SideFile:
    data = json.dumps(document, separators=(",", ":")).encode()
    return SideFile(f"v2/{name}", data, in_site=True)
