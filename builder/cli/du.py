"""`builder du`: what takes how much room."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from builder.cli.options import Common, blobs_option, common_options, open_bucket
from builder.errors import UsageError, counted
from builder.pages import listing, plan
from builder.registry.model import RegistryOptions
from builder.theme.filters import filesize
from builder.upkeep.check import load_all
from builder.upkeep.usage import RegistryUsage, bucket_usage, usage


@click.command("du")
@click.argument("names", metavar="[NAME...]", nargs=-1)
@blobs_option("Also count layers in the bucket of registry.blobs.")
@common_options
def command(*, names: tuple[str, ...], blobs: bool, common: Common) -> None:
    """Show how much space collections use, alone and shared with others.

    The total counts the files below collections/ and in the content store.
    Blobs that nothing needs are listed separately; 'builder gc' finds them. The
    last line is the total that the home page shows. With NAME, only those
    collections are shown.
    """
    console = common.console
    options = common.config().registry
    found = usage(options)
    if missing := set(names) - {row.name for row in found.rows}:
        raise UsageError(f"{min(missing)}: there is no such collection", "see 'builder list'")
    rows = [row for row in found.rows if not names or row.name in names]
    rows.sort(key=lambda row: (-row.total, row.name))
    value: dict[str, Any] = {
        "names": [
            {"name": row.name, "own": row.own, "unique": row.unique, "shared": row.shared,
             "total": row.total}
            for row in rows
        ],
    }  # fmt: skip
    lines = [
        _line(row.total, row.name + f" ({filesize(row.shared)} shared)" * bool(row.shared))
        for row in rows
    ]
    if not names:
        whole, more = _whole(found, options)
        value |= whole
        lines += more
    if blobs:
        there = bucket_usage(options, open_bucket(options))
        value["bucket"] = asdict(there)
        lines.append(_line(there.total, f"in {there.place}, {there.total} bytes"))
        if there.unreachable:
            text = "of it not needed by anything here: 'builder gc --blobs'"
            lines.append(_line(there.unreachable, text))
    console.result(value, "\n".join(lines))


def _whole(found: RegistryUsage, options: RegistryOptions) -> tuple[dict[str, Any], list[str]]:
    """Return what the whole registry takes, and what its home page says of it."""
    loaded = [item.collection for item in load_all(options)[1]]
    shown = listing.visible([plan.row(item, {}) for item in loaded if item is not None])
    home = listing.totals(shown)
    lines = [_line(found.total, f"in all, {found.total} bytes")]
    if found.unreachable:
        lines.append(_line(found.unreachable, "of it not needed by anything: 'builder gc'"))
    counts = f"{counted(home.collections, 'collection')}, {counted(home.tags, 'tag')}"
    lines.append(_line(home.bytes, f"in layers and manifests: {counts} on the home page"))
    value = {
        "total": found.total,
        "collections": found.collections,
        "store": found.store,
        "shared": found.shared,
        "unreachable": found.unreachable,
        "home": asdict(home),
    }
    return value, lines


def _line(size: int, text: str) -> str:
    return f"{filesize(size):>10}  {text}"
