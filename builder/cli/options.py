"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from builder.cli.completing import targets
from builder.cli.console import Console
from builder.config import CONFIG, Config, Flags, load_config
from builder.errors import UsageError
from builder.registry.model import RegistryOptions
from builder.remote.options import RemoteOptions
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
        click.option("--no-color", is_flag=True, help="Print without colour, as with NO_COLOR."),
        click.option("--json", "as_json", is_flag=True, help="Print results as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="Print results only, no progress."),
        click.option("-c", "--config", "configs", metavar="A,B",
                     help="Configuration files; later ones win.  [default: _config.yml]"),
        click.option("-s", "--source", default=".", show_default=True, metavar="DIR",
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
                     help="Number of worker processes.  [default: one per core]"),
        click.option("--strict", is_flag=True, help="Treat warnings as problems."),
        click.option("--allow-missing", is_flag=True,
                     help="Leave tags with missing layers out of /v2/."),
        click.option("-D", "--drafts", is_flag=True, help="Publish _drafts/ too."),
        click.option("-t", "--target", default="", shell_complete=targets,
                     help="The kind of host.  [default: registry.target]"),
        click.option("--url", help="The site's address, without a path."),
        click.option("-b", "--baseurl", help="The path below which the pages are served."),
        click.option("-d", "--destination", default="", metavar="DIR",
                     help="The output folder.  [default: _site]"),
    )  # fmt: skip
    for option in options:
        function = option(function)
    return function


def engine_option(function: Function) -> Function:
    """Add the flag that says where the work is done, which reaches the command as `engine`."""
    option = click.option("--engine", default="local", metavar="ENGINE", show_default=True,
                          help="Where to build: local, or dask://HOST:PORT.")  # fmt: skip
    return option(function)


dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Check everything, but change nothing."
)
author_option = click.option(
    "--author",
    metavar="LOGIN",
    help="Who proposes the change.  [default: from the CI's environment]",
)
no_fetch_option = click.option("--no-fetch", is_flag=True, help="Download nothing to check it.")
accept_foreign = click.option(
    "--allow-foreign",
    is_flag=True,
    help="Accept layers whose 'urls' send clients to other servers.",
)
download_foreign = click.option(
    "--allow-foreign", is_flag=True, help="Download layers from the URLs in their descriptors."
)


def given(context: click.Context) -> Iterator[click.Parameter]:
    """Yield the arguments and flags that stand on the command line."""
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name or "") == ParameterSource.COMMANDLINE:
            yield parameter


def remote_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of everything that talks to other machines, which reach it as `remote`."""

    @wraps(function)
    def with_remote(*arguments: Any, insecure: bool, ca: str, **more: Any) -> Any:
        return function(*arguments, remote=RemoteOptions(insecure, ca), **more)

    command: Callable[..., Any] = with_remote
    options: tuple[Any, ...] = (
        click.option("--insecure", is_flag=True,
                     help="Allow plain http to other machines, and untrusted certificates."),
        click.option("--ca", metavar="FILE", default="",
                     help="Also trust the certificate authorities in FILE."),
    )  # fmt: skip
    for option in options:
        command = option(command)
    return command


def server_options(port: int) -> Callable[[Function], Function]:
    """Return the flags of everything that listens; `port` is the usual one."""

    def add(function: Function) -> Function:
        options: tuple[Any, ...] = (
            click.option("--allow-host", "allowed", multiple=True, metavar="NAME",
                         help="Another host name to accept; may be repeated."),
            click.option("-P", "--port", type=click.IntRange(0, 65535), default=port,
                         show_default=True, help="Port; 0 chooses a free one."),
            click.option("-H", "--host", default="127.0.0.1", show_default=True,
                         help="Address to bind."),
        )  # fmt: skip
        for option in options:
            function = option(function)
        return function

    return add


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
