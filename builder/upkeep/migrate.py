"""Taking over a registry of the original static kind: its recipes, texts and images.

That registry kept a tag's manifest in front matter, with sizes in KiB, md5
digests and the address of the one image file. The front matter stays, so that
the friendly API answers as it did. What can be fetched is hashed again and
becomes an image that clients can pull besides; what cannot be stays a page and
an entry of that API.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder import frontmatter
from builder.errors import BuilderError, RemoteError
from builder.oci import mediatype
from builder.oci.descriptor import TITLE
from builder.oci.digest import Digest
from builder.oci.reference import Reference, name_fault, tag_fault
from builder.registry.folder import TAGS, CollectionFolder
from builder.registry.legacy import CONVERTED_FROM, has_manifest, md5_of, parse_legacy
from builder.registry.model import LegacyManifest, RegistryOptions
from builder.registry.recipe import copy_inputs
from builder.registry.scan import README
from builder.registry.stage import Stage, judge_collection
from builder.remote.fetch import open_url
from builder.remote.options import RemoteOptions
from builder.transports.artifact import Artifact, ArtifactSource, read_piece
from builder.transports.intake import add_image
from builder.transports.registry_sink import Terms
from builder.upkeep.original import CONFIG, Original, cleaned, settings, with_settings

_CHUNK = 1 << 20
MAX_IMAGE = 64 << 30  # bytes of one image that are fetched


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of a tag: `converted`, `unreachable`, `kept` as it was, or `left out`.

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
    """Where from, where to, and how; without `fetch` no image is asked for.

    `cloned` tells that the registry is a clone of the original, where all
    that is not taken over is there as well.
    """

    original: Original
    options: RegistryOptions
    remote: RemoteOptions
    created: str
    cache: Path
    fetch: bool = True
    cloned: bool = False


def carry_settings(original: Original, source: Path, *, over: bool) -> None:
    """Take the old title, description, people, keywords and address over into `source`.

    `over` tells that the registry there has nothing of its own to keep. Raises
    ContentError for an old `_config.yml` that cannot be read.
    """
    path = source / CONFIG
    before = path.read_text() if path.exists() else ""
    if (after := with_settings(before, settings(original.folder), over=over)) != before:
        path.write_text(after)


def migrate_collection(migration: Migration, name: str) -> None:
    """Take the text of a collection over, as far as it is not here.

    Raises ContentError for front matter that cannot be read, LocalError.
    """
    there = migration.original.collection(name)
    here = CollectionFolder(migration.options, name)
    old = there.readme()
    if here.readme() not in (None, old):
        return
    if old is None:
        here.keep_name()
    elif (text := cleaned(old, f"{there.origin}/{README}", name, tag=False)) != here.readme():
        here.write_readme(text)


def migrate_tag(
    migration: Migration, name: str, tag: str, advance: Callable[[int], None], *, dry_run: bool
) -> Migrated:
    """Take one tag over; what was taken over before is not fetched again.

    Raises ContentError for front matter that cannot be read, LocalError.
    """
    if fault := name_fault(name) or tag_fault(tag):
        return Migrated(name, tag, "left out", why=fault)
    here = CollectionFolder(migration.options, name)
    there = migration.original.collection(name)
    if (raw := here.raw_manifest(tag)) is not None:
        return Migrated(name, tag, "converted", Digest.of(raw))
    origin = f"{there.origin}/{TAGS}/{tag}/{README}"
    text = there.readme(tag)
    matter = frontmatter.parse((text or "").encode(), origin)
    if not has_manifest(matter):
        return _unbuilt(migration, there, here, tag, dry_run=dry_run)
    legacy = parse_legacy(matter)
    if dry_run:
        return Migrated(name, tag, "kept", why=f"would fetch {len(legacy.layers)} files")
    _copy_recipe(there, here, tag)
    kept = cleaned(text or "", origin, name, tag=True)
    if kept != here.readme(tag):
        with Stage(migration.options, here) as stage:
            stage.write_tag(tag, None, kept)
            stage.judge(judge_collection)
            stage.commit()
    return _fetched(migration, name, tag, legacy, advance)


def _fetched(
    migration: Migration,
    name: str,
    tag: str,
    legacy: LegacyManifest,
    advance: Callable[[int], None],
) -> Migrated:
    """Let clients pull what a manifest in front matter names, where it can still be had."""
    if not migration.fetch:
        return Migrated(name, tag, "kept", why="nothing was fetched")
    if len(legacy.layers) != 1:
        return Migrated(name, tag, "kept", why=f"it has {len(legacy.layers)} layers, not one")
    try:
        digest = _convert(migration, name, tag, legacy, advance)
    except (RemoteError, _OtherBytesError) as error:
        state = "unreachable" if isinstance(error, RemoteError) else "kept"
        return Migrated(name, tag, state, why=error.message)
    return Migrated(name, tag, "converted", digest)


def _unbuilt(
    migration: Migration,
    there: CollectionFolder,
    here: CollectionFolder,
    tag: str,
    *,
    dry_run: bool,
) -> Migrated:
    """Take a tag over that has no manifest: its recipe, if it has one."""
    if not there.has_recipe(tag):
        if migration.cloned and not dry_run:
            here.drop_tag(tag)
        return Migrated(here.name, tag, "left out", why="it has no recipe and no manifest")
    if not dry_run:
        _copy_recipe(there, here, tag)
    return Migrated(here.name, tag, "kept", why="it has a recipe and was never built")


class _OtherBytesError(BuilderError):
    """What was fetched is not what the old registry had."""


def _convert(
    migration: Migration, name: str, tag: str, old: LegacyManifest, advance: Callable[[int], None]
) -> str:
    """Fetch an image, check it, and add it under its tag; return the new digest."""
    layer = old.layers[0]
    migration.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="migrate-", dir=migration.cache) as folder:
        path = Path(folder, f"{name.rpartition('/')[2]}_{tag}.sif")
        with open_url(layer.url, migration.remote, named=True) as stream, path.open("wb") as file:
            found = _received(stream, file, advance)
        _check_digest(layer.digest, layer.url, found)
        with path.open("rb") as stream:
            is_sif = stream.read(64)[32:41] == b"SIF_MAGIC"
        kind = mediatype.SIF_LAYER if is_sif else mediatype.SINGULARITY_LAYER
        config = mediatype.SIF_CONFIG if is_sif else mediatype.SINGULARITY_CONFIG
        piece = read_piece(path, str(path), kind, {TITLE: path.name})
        marked = {CONVERTED_FROM: str(Digest.of(old.raw))}
        made = Artifact([piece], config=(config, b"{}"), annotations=marked)
        source = ArtifactSource(made, f"{name}:{tag}")
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


def _check_digest(digest: str, url: str, found: dict[str, str]) -> None:
    """Raise _OtherBytesError when a digest that can be checked is another."""
    algorithm, _, encoded = digest.partition(":")
    if old := md5_of(digest):
        algorithm, encoded = "md5", old
    if algorithm in found and found[algorithm] != encoded:
        raise _OtherBytesError(f"{url} now has other bytes: {algorithm}:{found[algorithm]}")


def _copy_recipe(there: CollectionFolder, here: CollectionFolder, tag: str) -> None:
    """Copy what a tag is made from, as far as it is not here."""
    source, target = there.path / TAGS / tag, here.path / TAGS / tag
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    copy_inputs(source, f"{there.origin}/{TAGS}/{tag}", target)
    if not any(target.iterdir()):
        target.rmdir()
