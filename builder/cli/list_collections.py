"""`builder list`: what is there."""

from __future__ import annotations

import click

from builder.cli.options import Common, common_options
from builder.cli.tables import TAG_HEAD, table, tag_lines
from builder.pages import plan
from builder.registry.model import Collection, Row
from builder.theme.filters import filesize
from builder.upkeep.check import load_all

_HEAD = ("NAME", "NEWEST", "TAGS", "SIZE", "UPDATED", "")


@click.command("list")
@click.argument("prefix", metavar="[PREFIX]", default="")
@click.option("--tags", is_flag=True, help="List tags, newest first.")
@common_options
def command(prefix: str, *, tags: bool, common: Common) -> None:
    """List the collections: newest version, tags, size and date.

    With PREFIX, only those whose names begin with it: `builder list vanessa/`.
    """
    console = common.console
    config = common.config(allow_missing=True)
    problems, loaded = load_all(config.registry)
    collections = []
    for item in loaded:
        problems += item.problems
        if item.collection is not None and item.collection.name.startswith(prefix):
            collections.append(item.collection)
    rows = [plan.row(item, {}) for item in collections]
    if not collections:
        text = f"no name begins with {prefix}" if prefix else "none yet: see 'builder add --help'"
    elif tags:
        text = table([TAG_HEAD, *(line for item in collections for line in tag_lines(item))])
    else:
        text = table([_HEAD, *map(_line, rows)])
    console.result([_json(*pair) for pair in zip(collections, rows, strict=True)], text)
    console.warn_all(problem for problem in problems if not problem.warning)


def _line(row: Row) -> tuple[str, ...]:
    said = {"deprecated": row.deprecated, "yanked": row.all_yanked, "hidden": row.hidden}
    note = ", ".join(word for word, is_so in said.items() if is_so)
    size = filesize(row.size) if row.size else ""
    return row.name, row.newest or "-", str(len(row.tags)), size, row.updated, note


def _json(collection: Collection, row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "title": collection.title,
        "description": collection.keys.get("description"),
        "newest": row.newest or None,
        "size": row.size or None,
        "updated": row.updated or None,
        "deprecated": row.deprecated or None,
        "hidden": row.hidden,
        "tags": [
            {
                "name": tag.name,
                "digest": str(tag.manifest.digest) if tag.manifest else None,
                "created": tag.created or None,
                "built": tag.built or None,
                "yanked": tag.yanked or None,
                "state": tag.recipe.state if tag.recipe else "current",
                "available": tag.has_manifest,
            }
            for tag in collection.tags
        ],
    }
