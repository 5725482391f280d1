"""`builder du`: what takes how much room."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from builder.cli.options import (
    Common,
    blobs_option,
    common_options,
    open_bucket,
)
from builder.errors import UsageError, counted
from builder.pages import listing, plan
from builder.theme.filters import filesize
from builder.upkeep.check import load_all
from builder.upkeep.usage import bucket_usage, usage


@click.command("du")
@click.argument("names", metavar="[NAME...]", nargs=-1)
@blobs_option("Also count what is in the bucket of registry.blobs.")
@common_options
def command(
    *,
    names: tuple[str, ...],
    blobs: bool,
    common: Common,
) -> None:
    """Show how many bytes collections take: alone, and shared with others.

    The total counts the files below collections/ and in the content store.
    What nothing needs is listed separately; 'builder gc' finds it. The last
    line is what the home page says of the collections it lists.
    """
    console = common.console
    options = common.config().registry
    found = usage(options)
    rows = [row for row in found.rows if not names or row.name in names]
    if missing := set(names) - {row.name for row in rows}:
        raise UsageError(f"{min(missing)}: there is no such collection", "see 'builder list'")
    rows.sort(key=lambda row: (-row.total, row.name))
    loaded = [item.collection for item in load_all(options)[1]]
    shown = listing.visible([plan.row(item, {}) for item in loaded if item is not None])
    home = listing.totals(shown)
    value: dict[str, Any] = {
        "total": found.total,
        "collections": found.collections,
        "store": found.store,
        "shared": found.shared,
        "unreachable": found.unreachable,
        "home": asdict(home),
        "names": [
            {"name": row.name, "own": row.own, "unique": row.unique, "shared": row.shared,
             "total": row.total}
            for row in rows
        ],
    }  # fmt: skip
    lines = [
        f"{filesize(row.total):>10}  {row.name}"
        + (f" ({filesize(row.shared)} shared)" * bool(row.shared))
        for row in rows
    ]
    lines.append(f"{filesize(found.total):>10}  in all, {found.total} bytes")
    if found.unreachable:
        lines.append(f"{filesize(found.unreachable):>10}  of it is needed by nothing: 'builder gc'")
    counts = f"{counted(home.collections, 'collection')}, {counted(home.tags, 'tag')}"
    lines.append(f"{filesize(home.bytes):>10}  in layers and manifests: {counts} on the home page")
    if blobs:
        there = bucket_usage(options, open_bucket(options))
        value["bucket"] = asdict(there)
        lines.append(f"{filesize(there.total):>10}  in {there.place}, {there.total} bytes")
        if there.unreachable:
            lost = f"{filesize(there.unreachable):>10}  of it is needed by nothing here"
            lines.append(f"{lost}: 'builder gc --blobs'")
    console.result(value, "\n".join(lines))
