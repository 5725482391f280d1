"""`builder rm`: a collection or a manifest goes."""

from __future__ import annotations

import click

from builder.cli.options import Common, common_options, dry_run_option
from builder.errors import ContentError
from builder.oci.digest import Digest
from builder.oci.reference import Reference
from builder.registry.edit import lock, remove_collection, remove_manifest, tags_of
from builder.registry.model import RegistryOptions

_AFTER = "; 'builder gc' lists blobs that are no longer needed"


@click.command("rm")
@click.argument("reference", metavar="NAME[:TAG|@DIGEST]")
@click.option("--force", is_flag=True, help="Remove it even if it is immutable or has other tags.")
@dry_run_option
@common_options
def command(*, reference: str, force: bool, dry_run: bool, common: Common) -> None:
    """Remove a collection, a tag or a manifest.

    NAME:TAG and NAME@DIGEST remove the manifest and every tag that points to it.
    Layers stay until gc. Collections below NAME stay.
    """
    console = common.console
    wanted = Reference.parse(reference)
    options = common.config().registry
    with lock(options):
        digest = wanted.digest or _digest(options, wanted, force=force)
        if digest is None:
            remove_collection(options, wanted.name, force=force, dry_run=dry_run)
            tags: tuple[str, ...] = ()
        else:
            tags = remove_manifest(options, wanted.name, digest, force=force, dry_run=dry_run)
    what = f"{wanted.name}@{digest}" if digest else wanted.name
    note = f" (tags: {', '.join(tags)})" if tags else ""
    value = {
        "name": wanted.name,
        "digest": str(digest) if digest else None,
        "tags": list(tags),
        "dryRun": dry_run,
    }
    verb, after = ("would remove", "") if dry_run else ("removed", _AFTER)
    console.result(value, f"{verb} {what}{note}{after}")


def _digest(options: RegistryOptions, wanted: Reference, *, force: bool) -> Digest | None:
    """Return what a tag points to, or None for a whole collection."""
    if not wanted.tag:
        return None
    digest, tags = tags_of(options, wanted.name, wanted.tag)
    others = [tag for tag in tags if tag != wanted.tag]
    if others and not force:
        message = f"{wanted} is also tagged {', '.join(others)}"
        hint = f"'builder untag {wanted}' removes one tag; --force removes them all"
        raise ContentError.at(str(wanted), message, hint)
    return digest
