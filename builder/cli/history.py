"""`builder history`: what tags pointed to, from git or from a published log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from builder.cli.options import Common, common_options, remote_options
from builder.errors import ContentError, printable
from builder.oci.reference import Reference
from builder.registry.history import history
from builder.remote.options import RemoteOptions

if TYPE_CHECKING:
    from builder.publish.moves import Move


@click.command("history")
@click.argument("reference", metavar="NAME[:TAG]")
@click.option(
    "--from",
    "place",
    metavar="DIR-or-URL",
    default="",
    help="Read the log of a published site instead of git.",
)
@remote_options
@common_options
def command(*, reference: str, place: str, remote: RemoteOptions, common: Common) -> None:
    """Show what tags pointed to over time, newest first, from git.

    With --from, read the log of tag moves of a published site instead.
    """
    wanted = Reference.parse(reference)
    if place:
        _tell_log(common, list(_logged(place, wanted, remote)), wanted)
    else:
        _tell_git(common, wanted)


def _tell_git(common: Common, wanted: Reference) -> None:
    options = common.config().registry
    moves = list(history(options, wanted.name, wanted.tag))
    if not moves:
        hint = "is it committed, and spelled as in 'builder list'?"
        raise ContentError.at(str(wanted), "git has no history of this tag", hint)
    width = max(len(move.tag) for move in moves)
    lines = [
        f"{move.date[:10]}  {move.tag:{width}}  {move.digest or '(removed)':71}  "
        f"{move.commit[:10]}  {move.author}"
        for move in moves
    ]
    common.console.result([asdict(move) for move in moves], "\n".join(lines))


def _logged(place: str, wanted: Reference, remote: RemoteOptions) -> Iterator[Move]:
    """Yield the moves that a site's log has, newest first; raises ContentError for no log."""
    from builder.publish.moves import HEAD, read_log  # noqa: PLC0415 - only for a published log
    from builder.remote.http import Http  # noqa: PLC0415
    from builder.verify.places import open_place, read_small  # noqa: PLC0415

    site = open_place(place, Http(remote))
    try:
        log = read_log(partial(read_small, site))
    except FileNotFoundError:
        hint = "'builder publish' writes one with each release"
        raise ContentError.at(f"{place}/{HEAD}", "there is no log of tag moves", hint) from None
    for move in reversed(log.moves):
        if move.name == wanted.name and wanted.tag in ("", move.tag):
            yield move


def _tell_log(common: Common, moves: list[Move], wanted: Reference) -> None:
    if not moves:
        hint = "is it spelled as in 'builder list', and was it published?"
        raise ContentError.at(str(wanted), "the log has no such tag", hint)
    width = max(len(printable(move.tag)) for move in moves)
    lines = [
        f"{move.time[:10]}  {printable(move.tag):{width}}  {move.after or '(removed)':71}  "
        f"{f'from {move.before}' if move.before else 'new'}"
        for move in moves
    ]
    rows = [
        {"tag": move.tag, "digest": move.after, "date": move.time, "before": move.before}
        for move in moves
    ]
    common.console.result(rows, "\n".join(lines))
