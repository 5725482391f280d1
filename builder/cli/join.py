"""`builder join`: one site from the parts that machines made with `build --shard`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from builder.cli.build import run_build
from builder.cli.options import Common, build_options, common_options


@click.command("join")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True)
@common_options
@build_options
def command(
    *,
    folders: tuple[str, ...],
    common: Common,
    jobs: int,
    strict: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    """Join the shards of a site that 'builder build --shard' wrote.

    Each DIR is a shard, or a folder that contains shards. The result is the
    same as that of a single build with the same content and flags.
    """
    from builder.build.how import How  # noqa: PLC0415 - the commands that build pay for it
    from builder.build.pipeline import Pipeline  # noqa: PLC0415
    from builder.build.shards import Parts  # noqa: PLC0415

    console = common.console
    config = common.config(**flags)
    with closing(Parts([Path(folder) for folder in folders])) as parts:
        how = How(jobs, strict, console.step, parts=parts)
        run_build(Pipeline(config, how), console, verbose=verbose)
