"""Options that commands share, and how they speak."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from builder.cli import annotation, inert
from builder.config import CONFIG, Config, Flags, load_config
from builder.errors import Problem, UsageError
from builder.registry.model import RegistryOptions
from builder.storage import CloudStorage

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Common:
    """What the flags say that every command takes."""

    source: str
    configs: tuple[str, ...]
    console: Console

    def flags(self, **more: Any) -> Flags:
        """Return what the configuration is read with; `more` are what a command has besides."""
        return Flags(self.source, configs=self.configs, **more)

    def config(self, *, anywhere: bool = False, **more: Any) -> Config:
        """Read the configuration; see `flags`.

        Raises UsageError where there is no registry, unless the command works `anywhere`.
        """
        config = load_config(self.flags(**more))
        lists = config.source / config.registry.collections
        if not (anywhere or config.files or lists.is_dir()):
            message = f"{self.source}: not a registry: no {CONFIG} or {lists.name}/ here"
            hint = "make one with 'builder new PATH', or name its folder with --source"
            raise UsageError(message, hint)
        return config


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that every command takes, which reach it as `common`."""

    @wraps(function)
    def with_common(
        *arguments: Any,
        source: str,
        configs: str | None,
        quiet: bool,
        as_json: bool,
        no_color: bool,
        **more: Any,
    ) -> Any:
        names = tuple(name.strip() for name in (configs or "").split(",") if name.strip())
        console = Console(quiet=quiet, as_json=as_json, no_color=no_color)
        return function(*arguments, common=Common(source, names, console), **more)

    command: Callable[..., Any] = with_common
    options: tuple[Any, ...] = (
        click.option("--trace", is_flag=True, expose_value=False, help="Show a traceback."),
        click.option("--no-color", is_flag=True, help="Plain text, as with NO_COLOR."),
        click.option("--json", "as_json", is_flag=True, help="Print results as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="No progress, results only."),
        click.option("-c", "--config", "configs", metavar="A,B",
                     help="Configuration files, later ones winning.  [default: _config.yml]"),
        click.option("-s", "--source", default=".", show_default=True,
                     help="The registry's folder."),
    )  # fmt: skip
    for option in options:
        command = option(command)
    return command


def build_options(function: Function) -> Function:
    """Add the flags of everything that builds."""
    options: tuple[Any, ...] = (
        click.option("-V", "--verbose", is_flag=True, help="Say more."),
        click.option("-j", "--jobs", type=click.IntRange(0), default=0,
                     help="Worker processes.  [default: one per core]"),
        click.option("--strict", is_flag=True, help="Treat warnings as problems."),
        click.option("--allow-missing", is_flag=True,
                     help="Leave tags with missing layers out of /v2/."),
        click.option("-D", "--drafts", is_flag=True, help="Publish _drafts/ too."),
        click.option("-t", "--target", default="",
                     help="Where the site is served.  [default: registry.target]"),
        click.option("--url", help="The site's address without a path."),
        click.option("-b", "--baseurl", help="The path below which the pages are."),
        click.option("-d", "--destination", default="",
                     help="The output folder.  [default: _site]"),
    )  # fmt: skip
    for option in options:
        function = option(function)
    return function


def given(context: click.Context) -> Iterator[click.Parameter]:
    """Yield the arguments and flags that stand on the command line."""
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name or "") == ParameterSource.COMMANDLINE:
            yield parameter


def remote_options(function: Function) -> Function:
    """Add the flags of everything that talks to other machines."""
    options: tuple[Any, ...] = (
        click.option("--insecure", is_flag=True,
                     help="Allow plain http to other machines, and untrusted certificates."),
        click.option("--ca", metavar="FILE", default="",
                     help="Also trust the certificate authorities in FILE."),
    )  # fmt: skip
    for option in options:
        function = option(function)
    return function


def blobs_option(help_text: str) -> Callable[[Function], Function]:
    """Return the flag of what also looks into the bucket that has the registry's layers."""
    return click.option("--blobs", is_flag=True, help=help_text)


def open_bucket(options: RegistryOptions) -> CloudStorage:
    """Return the bucket that has the registry's layers; raises UsageError where none has."""
    from builder.offsite import Bucket  # noqa: PLC0415 - for few commands

    if not isinstance(options.offsite, Bucket):
        hint = "without --blobs everything here is looked at"
        raise UsageError("--blobs: registry.blobs names no bucket", hint)
    return options.offsite.storage()


def spelled(text: str) -> str:
    """Return JSON that is UTF-8, whatever file names are, and no command to GitHub Actions."""
    text = re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.replace("##[", "#\\u0023[")


class Console:
    """Results to stdout, progress and problems to stderr."""

    answered = False  # whether this run has printed a result

    def __init__(
        self, *, quiet: bool = False, as_json: bool = False, no_color: bool = False
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._plain = no_color or bool(os.environ.get("NO_COLOR"))
        self._shown = 0.0

    def result(self, value: Any, text: str) -> None:
        """Print a result: `text` for people, `value` with --json."""
        if self.as_json:
            text = spelled(json.dumps(value, indent=2, ensure_ascii=False))
        if text:
            Console.answered = True
            click.echo(text)

    def say(self, text: str) -> None:
        """Tell what is going on, unless quiet."""
        if not self.quiet:
            click.echo(text, err=True)

    def warn(self, problem: Problem) -> None:
        """Print a problem that stops nothing."""
        click.echo(inert(str(problem)), err=True)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            click.echo(annotation(problem.where, problem.message, warning=True), err=True)

    def warn_all(self, problems: Iterable[Problem]) -> None:
        """Print problems that stop nothing."""
        for problem in problems:
            self.warn(problem)

    def step(self, label: str, done: int, total: int) -> None:
        """Show progress of a step with a known end, on a terminal only."""
        if self.quiet or total < 50 or not sys.stderr.isatty():
            return
        now = time.monotonic()
        if done < total and now - self._shown < 0.1:
            return
        self._shown = now
        width = 30
        full = width * done // total
        bar = (
            "#" * full + "." * (width - full) if self._plain else "━" * full + "╌" * (width - full)
        )
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{label:8} {bar} {done:,}/{total:,}{end}")
        sys.stderr.flush()

    @contextmanager
    def progress(self, total: int | None, label: str) -> Iterator[Callable[[int], None]]:
        """Show progress in bytes: the block calls what it gets with each count.

        `total` is None where nobody knows it.
        """
        if self.quiet or (total or 1 << 20) < 1 << 20 or not sys.stderr.isatty():
            yield lambda count: None  # noqa: ARG005 - nobody watches
            return
        from rich.console import Console as RichConsole  # noqa: PLC0415 - 40 ms
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TransferSpeedColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
                   TransferSpeedColumn())  # fmt: skip
        console = RichConsole(stderr=True, no_color=self._plain)
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(label, total=total)
            yield lambda count: bar.advance(task, count)
