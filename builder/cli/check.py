"""`builder check`: every problem, with file, line and hint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from builder.cli.options import (
    Common,
    author_option,
    blobs_option,
    common_options,
    engine_option,
    no_fetch_option,
    open_bucket,
    remote_options,
)
from builder.errors import ContentError, Problem, counted
from builder.registry.model import RegistryOptions


@click.command("check")
@click.option("--strict", is_flag=True, help="Treat warnings as problems.")
@click.option("--allow-missing", is_flag=True, help="Accept tags with missing layers.")
@blobs_option("Also fetch and hash the layers in the bucket of registry.blobs.")
@click.option("--base", metavar="REF", help="Check the difference from a branch as a pull request.")
@author_option
@click.option(
    "--summary", "summary_file", metavar="FILE", help="Write a summary of the changes as Markdown."
)
@click.option(
    "--max-file",
    metavar="SIZE",
    default="16 MiB",
    show_default=True,
    help="The largest file allowed.",
)
@click.option(
    "--max-files",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="The most files allowed.",
)
@click.option(
    "--max-fetch",
    metavar="SIZE",
    default="8 GiB",
    show_default=True,
    help="The most bytes to download to check that layers exist.",
)
@no_fetch_option
@click.option(
    "--url",
    "site",
    metavar="URL",
    help="Check which clients can pull from a published site instead.",
)
@engine_option
@remote_options
@common_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    common: Common,
    strict: bool,
    allow_missing: bool,
    blobs: bool,
    base: str | None,
    site: str | None,
    engine: str,
    **proposed: Any,
) -> None:  # fmt: skip
    """Check content and configuration, and report every problem.

    It does everything that a build does, except writing: it also hashes every
    blob again. What passes can be built. With --base it checks a pull request
    by the rules of its base branch; see OWNERS in the reference. With --url it
    shows which clients can pull from a published site.
    """
    from builder.build.how import How  # noqa: PLC0415 - as heavy as a build
    from builder.build.pipeline import Checked, check  # noqa: PLC0415
    from builder.cli.check_base import is_contained, judged, told  # noqa: PLC0415 - with git and the network
    from builder.cli.check_url import check_site  # noqa: PLC0415
    from builder.write.engine import open_engine  # noqa: PLC0415

    console = common.console
    if site:
        check_site(context, site, proposed["remote"], console)
        return
    proposal = judged(context, base, proposed, common.flags(allow_missing=allow_missing))
    found = Checked((), 0, 0)
    more: list[Problem] = []
    try:
        if is_contained(proposal):
            config = common.config(allow_missing=allow_missing)
            workers = open_engine(engine, config.cache / "engine")
            found = check(config, How(strict=strict, progress=console.step, engine=workers))
            more = [*found.warnings, *(_offsite(config.registry) if blobs else ())]
    except ContentError as error:
        more = list(error.problems)
    problems = told(proposal, more, proposed["summary_file"])
    if strict:
        problems = tuple(replace(problem, warning=False) for problem in problems)
    if console.as_json:
        listed = [problem.to_json() for problem in problems]
        console.result({**proposal.to_json(), "problems": listed} if proposal else listed, "")
    if any(not problem.warning for problem in problems):
        raise ContentError(problems)
    console.warn_all([] if console.as_json else problems)
    hidden = f" ({found.hidden} hidden)" if found.hidden else ""
    counts = f"{counted(found.collections, 'collection')}{hidden}, {counted(found.tags, 'tag')}"
    text = f"{counts}: no problems"
    if not console.as_json:
        console.result(None, "" if console.quiet else text)


def _offsite(options: RegistryOptions) -> Iterator[Problem]:
    """Yield what is wrong with the layers in the bucket of `registry.blobs`."""
    from builder.upkeep.check import check_offsite, load_all  # noqa: PLC0415 - with the network

    bucket = open_bucket(options)
    for item in load_all(options)[1]:
        if item.collection is not None:
            yield from check_offsite(options, item.collection, bucket)
