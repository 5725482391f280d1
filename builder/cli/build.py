"""`builder build`: source folder to site."""

from __future__ import annotations

import sys
import time

import click

from builder.cli.options import Common, build_options, common_options, engine_option
from builder.errors import counted
from builder.write.writer import Report


@click.command("build")
@common_options
@build_options
@engine_option
def command(
    *,
    common: Common,
    destination: str,
    baseurl: str | None,
    url: str | None,
    target: str,
    drafts: bool,
    allow_missing: bool,
    strict: bool,
    jobs: int,
    engine: str,
    verbose: bool,
) -> None:
    """Build the site from the source folder.

    Nothing is written when anything is wrong: the new site replaces the last
    one when all of it is made. A second build writes only what
    changed; one after no change writes nothing.
    """
    from builder.build.pipeline import Pipeline  # noqa: PLC0415 - the commands that build pay for it
    from builder.theme.find import replaces_sheet  # noqa: PLC0415
    from builder.write.engine import open_engine  # noqa: PLC0415

    console = common.console
    config = common.config(destination=destination, baseurl=baseurl, url=url,
        target=target, drafts=drafts, allow_missing=allow_missing,
    )  # fmt: skip
    shown = config.target.capabilities.name
    if not console.quiet and not console.as_json:
        click.echo(f"target {shown}, destination {config.destination}")
        sys.stdout.flush()
    if verbose:
        console.say(f"configuration: {', '.join(map(str, config.files)) or 'none'}")
        for note in config.pages.capabilities.notes:
            console.say(f"note: {note}")
    elif not config.pages.typed and not console.as_json:
        console.say(f"note: {shown} gives manifests no media type; -V says who can pull from it")
    if not config.address.url and not console.as_json:
        console.say("note: 'url' is not known: no feeds and no sitemap, which hold full addresses")
    if not console.as_json and replaces_sheet(config.source):
        console.say("note: assets/style.css replaces the whole sheet; custom.css is added to it")
    began = time.monotonic()
    workers = open_engine(engine, config.cache / "engine")
    pipeline = Pipeline(config, jobs=jobs, strict=strict, progress=console.step, engine=workers)
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
