"""`builder check`: every problem, with file, line and hint."""

from __future__ import annotations

import click

from builder.cli.options import Console, common_options, load_config
from builder.errors import ContentError


@click.command("check")
@common_options
@click.option("--strict", is_flag=True, help="Treat warnings as problems.")
@click.option("--allow-missing", is_flag=True, help="Accept tags whose layers are nowhere.")
def command(
    *,
    source: str,
    configs: str | None,
    quiet: bool,
    as_json: bool,
    no_color: bool,
    strict: bool,
    allow_missing: bool,
) -> None:
    """Report every problem in content, configuration and store.

    Reads everything and hashes every blob again; writes nothing.
    """
    from builder.apps.publish import publish_apps  # noqa: PLC0415 - with all that it needs
    from builder.audit.check import check  # noqa: PLC0415 - reads the whole registry

    console = Console(quiet=quiet, as_json=as_json, no_color=no_color)
    config = load_config(source=source, configs=configs, allow_missing=allow_missing)
    found = check(config.registry, lambda it: publish_apps(it, config.apps, None)[1])
    problems = sorted({*found.problems, *config.warnings})
    errors = [problem for problem in problems if not problem.warning]
    if as_json:
        console.result([problem.to_json() for problem in problems], "")
    if errors or (strict and problems):
        raise ContentError(problems)
    console.warn_all([] if as_json else problems)
    text = f"{found.collections} collections, {found.tags} tags: no problems"
    if not as_json:
        console.result(None, "" if quiet else text)
