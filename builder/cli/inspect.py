"""`builder inspect`: one collection or one tag, in full."""

from __future__ import annotations

import sys
from typing import Any

import click

from builder.cli import inert
from builder.cli.inspect_files import show_files
from builder.cli.inspect_text import collection_text, tag_text
from builder.cli.options import Common, common_options
from builder.errors import ContentError, UsageError, did_you_mean, one_of
from builder.oci.reference import Reference
from builder.pages import versions
from builder.registry.load import load_collection
from builder.registry.model import Collection, Tag
from builder.registry.scan import scan
from builder.storage.cache import Cache


@click.command("inspect")
@click.argument("reference", metavar="NAME[:TAG]")
@click.option("--raw", is_flag=True, help="Print the manifest's exact bytes.")
@click.option("--files", is_flag=True, help="List the files in the image (needs 'add --files').")
@click.option("--file", "path", metavar="PATH", help="Print one file from the image.")
@click.option(
    "--platform",
    metavar="OS/ARCH",
    help="With --files or --file: which platform's image of an index.",
)
@common_options
def command(
    *,
    reference: str,
    raw: bool,
    files: bool,
    path: str | None,
    platform: str | None,
    common: Common,
) -> None:
    """Show a collection or a tag in detail."""
    console = common.console
    wanted = Reference.parse(reference)
    config = common.config(allow_missing=True)
    if not (config.registry.source / config.registry.collections / wanted.name).is_dir():
        names = scan(config.source, config.registry.collections).folders
        hint = did_you_mean(wanted.name, names) or "see 'builder list'"
        raise ContentError.at(wanted.name, "there is no such collection", hint)
    loaded = load_collection(config.registry, wanted.name, Cache(None))
    if loaded.collection is None:
        raise ContentError(loaded.problems)
    collection = loaded.collection
    if not wanted.tag and wanted.digest is None:
        if raw:
            raise UsageError("--raw needs a tag: NAME:TAG")
        console.result(collection_json(collection), inert(collection_text(collection)))
        return
    tag = collection.tag(wanted.tag)
    if tag is None:
        known = versions.newest_first(item.name for item in collection.tags)
        message = f"{wanted.name} has no tag {wanted.tag!r}"
        raise ContentError.at(str(wanted), message, one_of(wanted.tag, known, "its tags"))
    if raw:
        body = tag.manifest.raw if tag.manifest else tag.legacy.raw if tag.legacy else b""
        sys.stdout.buffer.write(body)
        return
    if files or path:
        show_files(console, collection, tag, path, platform)
        return
    console.result(tag_json(collection, tag), inert(tag_text(collection, tag)))


def collection_json(collection: Collection) -> dict[str, Any]:
    """Return a collection as `--json` shows it."""
    return {
        "name": collection.name,
        "title": collection.title,
        "keys": dict(collection.keys),
        "tags": [tag_json(collection, tag) for tag in collection.tags],
    }


def tag_json(collection: Collection, tag: Tag) -> dict[str, Any]:
    """Return a tag as `--json` shows it; sizes are bytes."""
    manifest = tag.manifest
    return {
        "tag": tag.name,
        "digest": str(manifest.digest) if manifest else None,
        "mediaType": manifest.media_type if manifest else None,
        "size": collection.image_size(manifest) if manifest else None,
        "platforms": [str(item) for item in collection.platforms(manifest)] if manifest else [],
        "layers": [layer.to_json() for layer in manifest.layers] if manifest else [],
        "yanked": tag.yanked or None,
        "created": tag.created or None,
        "built": tag.built or None,
        "state": tag.recipe.state if tag.recipe else "current",
        "available": tag.available,
    }
