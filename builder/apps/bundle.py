"""A folder with a static website as an artifact: the same bytes on any machine and day."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from builder.apps.model import CONFIG_TYPE, AppConfig, path_fault
from builder.errors import ContentError, UsageError
from builder.layers.pack import Item, Packed, list_folder, pack
from builder.oci import mediatype
from builder.oci.content import ContentReader, read_verified
from builder.oci.descriptor import TITLE, Descriptor
from builder.oci.digest import Digest
from builder.oci.validate import ManifestError, parse_manifest
from builder.transports.artifact import Artifact, ArtifactSource, Piece


@dataclass(frozen=True, slots=True)
class BundleOptions:
    """How a folder is bundled; `root` is the folder's name inside the layers."""

    root: str
    config_type: str = CONFIG_TYPE
    spa: bool = False
    split: bool = False
    index: bool = False


class BundleSource:
    """An `ImageSource` over a folder; what is packed waits in `spool` and is then forgotten.

    `hidden` are the names that were left out.
    """

    streams = 1
    suggested_tag = ""

    def __init__(self, folder: Path, label: str, options: BundleOptions, spool: Path) -> None:
        self.label = label
        self.options = options
        self._folder = folder
        if not folder.is_dir() or folder.is_symlink():
            raise ContentError.at(label, "is not a folder", "name the folder of a built website")
        if fault := path_fault(options.root):
            raise UsageError(f"--root-dir {options.root}: {fault}")
        self._items, self.hidden = list_folder(folder, label)
        if not any(item.path == "index.html" for item in self._items):
            raise ContentError.at(label, "has no index.html", "is it the folder of a built site?")
        spool.mkdir(parents=True, exist_ok=True)
        self._spool = tempfile.TemporaryDirectory(prefix="bundle-", dir=spool)
        try:
            pieces = [piece for piece, _ in self.pieces(f"{options.root}/")]
            config = json.dumps(
                AppConfig(options.root, options.spa).to_json(), separators=(",", ":")
            )
            kind = (options.config_type, config.encode())
            self._artifact = ArtifactSource(Artifact(pieces, "", kind), label)
        except BaseException:
            self._spool.cleanup()
            raise
        self._index = _index(self._artifact.resolve()) if options.index else b""

    def pieces(self, prefix: str) -> Iterator[tuple[Piece, Packed]]:
        """Yield the folder as layers whose paths begin with `prefix`."""
        for number, items in enumerate(self._parts()):
            path = Path(self._spool.name, f"{len(prefix)}-{number}.tar.gz")
            with path.open("wb") as out:
                packed = pack(self._folder, items, out, self.label, prefix)
            first = items[0].path.partition("/")[0] if number else ""
            stem = f"{self.options.root.rpartition('/')[2]}{'-' * bool(first)}{first}"
            # Without a title, 'oras pull' would write nothing.
            title = {TITLE: f"{stem}.tar.gz"}
            descriptor = Descriptor(mediatype.OCI_LAYER_GZIP, packed.digest, packed.size, title)
            yield Piece(descriptor, path, self.label), packed

    def _parts(self) -> list[list[Item]]:
        """Return what goes into each layer: all, or what is at the top and then each folder."""
        if not self.options.split:
            return [self._items]
        parts: dict[str, list[Item]] = {"": []}
        for item in self._items:
            first, slash, _ = item.path.partition("/")
            key = first if slash or item.is_folder else ""
            parts.setdefault(key, []).append(item)
        return [items for items in parts.values() if items]

    def names(self) -> tuple[str, ...]:
        """Return nothing: the user names the bundle."""
        return ()

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the artifact, or the index around it."""
        if not self._index:
            return self._artifact.resolve(reference)
        return Descriptor(mediatype.OCI_INDEX, Digest.of(self._index), len(self._index))

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return nothing."""
        return self._artifact.referrers(digest)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open content; raises FileNotFoundError."""
        if self._index and descriptor.digest == Digest.of(self._index):
            return io.BytesIO(self._index)
        return self._artifact.open(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Forget what was packed."""
        self._spool.cleanup()


def _index(artifact: Descriptor) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_INDEX,
        "manifests": [artifact.to_json()],
    }
    return json.dumps(document, separators=(",", ":")).encode()


class RunnableSource:
    """An image of `base` with the app's files on top, below `web_root`.

    The base's config is kept; its history and layers grow by the app's.
    """

    streams = 1
    suggested_tag = ""

    def __init__(
        self, bundle: BundleSource, base: ContentReader, top: Descriptor, web_root: str
    ) -> None:
        self.label = bundle.label
        self._base = base
        pieces = list(bundle.pieces(f"{web_root.strip('/')}/"))
        config_type, config, layers = _grown(base, top, self.label, pieces)
        artifact = Artifact([piece for piece, _ in pieces], "", (config_type, config))
        document = json.loads(artifact.manifest())
        document["layers"] = [*layers, *document["layers"]]
        self._manifest = json.dumps(document, separators=(",", ":")).encode()
        self._own = ArtifactSource(artifact, self.label)

    def names(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the image."""
        del reference
        return Descriptor(mediatype.OCI_MANIFEST, Digest.of(self._manifest), len(self._manifest))

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return nothing."""
        return self._own.referrers(digest)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open the image's own content, or the base's."""
        if descriptor.digest == Digest.of(self._manifest):
            return io.BytesIO(self._manifest)
        try:
            return self._own.open(descriptor)
        except FileNotFoundError:
            return self._base.open(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep nothing open: bundle and base close themselves."""


def _grown(
    base: ContentReader, top: Descriptor, label: str, pieces: Sequence[tuple[Piece, Packed]]
) -> tuple[str, bytes, list[dict[str, Any]]]:
    """Return the config of the base with more layers, and the base's own layers."""
    try:
        manifest = parse_manifest(read_verified(base, top, label), top.media_type)
    except ManifestError as error:
        raise error.located(label, top.digest) from None
    if manifest.config is None or not manifest.is_image:
        raise ContentError.at(label, "the base is not an image that can run")
    config = json.loads(read_verified(base, manifest.config, label))
    config["rootfs"]["diff_ids"] += [str(packed.diff_id) for _, packed in pieces]
    history = config.setdefault("history", [])
    history += [{"created_by": "builder bundle --runnable", "comment": label} for _ in pieces]
    raw = json.dumps(config, ensure_ascii=False, separators=(",", ":")).encode()
    layers = [layer.to_json() for layer in manifest.layers]
    return mediatype.OCI_CONFIG, raw, layers
