"""`builder recipes`: what is made from recipes, building it, and taking in what others built."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from builder.build.judge import judge_of
from builder.cli import annotation
from builder.cli.console import Console
from builder.cli.intake import storage_hint
from builder.cli.options import Common, common_options, given
from builder.config import Config
from builder.errors import ContentError, Problem, UsageError, printable
from builder.git import head
from builder.pull_requests.base import open_base
from builder.pull_requests.owners import EVERYBODY
from builder.recipes.accept import accept as accept_recipes
from builder.recipes.build import BuildOptions, build_recipes
from builder.recipes.engines import ENGINE_NAMES, check_engines
from builder.recipes.find import changed_since, find_recipes, shard
from builder.recipes.model import Outcome, RecipeTag
from builder.recipes.share import NOBODY, OwnerOf, Planned, parse_plan, share_out
from builder.registry.clock import now

_LABEL = "org.opencontainers.image"
_since = click.option(
    "--changed-since",
    "revision",
    metavar="REF",
    help="Only recipes whose folders differ from the git revision REF.",
)


@click.group("recipes", invoke_without_command=True)
@_since
@common_options
@click.pass_context
def command(
    context: click.Context,
    *,
    revision: str | None,
    common: Common,
) -> None:  # fmt: skip
    """List recipes: pending, stale and current.

    A tag with a recipe is pending if it has no manifest, or if its README.md was
    deleted. It is stale if its files changed since it was built. 'builder
    recipes build' builds both.
    """
    if context.invoked_subcommand is not None:
        if any(given(context)):
            raise UsageError("write flags of 'recipes build' after 'build'")
        return
    console = common.console
    config = common.config()
    items, problems = _find(config, (), revision)
    lines = [f"{item.state:8} {item.reference}  {item.recipe.path}" for item in items]
    console.result([item.to_json() for item in items], "\n".join(map(printable, lines)))
    if problems:
        raise ContentError(problems)
    if not items and not revision:
        console.say(
            f"no recipes yet: put one into {config.registry.collections}/NAME/manifests/TAG/"
        )


@command.command("build")
@click.argument("references", metavar="[NAME[:TAG]...]", nargs=-1)
@click.option(
    "--engine",
    "engines",
    metavar="NAME",
    multiple=True,
    help=f"Build with this program; may be repeated in order of preference. "
    f"Known: {', '.join(ENGINE_NAMES)}.  [default: registry.engines]",
)
@_since
@click.option(
    "--plan",
    "file",
    metavar="FILE",
    help="Only the recipes in the output of 'recipes plan --json'.",
)
@click.option("--shard", "part", metavar="I/N", help="Only shard I of N.")
@click.option(
    "--timeout",
    "seconds",
    default=3600,
    show_default=True,
    type=click.IntRange(1),
    help="Time limit of one build, in seconds.",
)
@click.option(
    "-j",
    "--jobs",
    default=0,
    type=click.IntRange(0),
    help="Parallel builds.  [default: one per core]",
)
@click.option("--force", is_flag=True, help="Move tags even if they are immutable.")
@click.option("--local", is_flag=True, help="Store large layers here, for 'builder offload'.")
@click.option("--into", metavar="DIR", help="Write image layouts to DIR, and change nothing here.")
@click.option("--dry-run", is_flag=True, help="Show what would be built.")
@common_options
@click.pass_context
def build(
    context: click.Context,
    *,
    references: tuple[str, ...],
    engines: tuple[str, ...],
    revision: str | None,
    file: str | None,
    part: str | None,
    seconds: int,
    jobs: int,
    force: bool,
    local: bool,
    into: str | None,
    dry_run: bool,
    common: Common,
) -> None:  # fmt: skip
    """Build recipes that are pending or stale, or those that are named.

    If a recipe fails, the others are still built, and the command then fails.
    A recipe is code: only build what you would run yourself.
    """
    console = common.console
    config = _kept_here(common.config()) if local else common.config()
    options = _options(config, engines, seconds, force=force, into=into)
    items, problems = _find(config, references, revision)
    items = [item for item in items if references or item.state != "current"]
    if file is not None:
        wanted = {planned.reference for planned in _plan(file)}
        items = [item for item in items if item.reference in wanted]
    if part:
        items = shard(items, part)
    for problem in problems:
        _complain(console, problem)
    if dry_run:
        lines = [f"would build {item.reference}  {item.recipe.path}" for item in items]
        console.result([item.to_json() for item in items], "\n".join(map(printable, lines)))
        outcomes: list[Outcome] = []
    else:
        outcomes = build_recipes(
            items, options, jobs=jobs or os.cpu_count() or 1,
            begin=lambda item, engine: console.say(
                printable(f"building  {item.reference} with {engine}")
            ),
            tell=lambda outcome: _tell(console, outcome),
        )  # fmt: skip
        console.result([outcome.to_json() for outcome in outcomes], _summary(outcomes, config))
    if problems or any(outcome.failed for outcome in outcomes):
        context.exit(1)


@command.command("plan")
@click.argument("references", metavar="[NAME[:TAG]...]", nargs=-1)
@click.option(
    "--owner",
    metavar="LOGINS",
    help=f"Only recipes whose OWNERS are exactly these; {NOBODY} for those without.",
)
@common_options
def plan(
    *,
    references: tuple[str, ...],
    owner: str | None,
    common: Common,
) -> None:  # fmt: skip
    """Divide recipes that are pending or stale among machines, by their owners.

    Each line is for one machine: its owners, as OWNERS names them, and for
    recipes without owners the collection.
    """
    console = common.console
    items, problems = _find(common.config(), references, None)
    for problem in problems:
        _complain(console, problem)
    owner_of = _owner_of(common)
    items = [item for item in items if item.state != "current"]
    shares = share_out(items if owner is None else _owned(items, owner_of, owner), owner_of)
    lines = [f"{share.owner or NOBODY} {share.name or NOBODY}" for share in shares]
    console.result([share.to_json() for share in shares], "\n".join(map(printable, lines)))


@command.command("accept")
@click.argument("folder", metavar="DIR")
@click.option(
    "--plan", "file", metavar="FILE", required=True, help="The output of 'recipes plan --json'."
)
@common_options
@click.pass_context
def accept(context: click.Context, *, folder: str, file: str, common: Common) -> None:
    """Import what 'recipes build --into DIR' made on an untrusted machine.

    Only tags in the plan are written, and every byte is checked as 'builder add'
    does. Make the plan on a machine that runs no recipe. Large layers are stored
    here, for 'builder offload'.
    """
    console = common.console
    config = _kept_here(common.config())
    outcomes, strays = accept_recipes(
        config.registry, Path(folder), _plan(file), judge=judge_of(config), created=now()
    )
    for problem in strays:
        _complain(console, problem)
    for outcome in outcomes:
        _tell(console, outcome)
    console.result([outcome.to_json() for outcome in outcomes], _summary(outcomes, config))
    if strays or any(outcome.failed for outcome in outcomes):
        context.exit(1)


def _plan(file: str) -> list[Planned]:
    return parse_plan(Path(file).read_bytes(), file)


def _kept_here(config: Config) -> Config:
    return replace(config, registry=replace(config.registry, offsite=None))


def _owner_of(common: Common) -> OwnerOf:
    """Return who owns a recipe by the last commit here; raises UsageError where git knows none."""
    base = open_base(common.flags(), "HEAD")

    def owner_of(item: RecipeTag) -> str:
        names = base.owners.of(f"{base.above}{item.recipe.path}") if base.owners else None
        return "" if names is None or EVERYBODY in names else ",".join(sorted(names))

    return owner_of


def _owned(items: Sequence[RecipeTag], owner_of: OwnerOf, owner: str) -> list[RecipeTag]:
    wanted = "" if owner == NOBODY else owner
    return [item for item in items if owner_of(item) == wanted]


def _find(
    config: Config, references: Sequence[str], revision: str | None
) -> tuple[list[RecipeTag], list[Problem]]:
    items, problems = find_recipes(config.registry, references)
    if revision is not None:
        items = changed_since(items, config.registry, revision)
    return items, problems


def _options(
    config: Config, engines: tuple[str, ...], seconds: int, *, force: bool, into: str | None
) -> BuildOptions:
    created = now()
    labels = {f"{_LABEL}.created": created}
    if config.pages.repository:
        labels[f"{_LABEL}.source"] = config.pages.repository
    if revision := head(config.source):
        labels[f"{_LABEL}.revision"] = revision
    is_fixed = bool(os.environ.get("SOURCE_DATE_EPOCH"))
    return BuildOptions(
        config.registry,
        config.cache,
        created,
        judge_of(config),
        int(datetime.fromisoformat(created).timestamp()) if is_fixed else None,
        check_engines(engines, "--engine")
        or check_engines(config.engines, "registry.engines in the configuration"),
        seconds,
        labels,
        force,
        Path(into).absolute() if into else None,
    )


def _tell(console: Console, outcome: Outcome) -> None:
    """Tell what went wrong in a build; one piece of text, because others end at the same time.

    How it ended is a result, which stands at the end of the run.
    """
    lines: list[str] = []
    if outcome.failed:
        lines += [printable(f"in {outcome.item.reference}:")]
        lines += [printable(line) for line in outcome.why.splitlines()]
        if outcome.log:
            lines.append(printable(f"  the whole log: {outcome.log}"))
        _annotate(outcome.item.recipe.path, f"the build {outcome.why.splitlines()[0]}")
    elif outcome.added is not None:
        lines += [
            printable(f"{outcome.item.reference}: warning: {text}")
            for text in outcome.added.warnings
        ]
    if lines:
        console.say("\n".join(lines))


def _complain(console: Console, problem: Problem) -> None:
    console.say(str(problem))
    _annotate(problem.where, problem.message)


def _annotate(where: str, message: str) -> None:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        click.echo(annotation(where, message, warning=False), err=True)


def _summary(outcomes: list[Outcome], config: Config) -> str:
    if not outcomes:
        return "nothing to build"
    lines = []
    for outcome in outcomes:
        digest = outcome.added.digest if outcome.added else ""
        lines.append(f"{outcome.state:9} {outcome.item.reference} {digest}".rstrip())
    parts = [part for outcome in outcomes if outcome.added for part in outcome.added.parts]
    if hint := storage_hint(parts, config.registry):
        lines.append(hint)
    failed = sum(outcome.failed for outcome in outcomes)
    if failed:
        lines.append(f"{failed} of {len(outcomes)} failed")
    return "\n".join(map(printable, lines))
