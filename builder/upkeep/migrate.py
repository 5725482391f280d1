"""Taking over a registry of the original static kind: its recipes, texts and images.

That registry kept a tag's manifest in front matter, with sizes in KiB, md5
digests and the address of the one image file. What can be fetched is hashed
again and becomes an image that clients can pull; what cannot be stays as it
was, a page and an entry of the friendly API.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder import frontmatter
from builder.errors import BuilderError, ContentError, RemoteError
from builder.oci import mediatype
from builder.oci.reference import Reference, name_fault, tag_fault
from builder.registry.folder import TAGS, CollectionFolder
from builder.registry.legacy import has_manifest, parse_legacy
from builder.registry.model import LegacyLayer, RegistryOptions
from builder.registry.recipe import copy_inputs
from builder.registry.scan import README, scan
from builder.registry.schema import COLLECTION_KEYS
from builder.registry.stage import Stage, judge_collection
from builder.remote.fetch import open_url
from builder.remote.options import RemoteOptions
from builder.transports.artifact import TITLE, Artifact, ArtifactSource, read_piece
from builder.transports.files import SIF_CONFIG, SIF_LAYER
from builder.transports.intake import add_image
from builder.transports.registry_sink import Terms

_MD5 = re.compile(r"(?:md5:)?([a-f0-9]{32})")
_CHUNK = 1 << 20
MAX_IMAGE = 64 << 30  # bytes of one image that are fetched


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of a tag: `converted`, `unreachable`, or `kept` as it was.

    `why` says what kept it from being converted; `digest` is the new manifest's.
    """

    name: str
    tag: str
    state: str
    digest: str = ""
    why: str = ""

    def to_json(self) -> dict[str, str | None]:
        """Return the shape that `builder migrate --json` prints."""
        return {
            "name": self.name,
            "tag": self.tag,
            "state": self.state,
            "digest": self.digest or None,
            "why": self.why or None,
        }


@dataclass(frozen=True, slots=True)
class Migration:
    """Where from, where to, and how: `old` is the old checkout's folder."""

    old: Path
    options: RegistryOptions
    remote: RemoteOptions
    created: str
    cache: Path


def find_tags(migration: Migration) -> list[tuple[str, str]]:
    """Return the names and tags of an old registry; raises ContentError when there is none."""
    base = migration.old
    if not (base / "collections").is_dir():
        hint = "name the folder of a static registry, which holds collections/"
        raise ContentError.at(str(base), "has no collections/", hint)
    found = []
    for name, folder in sorted(scan(base, "collections").folders.items()):
        if folder.is_collection and not name_fault(name):
            tags = CollectionFolder(RegistryOptions(base), name).tags()
            found += [(name, tag) for tag in tags if not tag_fault(tag)]
    return found


def migrate_tag(
    migration: Migration, name: str, tag: str, advance: Callable[[int], None], *, dry_run: bool
) -> Migrated:
    """Take one tag over; what was taken over before is not fetched again.

    Raises ContentError for front matter that cannot be read, LocalError.
    """
    here = CollectionFolder(migration.options, name)
    there = CollectionFolder(RegistryOptions(migration.old), name)
    if (raw := here.raw_manifest(tag)) is not None:
        return Migrated(name, tag, "converted", f"sha256:{hashlib.sha256(raw).hexdigest()}")
    origin = f"{there.origin}/{TAGS}/{tag}/{README}"
    text = there.readme(tag) or ""
    matter = frontmatter.parse(text.encode(), origin)
    if not has_manifest(matter):
        if not dry_run:
            _copy_folder(there, here, tag)
        return Migrated(name, tag, "kept", why="it has a recipe and was never built")
    layers = parse_legacy(matter).layers
    if dry_run:
        return Migrated(name, tag, "kept", why=f"would fetch {len(layers)} files")
    _copy_folder(there, here, tag)
    result = Migrated(name, tag, "kept", why=f"it has {len(layers)} layers, not one")
    if len(layers) == 1:
        try:
            digest = _convert(migration, name, tag, layers[0], advance)
            return Migrated(name, tag, "converted", digest)
        except (RemoteError, _OtherBytesError) as error:
            state = "unreachable" if isinstance(error, RemoteError) else "kept"
            result = Migrated(name, tag, state, why=error.message)
    with Stage(migration.options, here) as stage:
        stage.write_tag(tag, None, text)
        stage.judge(judge_collection)
        stage.commit()
    return result


class _OtherBytesError(BuilderError):
    """What was fetched is not what the old registry had."""


def _convert(
    migration: Migration, name: str, tag: str, layer: LegacyLayer, advance: Callable[[int], None]
) -> str:
    """Fetch an image, check it, and add it under its tag; return the new digest."""
    migration.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="migrate-", dir=migration.cache) as folder:
        path = Path(folder, f"{name.rpartition('/')[2]}_{tag}.sif")
        with open_url(layer.url, migration.remote, named=True) as stream, path.open("wb") as file:
            found = _received(stream, file, advance)
        _check_digest(layer, found)
        with path.open("rb") as stream:
            is_sif = stream.read(64)[32:41] == b"SIF_MAGIC"
        kind = SIF_LAYER if is_sif else mediatype.SINGULARITY_LAYER
        config = SIF_CONFIG if is_sif else mediatype.SINGULARITY_CONFIG
        piece = read_piece(path, str(path), kind, {TITLE: path.name})
        source = ArtifactSource(Artifact([piece], config=(config, b"{}")), f"{name}:{tag}")
        added = add_image(
            migration.options, source, source.resolve(), Reference(name, tag),
            Terms(created=migration.created),
        )  # fmt: skip
    return str(added.digest)


def _received(stream: BinaryIO, file: BinaryIO, advance: Callable[[int], None]) -> dict[str, str]:
    """Write a download to a file; return its digests by algorithm."""
    hashes = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        if total > MAX_IMAGE:
            raise RemoteError(f"the image is over {MAX_IMAGE} bytes")
        file.write(chunk)
        advance(len(chunk))
        for item in hashes.values():
            item.update(chunk)
    return {name: item.hexdigest() for name, item in hashes.items()}


def _check_digest(layer: LegacyLayer, found: dict[str, str]) -> None:
    """Raise _OtherBytesError when a digest that can be checked is another."""
    old = _MD5.fullmatch(layer.digest)
    algorithm, _, encoded = ("md5", "", old[1]) if old else layer.digest.partition(":")
    if algorithm in found and found[algorithm] != encoded:
        message = f"{layer.url} now has other bytes: {algorithm}:{found[algorithm]}"
        raise _OtherBytesError(message)


def _copy_folder(there: CollectionFolder, here: CollectionFolder, tag: str) -> None:
    """Copy a collection's text and a tag's recipe, as far as they are not here."""
    if here.readme() is None:
        here.write_readme(_clean(there))
    source, target = there.path / TAGS / tag, here.path / TAGS / tag
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_inputs(source, f"{there.origin}/{TAGS}/{tag}", target)
        if not any(target.iterdir()):
            target.rmdir()


def _clean(there: CollectionFolder) -> str:
    """Return a collection's README with the keys that are known here, and its whole text."""
    text = there.readme() or ""
    matter = frontmatter.parse(text.encode(), f"{there.origin}/{README}")
    keys = dict(_kept(matter.keys))
    keys.setdefault("title", there.name.rpartition("/")[2])
    head = "".join(f"{key}: {_scalar(value)}\n" for key, value in keys.items())
    return f"---\n{head}---\n{matter.body}"


def _kept(keys: object) -> Iterator[tuple[str, str]]:
    if isinstance(keys, dict):
        for key in ("title", "description", "license", "url", "source", "documentation"):
            value = keys.get(key)
            if key in COLLECTION_KEYS and isinstance(value, str | int) and value:
                yield key, str(value)


def _scalar(text: str) -> str:
    plain = " ".join(text.split())
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
