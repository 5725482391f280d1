"""`builder history`: what tags pointed to, from git."""

from __future__ import annotations

from dataclasses import asdict

import click

from builder.cli.completing import references
from builder.cli.options import Common, common_options
from builder.errors import ContentError
from builder.oci.reference import Reference
from builder.registry.history import history


@click.command("history")
@click.argument("reference", metavar="NAME[:TAG]", shell_complete=references)
@common_options
def command(*, reference: str, common: Common) -> None:
    """Show what tags pointed to over time, newest first, from git."""
    wanted = Reference.parse(reference)
    options = common.config().registry
    moves = list(history(options, wanted.name, wanted.tag))
    if not moves:
        hint = "is it committed, and spelled as in 'builder list'?"
        raise ContentError.at(str(wanted), "git knows of no such tag", hint)
    width = max(len(move.tag) for move in moves)
    lines = [
        f"{move.date[:10]}  {move.tag:{width}}  {move.digest or '(removed)':71}  "
        f"{move.commit[:10]}  {move.author}"
        for move in moves
    ]
    common.console.result([asdict(move) for move in moves], "\n".join(lines))
