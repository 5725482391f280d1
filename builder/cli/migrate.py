"""`builder migrate`: a registry of the original static kind becomes one of this kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from builder.cli.console import Console
from builder.cli.options import Common, common_options, remote_options
from builder.errors import ContentError, Problem, counted, printable
from builder.oci.reference import name_fault
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.remote.options import RemoteOptions
from builder.upkeep.history import clone_with_history
from builder.upkeep.migrate import (
    Migrated,
    Migration,
    carry_settings,
    migrate_collection,
    migrate_tag,
)
from builder.upkeep.original import CONFIG, Original, find_original


@click.command("migrate")
@click.argument("folder", metavar="DIR")
@click.option(
    "--history", is_flag=True, help="Clone DIR into a new folder, and keep its git history."
)
@click.option("--no-fetch", is_flag=True, help="Download no images; keep every tag as it is.")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be imported; download and change nothing."
)
@remote_options
@common_options
@click.pass_context
def command(
    context: click.Context,
    *,
    folder: str,
    history: bool,
    no_fetch: bool,
    dry_run: bool,
    remote: RemoteOptions,
    common: Common,
) -> None:  # fmt: skip
    """Import a registry in the original static format from its checkout DIR.

    Collections can be at its root or below collections/; other files are not
    imported. Images that can still be downloaded are verified and become
    pullable. Running it again continues where it stopped.
    """
    console = common.console
    original = find_original(Path(folder))
    problems: list[Problem] = []
    if history and not dry_run:
        commit = clone_with_history(original, Path(common.source))
        console.say(f"moved the collections below collections/ in commit {commit}")
        Path(common.source, CONFIG).unlink(missing_ok=True)  # its keys are Jekyll's
        _settings(original, Path(common.source), problems, over=True)
    options = common.config().registry
    cache = options.source / ".builder-cache"
    migration = Migration(
        original, options, remote, now(), cache, fetch=not no_fetch, cloned=history
    )
    if original.left_out:
        console.say(
            printable(f"left out, as they are not collections: {', '.join(original.left_out)}")
        )
    with lock(options):
        if not (dry_run or history):
            over = not _has_collections(migration)
            _settings(original, options.source, problems, over=over)
        done = list(_migrate(console, migration, problems, dry_run=dry_run))
    counts = Counter(item.state for item in done)
    text = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    console.result([item.to_json() for item in done], text or "no tags")
    if problems:
        came = sum(count for state, count in counts.items() if state != "left out")
        again = f"{counted(came, 'tag')} imported; fix the problems, then run it again"
        raise ContentError(problems, again if came else "nothing was changed")
    if counts["unreachable"]:
        context.exit(4)


def _has_collections(migration: Migration) -> bool:
    folder = migration.options.source / migration.options.collections
    return any(path.is_dir() for path in folder.glob("*"))


def _settings(original: Original, source: Path, problems: list[Problem], *, over: bool) -> None:
    try:
        carry_settings(original, source, over=over)
    except ContentError as error:
        problems += error.problems


def _migrate(
    console: Console, migration: Migration, problems: list[Problem], *, dry_run: bool
) -> Iterator[Migrated]:
    """Take every collection over, tag by tag; one that is broken stops no other."""
    for name in migration.original.collections:
        try:
            if not dry_run and not name_fault(name):
                migrate_collection(migration, name)
        except ContentError as error:
            problems += error.problems
        for tag in migration.original.collection(name).tags():
            try:
                with console.progress(1 << 40, f"{name}:{tag}") as advance:
                    result = migrate_tag(migration, name, tag, advance, dry_run=dry_run)
            except ContentError as error:
                problems += error.problems
                result = Migrated(name, tag, "left out", why=error.problems[0].message)
            console.say(_line(result))
            yield result


def _line(item: Migrated) -> str:
    why = f": {item.why}" if item.why else ""
    return printable(f"{item.state:11} {item.name}:{item.tag} {item.digest}".rstrip() + why)
