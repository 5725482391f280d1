"""Layers in another registry, `docker://HOST/NAME`.

Each is held by a small manifest of its own, tagged `layer-<algorithm>-<hex>`:
registries clear away what no manifest names. Clients are sent to the blob
itself, so the registry must give it without a login.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from builder.errors import UsageError
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.reference import Reference
from builder.oci.validate import parse_manifest
from builder.offsite.web import confirm, is_public
from builder.remote.address import is_loopback
from builder.remote.options import RemoteOptions
from builder.remote.registry import RegistryClient
from builder.remote.upload import Uploader

_EMPTY = b"{}"
_TYPE = "application/vnd.static-container-registry.layer.v1"


@dataclass(frozen=True, slots=True)
class RegistryLayers:
    """A repository of another registry that layers are pushed to."""

    host: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the repository for `HOST/NAME`; raises UsageError."""
        host, _, name = text.partition("/")
        reference = Reference.parse(name) if name else None
        if not host or reference is None or reference.tag or reference.digest:
            raise UsageError(f"{text!r} is not a repository", "write docker://HOST/NAME")
        return cls(host, reference.name)

    def url(self, digest: str) -> str:
        """Return where clients get a blob: by plain http on this machine alone."""
        scheme = "http" if is_loopback(self.host.rpartition(":")[0] or self.host) else "https"
        return f"{scheme}://{self.host}/v2/{self.name}/blobs/{digest}"

    def holds(self, digest: str, size: int) -> bool:
        """Tell whether a blob can be had."""
        return is_public(self.url(digest), digest, size)

    def put(self, digest: str, size: int, file: Path) -> None:
        """Push a file, and what holds it there."""
        client = RegistryClient(self.host, RemoteOptions())
        uploader = Uploader(client.repository(self.name))
        layer = Descriptor(mediatype.OCTET_STREAM, Digest(digest), size)
        config = Descriptor(mediatype.OCI_EMPTY, Digest.of(_EMPTY), len(_EMPTY))
        uploader.put_blob(layer, lambda: file.open("rb"))
        uploader.put_blob(config, lambda: io.BytesIO(_EMPTY))
        document = {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_MANIFEST,
            "artifactType": _TYPE,
            "config": config.to_json(),
            "layers": [layer.to_json()],
        }
        holder = parse_manifest(json.dumps(document, separators=(",", ":")).encode())
        uploader.put_manifest(holder, f"layer-{digest.replace(':', '-')}"[:128])
        confirm(self.url(digest), digest, size, client.http.back_off)
