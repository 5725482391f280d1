"""Changing what a registry holds: tagging, untagging, removing.

Call with `lock` held; `transports.intake` brings images in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from builder import frontmatter
from builder.errors import ContentError, one_of
from builder.oci.digest import Digest
from builder.oci.reference import cosign_tags
from builder.registry.folder import TAGS, CollectionFolder
from builder.registry.legacy import has_manifest
from builder.registry.model import RegistryOptions
from builder.registry.scan import README
from builder.registry.stage import OUTGOING, Judge, Stage, judge_collection
from builder.storage import LocalStorage
from builder.storage.local import sweep_folder
from builder.storage.lock import lock as lock_file


@contextmanager
def lock(options: RegistryOptions, *, seconds: float = 0) -> Iterator[None]:
    """Keep other runs from changing the registry.

    Raises LockedError when one does for longer than `seconds`.
    """
    path = options.source / ".builder-cache" / "registry.lock"
    with lock_file(path, "this registry", seconds=seconds):
        LocalStorage(options.source / options.store, options.store).sweep()
        for folder in ("", options.collections, options.store, OUTGOING):
            sweep_folder(options.source / folder)
        yield


def copy_tag(
    options: RegistryOptions,
    name: str,
    old: str,
    new: str,
    *,
    created: str,
    judge: Judge = judge_collection,
    force: bool = False,
    dry_run: bool = False,
) -> tuple[Digest | None, Digest | None]:
    """Let the tag `new` point to what `old` points to.

    Returns its digest and the one that it had before, None for none. Raises
    ContentError when `old` is not there or has no manifest, when `new` may not
    move, or the judge refuses it.
    """
    folder = _existing(options, name)
    folder.check_tag(new)
    raw, readme = folder.raw_manifest(old), folder.readme(old) or ""
    path = f"{folder.origin}/{TAGS}/{old}"
    if raw is None:
        # A manifest in front matter is the README; there is nothing else to copy.
        if not has_manifest(frontmatter.parse(readme.encode(), f"{path}/{README}")):
            raise ContentError.at(path, "the tag has no manifest", "see 'builder list'")
        moved = (folder.readme(new) or "") != readme
    else:
        moved = raw != folder.raw_manifest(new)
    is_new = new not in folder.tags()
    if moved and not is_new and not force:
        folder.refuse_immutable(new, change="point to another image")
    before = folder.raw_manifest(new)
    if (moved or is_new) and not dry_run:
        text = readme if raw is None else (folder.readme(new) or "")
        text = frontmatter.set_key(text, "created", created)
        # What lies elsewhere is as it was: nothing new comes in.
        with Stage(replace(options, allow_missing=True), folder) as stage:
            stage.write_tag(new, raw, text)
            stage.judge(judge)
            stage.commit()
    return _digest(raw), _digest(before)


def yank_tag(
    options: RegistryOptions,
    name: str,
    tag: str,
    reason: str,
    *,
    judge: Judge = judge_collection,
    dry_run: bool = False,
) -> list[str]:
    """Write into a tag's README why nobody should take it; an empty reason takes that away.

    Returns the other tags with the same digest. Raises ContentError when the
    tag is not there.
    """
    folder = _existing(options, name)
    tags = folder.tags()
    if tag not in tags:
        hint = one_of(tag, tags, "its tags")
        raise ContentError.at(folder.origin, f"{name} has no tag {tag!r}", hint)
    folder.check_tag(tag)
    raw, readme = folder.raw_manifest(tag), folder.readme(tag) or ""
    same = [item for item in tags if item != tag and raw and folder.raw_manifest(item) == raw]
    text = frontmatter.drop_key(readme, "yanked")
    if reason:
        text = frontmatter.set_key(text, "yanked", json.dumps(reason, ensure_ascii=False))
    if not dry_run and text != readme:
        with Stage(replace(options, allow_missing=True), folder) as stage:
            stage.write_tag(tag, raw, text)
            stage.judge(judge)
            stage.commit()
    return same


def remove_tag(
    options: RegistryOptions, name: str, tag: str, *, force: bool = False, dry_run: bool = False
) -> bool:
    """Remove a tag; its content stays until gc. Tell whether it stays as a pending recipe."""
    folder = _existing(options, name)
    if tag not in folder.tags():
        hint = one_of(tag, folder.tags(), "its tags")
        raise ContentError.at(folder.origin, f"{name} has no tag {tag!r}", hint)
    if not force:
        folder.refuse_immutable(tag, change="go")
    if dry_run:
        return folder.has_recipe(tag)
    stays = folder.drop_tag(tag)
    folder.keep_name()
    return stays


def remove_manifest(
    options: RegistryOptions,
    name: str,
    digest: Digest,
    *,
    force: bool = False,
    dry_run: bool = False,
) -> tuple[str, ...]:
    """Remove a manifest and every tag that points to it; return those tags.

    What refers to it goes with it, and so do tags such as `sha256-<hex>.sig`
    that are named after its digest. Raises ContentError when it is not
    there, or when an index that stays needs it.
    """
    folder = _existing(options, name)
    manifests = dict(folder.manifests())
    tags = tuple(tag for tag, manifest in manifests.items() if manifest.digest == digest)
    tags += cosign_tags((digest,), manifests)
    for tag, manifest in manifests.items():
        if any(child.digest == digest for child in manifest.manifests):
            message = f"{digest} is part of the index that the tag {tag!r} points to"
            raise ContentError.at(folder.origin, message, "remove that tag first")
    if not tags and not folder.holds_manifest(digest):
        raise ContentError.at(folder.origin, f"{name} has no manifest {digest}")
    if not force:
        folder.refuse_immutable(*tags, change="go")
    if dry_run:
        return tags
    for tag in tags:
        folder.drop_tag(tag)
    for gone in (digest, *folder.referrers(digest)):
        folder.blobs.delete(gone)
    folder.prune()
    folder.keep_name()
    return tags


def tags_of(options: RegistryOptions, name: str, tag: str) -> tuple[Digest, tuple[str, ...]]:
    """Return the digest that a tag points to, and every tag that does; raises ContentError."""
    folder = _existing(options, name)
    manifests = {item: manifest.digest for item, manifest in folder.manifests()}
    if tag not in manifests:
        message = f"{name} has no tag {tag!r} with a manifest"
        raise ContentError.at(folder.origin, message, "see 'builder list'")
    digest = manifests[tag]
    return digest, tuple(item for item, other in manifests.items() if other == digest)


def remove_collection(
    options: RegistryOptions, name: str, *, force: bool = False, dry_run: bool = False
) -> None:
    """Remove a collection; collections below it stay, layers in the content store go with gc."""
    folder = CollectionFolder(options, name)
    sweep_folder(folder.path.parent)
    folder.require()
    if not force:
        folder.refuse_immutable(*folder.tags(), change="go")
    if not dry_run:
        folder.drop()


def _digest(raw: bytes | None) -> Digest | None:
    return None if raw is None else Digest.of(raw)


def _existing(options: RegistryOptions, name: str) -> CollectionFolder:
    folder = CollectionFolder(options, name)
    folder.require()
    folder.check()
    sweep_folder(folder.path / TAGS)
    return folder
