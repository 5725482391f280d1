"""`builder gc`: what nothing needs any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from builder.cli.options import Common, blobs_option, common_options, open_bucket
from builder.errors import counted
from builder.registry.edit import lock
from builder.upkeep.gc import Unreachable, delete, needs_of_all, unreachable_offsite


@click.command("gc")
@click.option("--delete", "really", is_flag=True, help="Delete the blobs that are listed.")
@click.option("--dry-run", is_flag=True, help="Only list the blobs (the default).")
@blobs_option("Also look into the bucket of registry.blobs.")
@click.option(
    "--older-than",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="With --blobs: keep what was written in the last DAYS.",
)
@common_options
def command(*, really: bool, dry_run: bool, blobs: bool, older_than: int, common: Common) -> None:
    """Find blobs that nothing needs; remove them with --delete.

    A blob is needed if a tag leads to it, directly, through an index or as a
    referrer. In a bucket, use a prefix for each registry: gc does not know what
    other registries need.
    """
    console = common.console
    options = common.config().registry
    deleting = really and not dry_run
    bucket = open_bucket(options) if blobs else None
    with lock(options):
        here = needs_of_all(options).unreachable
        far: tuple[Unreachable, ...] = ()
        if bucket is not None:
            before = datetime.now(UTC) - timedelta(days=older_than)
            far = unreachable_offsite(options, bucket, before)
        if deleting:
            delete(options, here)
        if deleting and bucket is not None:
            for blob in far:
                bucket.delete(blob.digest)
    found = (*here, *far)
    total = sum(blob.size for blob in found)
    verb = "deleted" if deleting else "unreachable:"
    lines = [f"{blob.path} {blob.size} bytes" for blob in found]
    lines.append(f"{verb} {counted(len(found), 'blob')}, {counted(total, 'byte')}")
    if found and not deleting:
        lines.append("'builder gc --delete' deletes them")
    value = {
        "deleted": deleting,
        "bytes": total,
        "blobs": [{"path": blob.path, "digest": blob.digest, "size": blob.size} for blob in found],
    }
    console.result(value, "\n".join(lines))
