"""`builder untag`: a tag goes, its content stays until `gc`."""

from __future__ import annotations

import click

from builder.cli.options import Console, common_options, load_config
from builder.errors import UsageError
from builder.oci.reference import Reference
from builder.registry.edit import lock, remove_tag


@click.command("untag")
@click.argument("reference", metavar="NAME:TAG")
@common_options
def command(
    *,
    reference: str,
    source: str,
    configs: str | None,
    quiet: bool,
    as_json: bool,
    no_color: bool,
) -> None:
    """Remove a tag; its content stays until gc.

    A tag with a recipe becomes pending: only its manifest and README go.
    """
    console = Console(quiet=quiet, as_json=as_json, no_color=no_color)
    wanted = Reference.parse(reference)
    if not wanted.tag:
        raise UsageError(f"{reference}: names no tag", "write NAME:TAG")
    options = load_config(source=source, configs=configs).registry
    with lock(options):
        pending = remove_tag(options, wanted.name, wanted.tag)
    note = "; its recipe stays, so it is pending" if pending else ""
    value = {"name": wanted.name, "tag": wanted.tag, "pending": pending}
    console.result(value, f"untagged {wanted}{note}")
