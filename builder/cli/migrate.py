"""`builder migrate`: a registry of the original static kind becomes one of this kind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from builder.cli.options import Common, common_options, remote_options
from builder.errors import ContentError, Problem, printable
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.remote.options import RemoteOptions
from builder.upkeep.migrate import Migrated, Migration, find_tags, migrate_tag


@click.command("migrate")
@click.argument("folder", metavar="DIR")
@click.option("--dry-run", is_flag=True, help="Say what there is, fetch and change nothing.")
@remote_options
@common_options
@click.pass_context
def command(
    context: click.Context,
    *,
    folder: str,
    dry_run: bool,
    insecure: bool,
    ca: str,
    common: Common,
) -> None:
    """Take over an original static registry from the checkout DIR.

    Images that can still be fetched are hashed again and can then be pulled;
    the others stay what they were. Running it again goes on where it was.
    """
    console = common.console
    options = common.config().registry
    cache = options.source / ".builder-cache"
    migration = Migration(Path(folder), options, RemoteOptions(insecure, ca), now(), cache)
    done: list[Migrated] = []
    problems: list[Problem] = []
    with lock(options):
        for name, tag in find_tags(migration):
            try:
                with console.progress(1 << 40, f"{name}:{tag}") as advance:
                    result = migrate_tag(migration, name, tag, advance, dry_run=dry_run)
            except ContentError as error:
                problems += error.problems
                continue
            done.append(result)
            console.say(_line(result))
    counts = Counter(item.state for item in done)
    text = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    console.result([item.to_json() for item in done], text or "no tags")
    if problems:
        raise ContentError(problems)
    if counts["unreachable"]:
        context.exit(4)


def _line(item: Migrated) -> str:
    why = f": {item.why}" if item.why else ""
    return printable(f"{item.state:11} {item.name}:{item.tag} {item.digest}".rstrip() + why)
