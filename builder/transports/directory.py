"""`dir:PATH`: the folder that skopeo's `dir:` writes, every byte as it came.

Source: containers-transports(5). `manifest.json` is the top, blobs are files
named by the hex of their digest, other manifests `<hex>.manifest.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from builder.errors import ContentError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, parse_manifest
from builder.storage.local import open_inside
from builder.transports.base import Entered

_MANIFEST = "manifest.json"


class DirectorySource(Entered):
    """An `ImageSource` over a folder that holds one image."""

    streams = 1
    suggested_tag = ""

    def __init__(self, path: str) -> None:
        self.label = path
        self._folder = Path(path)

    def names(self) -> tuple[str, ...]:
        """Return nothing: the format keeps no names."""
        return ()

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the image; raises ContentError for a folder that is no such copy."""
        raw = self._read(_MANIFEST)
        digest = Digest.of(raw)
        if reference not in ("", digest):
            raise ContentError.at(self.label, f"has no {reference!r}: the format keeps no names")
        try:
            manifest = parse_manifest(raw, allow_foreign=True)
        except ManifestError as error:
            raise error.located(f"{self.label}/{_MANIFEST}") from None
        return Descriptor(manifest.media_type, digest, len(raw))

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return nothing: the format keeps none."""
        del digest
        return ()

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open content; raises FileNotFoundError."""
        encoded = descriptor.digest.encoded
        for name in (encoded, f"{encoded}.manifest.json"):
            try:
                return open_inside(self._folder, name, f"{self.label}/{name}")
            except FileNotFoundError:
                continue
        with open_inside(self._folder, _MANIFEST, f"{self.label}/{_MANIFEST}") as stream:
            if Digest.of(stream.read(MAX_BYTES + 1)) != descriptor.digest:
                raise FileNotFoundError(descriptor.digest)
        return open_inside(self._folder, _MANIFEST, f"{self.label}/{_MANIFEST}")

    def _read(self, name: str) -> bytes:
        label = f"{self.label}/{name}"
        try:
            with open_inside(self._folder, name, label) as stream:
                return stream.read(MAX_BYTES + 1)
        except FileNotFoundError:
            hint = "dir: reads what 'skopeo copy ... dir:PATH' writes"
            raise ContentError.at(label, "is missing from the folder", hint) from None
