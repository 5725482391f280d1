"""`builder untag`: a tag goes, its content stays until `gc`."""

from __future__ import annotations

import click

from builder.cli.options import Common, common_options, dry_run_option
from builder.errors import UsageError
from builder.oci.reference import Reference
from builder.registry.edit import lock, remove_tag


@click.command("untag")
@click.argument("reference", metavar="NAME:TAG")
@click.option("--force", is_flag=True, help="Remove a tag even if it is immutable.")
@dry_run_option
@common_options
def command(*, reference: str, force: bool, dry_run: bool, common: Common) -> None:
    """Remove a tag; its content stays until gc.

    A tag with a recipe becomes pending: only its manifest and README go.
    """
    console = common.console
    wanted = Reference.parse(reference)
    if not wanted.tag:
        raise UsageError(f"{reference}: names no tag", "write NAME:TAG")
    options = common.config().registry
    with lock(options):
        pending = remove_tag(options, wanted.name, wanted.tag, force=force, dry_run=dry_run)
    note = "; its recipe stays, so it is pending" if pending else ""
    value = {"name": wanted.name, "tag": wanted.tag, "pending": pending, "dryRun": dry_run}
    verb = "would untag" if dry_run else "untagged"
    console.result(value, f"{verb} {wanted}{note}")
