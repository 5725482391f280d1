"""`builder offload`: layers go where `registry.blobs` says."""

from __future__ import annotations

from dataclasses import asdict

import click

from builder.cli.options import Common, common_options
from builder.errors import counted
from builder.registry.edit import lock
from builder.upkeep.offload import offload


@click.command("offload")
@click.option("--dry-run", is_flag=True, help="Show what would be moved.")
@common_options
def command(*, dry_run: bool, common: Common) -> None:
    """Move layers from _blobs/ to the place that registry.blobs names.

    Each layer that a tag needs is uploaded, downloaded again as a client would,
    and only then removed here.
    """
    console = common.console
    options = common.config().registry
    verb = "would offload" if dry_run else "offloaded"
    done = []
    with lock(options):
        for blob in offload(options, dry_run=dry_run):
            done.append(blob)
            console.say(f"{verb} {blob.digest} {blob.size} bytes to {blob.url}")
    total = sum(blob.size for blob in done)
    value = {"dryRun": dry_run, "bytes": total, "blobs": [asdict(blob) for blob in done]}
    console.result(value, f"{verb} {counted(len(done), 'blob')}, {counted(total, 'byte')}")
