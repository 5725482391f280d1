"""`oci:DIR[:REF]` as a place to write to: a new image layout, or one more image in an old one."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

from builder.errors import ContentError, LocalError
from builder.oci import mediatype
from builder.oci.content import is_held
from builder.oci.graph import Node
from builder.oci.layout import INDEX, MARKER, REF_NAME, ImageLayout
from builder.oci.manifest import Manifest
from builder.oci.strictjson import MAX_BYTES, StrictJSONError, loads
from builder.storage import LocalStorage
from builder.storage.local import make_folder, open_inside, write_durably
from builder.transports.base import Entered
from builder.transports.sink import Opener, keep

_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


class LayoutSink(Entered):
    """An `ImageSink` over a folder; `index.json` is written last, and other entries stay.

    `label` names the folder in messages.
    """

    streams = 2

    def __init__(self, folder: Path, label: str) -> None:
        self.label = label
        self._folder = folder
        self._storage = LocalStorage(folder, label)
        self._fresh: list[str] = []
        self._is_new = not folder.exists()
        self._entries = self._read()
        self._before = [dict(entry) for entry in self._entries]

    def has(self, node: Node) -> bool:
        """Tell whether the blob is there with the right bytes."""
        return is_held(self._storage, node.descriptor)

    def put(self, node: Node, opener: Opener) -> None:
        """Write a blob."""
        self._note(node.descriptor.digest)
        keep(self._storage, node, opener)

    def put_manifest(self, manifest: Manifest, name: str = "") -> bool:
        """Write a manifest; what has a name or a subject becomes an entry of the index."""
        descriptor = manifest.bare
        if not is_held(self._storage, descriptor):
            self._note(manifest.digest)
            self._storage.put(manifest.digest, io.BytesIO(manifest.raw))
        entry = descriptor.to_json()
        if name:
            entry["annotations"] = {REF_NAME: name}
            kept = [item for item in self._entries if _name(item) != name]
        elif manifest.subject is not None:
            kept = [item for item in self._entries if _name(item) or item != entry]
        else:
            return False
        changed = entry not in self._entries
        self._entries = [*kept, entry] if changed else self._entries
        return changed

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Write the index, or take back what was written."""
        if error is None:
            self._finish()
            return
        if self._is_new:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        for digest in self._fresh:
            self._storage.delete(digest)
        self._storage.sweep()

    def _finish(self) -> None:
        document = {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_INDEX,
            "manifests": self._entries,
        }
        try:
            make_folder(self._folder)
            if not (self._folder / MARKER).exists():
                write_durably(self._folder / MARKER, _VERSION)
            if self._entries != self._before or not (self._folder / INDEX).exists():
                raw = json.dumps(document, separators=(",", ":")).encode()
                write_durably(self._folder / INDEX, raw)
        except OSError as error:
            raise LocalError.of(error, self.label) from error

    def _note(self, digest: str) -> None:
        if self._storage.size(digest) is None:
            self._fresh.append(digest)

    def _read(self) -> list[dict[str, Any]]:
        """Return the entries that are there, as they stand; raises ContentError for no layout."""
        if self._is_new or (self._folder.is_dir() and not any(self._folder.iterdir())):
            return []
        if not self._folder.is_dir() or not (self._folder / MARKER).exists():
            hint = "name a new folder, or an image layout"
            raise ContentError.at(self.label, "is there and is not an image layout", hint)
        ImageLayout(self._folder, self.label).entries()
        with open_inside(self._folder, INDEX, f"{self.label}/{INDEX}") as stream:
            raw = stream.read(MAX_BYTES + 1)
        try:
            document = loads(raw, what=INDEX)
        except StrictJSONError as error:
            raise ContentError.at(f"{self.label}/{INDEX}", error.message) from None
        return list(document["manifests"])


def _name(entry: dict[str, Any]) -> str:
    return str((entry.get("annotations") or {}).get(REF_NAME, ""))
