"""`builder gc`: what nothing needs any more."""

from __future__ import annotations

import click

from builder.audit.gc import delete, unreachable
from builder.cli.options import Console, common_options, load_config
from builder.registry.edit import lock


@click.command("gc")
@click.option("--delete", "really", is_flag=True, help="Delete them; without it they are listed.")
@click.option("--dry-run", is_flag=True, help="Only list them, which is the default.")
@common_options
def command(
    *,
    really: bool,
    dry_run: bool,
    source: str,
    configs: str | None,
    quiet: bool,
    as_json: bool,
    no_color: bool,
) -> None:
    """Find blobs that nothing needs; remove them with --delete.

    Needed is what a tag reaches, and every referrer of that.
    """
    console = Console(quiet=quiet, as_json=as_json, no_color=no_color)
    options = load_config(source=source, configs=configs).registry
    deleting = really and not dry_run
    with lock(options):
        found = unreachable(options)
        if deleting:
            delete(options, found)
    total = sum(blob.size for blob in found)
    verb = "deleted" if deleting else "unreachable:"
    lines = [f"{blob.path} {blob.size} bytes" for blob in found]
    lines.append(f"{verb} {len(found)} blobs, {total} bytes")
    if found and not deleting:
        lines.append("'builder gc --delete' deletes them")
    value = {
        "deleted": deleting,
        "bytes": total,
        "blobs": [{"path": blob.path, "digest": blob.digest, "size": blob.size} for blob in found],
    }
    console.result(value, "\n".join(lines))
