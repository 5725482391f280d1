"""`builder list`: what is there."""

from __future__ import annotations

import click

from builder.cli.options import Common, common_options
from builder.registry.model import Collection
from builder.upkeep.check import load_all


@click.command("list")
@common_options
def command(*, common: Common) -> None:
    """List the collections and their tags."""
    console = common.console
    config = common.config(allow_missing=True)
    problems, loaded = load_all(config.registry)
    rows, lines = [], []
    for item in loaded:
        problems += item.problems
        if item.collection is not None:
            rows.append(_row(item.collection))
            tags = " ".join(tag.name for tag in item.collection.tags) or "(no tags)"
            lines.append(f"{item.collection.name}  {tags}")
    console.result(rows, "\n".join(lines))
    console.warn_all(problem for problem in problems if not problem.warning)


def _row(collection: Collection) -> dict[str, object]:
    return {
        "name": collection.name,
        "title": collection.title,
        "description": collection.keys.get("description"),
        "tags": [
            {
                "name": tag.name,
                "digest": str(tag.manifest.digest) if tag.manifest else None,
                "state": tag.recipe.state if tag.recipe else "current",
                "available": tag.has_manifest,
            }
            for tag in collection.tags
        ],
    }
