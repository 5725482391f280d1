"""`builder build`: source folder to site."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from builder.cli.console import Console
from builder.cli.options import Common, build_options, common_options, engine_option
from builder.errors import counted, printable
from builder.write.writer import Report

if TYPE_CHECKING:
    from builder.build.pipeline import Pipeline
    from builder.build.shards import Shard


@click.command("build")
@common_options
@click.option("--shard", metavar="I/N", default="", help="Build shard I of N, for 'builder join'.")
@build_options
@engine_option
def command(
    *, common: Common, jobs: int, strict: bool, verbose: bool, engine: str, shard: str, **flags: Any
) -> None:
    """Build the site from the source folder.

    If there is any problem, nothing is written and the last site stays. A build
    writes only files that changed.
    """
    from builder.build.how import How  # noqa: PLC0415 - the commands that build pay for it
    from builder.build.pipeline import Pipeline  # noqa: PLC0415
    from builder.write.engine import open_engine  # noqa: PLC0415

    console = common.console
    config = common.config(**flags)
    part = _part(shard)
    if part and not flags["destination"]:
        name = f"{config.destination.name}.{part.number}-of-{part.total}"
        config = replace(config, destination=config.destination.with_name(name))
    workers = open_engine(engine, config.cache / "engine")
    how = How(jobs, strict, console.step, workers, part)
    run_build(Pipeline(config, how), console, verbose=verbose)


def _part(text: str) -> Shard | None:
    if not text:
        return None
    from builder.build.shards import Shard  # noqa: PLC0415 - half of a start's time

    return Shard.parse(text)


def run_build(pipeline: Pipeline, console: Console, *, verbose: bool) -> None:
    """Build, and say what there is to say of it before and after."""
    from builder.theme.find import replaces_sheet  # noqa: PLC0415 - as heavy as a build

    config = pipeline.config
    shown = config.target.capabilities.name
    if not console.quiet and not console.as_json:
        click.echo(printable(f"target {shown}, destination {config.destination}"))
        sys.stdout.flush()
    if verbose:
        console.say(f"configuration: {', '.join(map(str, config.files)) or 'none'}")
        for note in config.pages.capabilities.notes:
            console.say(f"note: {note}")
    elif not config.pages.typed and not console.as_json:
        console.say(
            f"note: {shown} sends no media types for manifests; -V shows which clients can pull"
        )
    if not config.address.url and not console.as_json:
        console.say("note: no feeds and no sitemap are written, as 'url' is not set")
    if not console.as_json and replaces_sheet(config.source):
        console.say(
            "note: assets/style.css replaces the theme's style sheet; assets/custom.css adds to it"
        )
    began = time.monotonic()
    report = pipeline.build()
    console.warn_all(report.warnings)
    text = f"{summary(report)} in {time.monotonic() - began:.2f} s"
    console.result(_json(report), "" if console.quiet else text)


def summary(report: Report) -> str:
    """Return one line about a build."""
    if not (report.outputs or report.removed):
        return "nothing changed"
    gone = f", {report.removed:,} removed" if report.removed else ""
    return f"{report.written:,} of {counted(report.outputs, 'file')} written{gone}"


def _json(report: Report) -> dict[str, object]:
    return {
        "outputs": report.outputs,
        "written": report.written,
        "removed": report.removed,
        "warnings": [problem.to_json() for problem in report.warnings],
    }
