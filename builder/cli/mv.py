"""`builder mv`: another name for a collection."""

from __future__ import annotations

from dataclasses import replace

import click

from builder.build.judge import judge_of
from builder.cli.options import Common, common_options, dry_run_option
from builder.errors import UsageError
from builder.oci.reference import Reference
from builder.registry.edit import lock
from builder.registry.move import move_collection


@click.command("mv")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--force", is_flag=True, help="Rename even if tags are immutable.")
@dry_run_option
@common_options
def command(*, old: str, new: str, force: bool, dry_run: bool, common: Common) -> None:
    """Rename a collection.

    Its pages redirect from the old name, but clients can no longer pull by it.
    Collections below it must be renamed first.
    """
    console = common.console
    before, after = Reference.parse(old), Reference.parse(new)
    if before.tag or before.digest or after.tag or after.digest:
        raise UsageError(f"{old} {new}: mv renames whole collections", "write OLD NEW without tags")
    if before.name == after.name:
        raise UsageError(f"{new}: is already its name")
    config = common.config()
    # A name that is in use again is no old name any more.
    redirects = {key: to for key, to in config.redirects.items() if key != after.name}
    judge = judge_of(replace(config, redirects=redirects))
    with lock(config.registry):
        move_collection(
            config.registry, before.name, after.name,
            judge=judge, force=force, dry_run=dry_run,
        )  # fmt: skip
    verb = "would move" if dry_run else "moved"
    text = f"{verb} {before.name} to {after.name}; pulls by the old name will fail"
    console.result({"old": before.name, "new": after.name, "dryRun": dry_run}, text)
