"""`builder check`: every problem, with file, line and hint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from builder.cli.options import (
    Common,
    blobs_option,
    common_options,
    open_bucket,
    remote_options,
)
from builder.config import Config
from builder.errors import ContentError, Problem, counted
from builder.registry.model import Collection

if TYPE_CHECKING:
    from builder.upkeep.check import Checked


@click.command("check")
@click.option("--strict", is_flag=True, help="Treat warnings as problems.")
@click.option("--allow-missing", is_flag=True, help="Accept tags whose layers are nowhere.")
@blobs_option("Also fetch and hash the layers in the bucket of registry.blobs.")
@click.option("--base", metavar="REF", help="Judge what differs from a branch, as a pull request.")
@click.option("--author", metavar="LOGIN", help="Who proposes it.  [default: what the CI says]")
@click.option("--summary", "summary_file", metavar="FILE", help="Write what changes as Markdown.")
@click.option(
    "--max-file",
    metavar="SIZE",
    default="16 MiB",
    show_default=True,
    help="The largest file that may be proposed.",
)
@click.option(
    "--max-files",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="How many files may be proposed.",
)
@click.option(
    "--max-fetch",
    metavar="SIZE",
    default="8 GiB",
    show_default=True,
    help="How much may be fetched to see that it is there.",
)
@click.option("--no-fetch", is_flag=True, help="Fetch nothing that lies elsewhere.")
@click.option("--url", "site", metavar="URL", help="Judge a deployed site instead.")
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
    **proposed: Any,
) -> None:  # fmt: skip
    """Report every problem in content, configuration and store.

    Reads everything and hashes every blob again; writes nothing. With --base
    also what a pull request may not do; see OWNERS in the reference. With --url
    none of that, but which clients can pull from a site that is published.
    """
    from builder.cli.check_base import judged, told  # noqa: PLC0415 - with git and the network
    from builder.cli.check_url import check_site  # noqa: PLC0415

    console = common.console
    if site:
        check_site(context, site, console)
        return
    proposal = judged(context, base, proposed, common.flags(allow_missing=allow_missing))
    try:
        config = common.config(allow_missing=allow_missing)
        found = _read(config, blobs=blobs)
        more = {*found.problems, *config.warnings}
    except ContentError as error:
        if proposal is None:
            raise
        more = set(error.problems)
    problems = told(proposal, more, proposed["summary_file"])
    errors = [problem for problem in problems if not problem.warning]
    if console.as_json:
        listed = [problem.to_json() for problem in problems]
        console.result({**proposal.to_json(), "problems": listed} if proposal else listed, "")
    if errors or (strict and problems):
        raise ContentError(problems)
    console.warn_all([] if console.as_json else problems)
    text = f"{counted(found.collections, 'collection')}, {counted(found.tags, 'tag')}: no problems"
    if not console.as_json:
        console.result(None, "" if console.quiet else text)


def _read(config: Config, *, blobs: bool) -> Checked:
    """Return what is wrong with the content; `blobs` also asks the bucket for layers."""
    from builder.apps.publish import publish_apps  # noqa: PLC0415 - with all that it needs
    from builder.upkeep.check import check, check_offsite  # noqa: PLC0415 - reads the whole registry

    bucket = open_bucket(config.registry) if blobs else None

    def also(collection: Collection) -> Iterable[Problem]:
        far = check_offsite(collection, bucket) if bucket is not None else ()
        return (*publish_apps(collection, config.apps, None)[1], *far)

    return check(config.registry, also)
