"""`builder tag`: one more tag for an image that is here."""

from __future__ import annotations

import click

from builder.build.judge import judge_of
from builder.cli.options import Common, common_options, dry_run_option
from builder.errors import UsageError
from builder.oci.reference import Reference, tag_fault
from builder.registry.clock import now
from builder.registry.edit import copy_tag, lock


@click.command("tag")
@click.argument("reference", metavar="NAME:OLD")
@click.argument("new", metavar="NEW")
@click.option("--force", is_flag=True, help="Move NEW even if it is immutable.")
@dry_run_option
@common_options
def command(*, reference: str, new: str, force: bool, dry_run: bool, common: Common) -> None:
    """Add another tag to an image.

    If NEW exists, it moves. Both tags then have the same digest.
    """
    console = common.console
    old = Reference.parse(reference)
    if not old.tag:
        raise UsageError(f"{reference}: names no tag", "write NAME:OLD NEW")
    name, colon, tag = new.rpartition(":")
    if colon and name != old.name:
        raise UsageError(f"{new}: a tag stays in its collection", f"write {old.name}:OLD NEW")
    if fault := tag_fault(tag):
        raise UsageError(f"{new}: {fault}")
    config = common.config()
    options = config.registry
    with lock(options):
        digest, before = copy_tag(
            options, old.name, old.tag, tag,
            created=now(), judge=judge_of(config), force=force, dry_run=dry_run,
        )  # fmt: skip
    moved = before if before != digest else None
    value = {
        "name": old.name,
        "tag": tag,
        "digest": str(digest) if digest else None,
        "movedFrom": str(moved) if moved else None,
        "dryRun": dry_run,
    }
    verb = "would tag" if dry_run else "tagged"
    note = f", moved from {moved}" if moved else ""
    text = f"{verb} {old.name}:{tag} {digest or '(manifest in front matter)'}{note}"
    console.result(value, text)
