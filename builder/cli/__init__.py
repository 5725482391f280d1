"""The command line: a group that loads a command's file when it is asked for.

This is the only place that turns errors into text and exit codes, and, with
the rest of `cli`, the only one that prints.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from builder import package_version
from builder.cli.completing import complete
from builder.cli.examples import epilog
from builder.errors import (
    STANDARD_OUTPUT,
    BuilderError,
    ContentError,
    LocalError,
    UsageError,
    counted,
    remedy,
)

_COMPILED = "remove the __pycache__ folders of builder and of its libraries"
# Each command's one line of help stands here, so that `builder --help` imports no command.
GROUPS = {
    "Start": {
        "new": "Create a new registry.",
        "doctor": "Show which programs and settings are missing here.",
        "serve": "Preview the site on this machine, and rebuild on change.",
        "list": "List the collections: newest version, tags, size, date.",
        "inspect": "Show a collection or a tag in detail.",
        "history": "Show what tags pointed to over time.",
        "du": "Show how much space collections use.",
    },
    "Import": {
        "add": "Import an image or files under a tag.",
        "sync": "Update the mirrors that registry.sync lists.",
        "bundle": "Package a static website as an artifact.",
        "attach": "Attach an SBOM, a signature or any file to an image.",
        "migrate": "Import a registry in the original static format.",
        "recipes": "List recipes, and build those that are pending or stale.",
        "submit": "Propose an image to a registry in another repository.",
    },
    "Change": {
        "tag": "Add another tag to an image.",
        "untag": "Remove a tag; its content stays until gc.",
        "yank": "Warn users about a tag, with a reason.",
        "rm": "Remove a collection, a tag or a manifest.",
        "mv": "Rename a collection.",
        "gc": "Find blobs that nothing needs; remove them with --delete.",
        "offload": "Move layers from _blobs/ to the place in registry.blobs.",
    },
    "Publish": {
        "check": "Check content and configuration, and report every problem.",
        "build": "Build the site from the source folder.",
        "join": "Join the shards of a site that several machines built.",
        "publish": "Publish the site to a server's folder or a bucket.",
        "verify": "Download a published site and check every digest.",
        "keygen": "Create a key that signs releases.",
        "workflows": "Write the CI files for GitHub Actions and GitLab CI.",
    },
    "Export": {
        "push": "Copy an image to another registry.",
        "export": "Copy an image to an image layout or an archive.",
        "proxy": "Serve a static registry with the headers that container clients need.",
    },
    "Theme": {"theme": "List the theme's files, or copy one to change it."},
    "Shell": {"completion": "Print a shell completion script."},
}
COMMANDS = {name: text for commands in GROUPS.values() for name, text in commands.items()}
_MODULES = {"list": "list_collections"}


class _Commands(click.Group):
    """A group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order people meet them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the file of one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"builder.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        command.epilog = epilog(cmd_name)
        return complete(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        del ctx
        width = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when there is none of that name."""
        from builder.errors import did_you_mean  # noqa: PLC0415 - only for a slip

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], COMMANDS)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; {hint}" if hint else ""))
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "BUILDER"},
)
@click.version_option(package_version(), prog_name="builder")
@click.option("--trace", is_flag=True, help="Show a traceback for errors.")
def group(*, trace: bool) -> None:
    """Run a container registry made of plain files.

    Start with `builder new`, then run `builder serve` in the new folder.
    """
    del trace


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: see the exit codes in `builder.errors`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; return its exit code."""
    try:
        status = _invoke(arguments)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # which is click's own answer to a closed pipe
        _silence_stdout()
        return 0
    except OSError as error:
        _silence_stdout()
        _say(f"builder: cannot write to {STANDARD_OUTPUT}: {error.strerror}")
        return LocalError.exit_code
    return status


def _invoke(arguments: Sequence[str]) -> int:
    from builder.cli.console import Console  # noqa: PLC0415 - imports this package

    Console.answered = False
    trace = "--trace" in arguments
    try:
        result = group.main(list(arguments), prog_name="builder", standalone_mode=False)
    except click.ClickException as error:
        error.show(sys.stderr)
        if hint := _folder_hint(error):
            _say(hint)
        return _failed(UsageError(error.format_message()), arguments)
    except (click.Abort, KeyboardInterrupt) as stop:
        return _stopped(stop.__cause__ if isinstance(stop, click.Abort) else stop)
    except BuilderError as error:
        if trace:
            raise
        _report(error)
        return _failed(error, arguments)
    except BrokenPipeError:
        raise
    except OSError as error:
        if trace or error.filename == STANDARD_OUTPUT:
            raise
        told = _told(error)
        _report(told)
        return _failed(told, arguments)
    return result if isinstance(result, int) else 0


def _failed(error: BuilderError, arguments: Sequence[str]) -> int:
    """Answer a failure as JSON where that is asked for; return its exit code."""
    if "--json" in arguments:
        _answer(error)
    return error.exit_code


def _told(error: OSError) -> LocalError:
    """Return what this machine refuses, and what to do where its words do not say it."""
    if error.filename is None and error.errno == errno.ENOENT and not _is_somewhere():
        return LocalError("the current folder is gone", "change to one that is there")
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return LocalError(f"{where}{error.strerror or error}", remedy(error))


def _is_somewhere() -> bool:
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        return False


def _folder_hint(error: click.ClickException) -> str:
    """Return the flag for a registry's folder where one was typed as an argument."""
    found = re.search(r"extra argument \((.*)\)", error.message)
    if found is None or not os.path.isdir(found[1]):
        return ""
    return f"  hint: pass the registry's folder with --source {found[1]}"


def _stopped(why: BaseException | None) -> int:
    """Say what ended a run; return 128 and the signal's number, which its handler raises."""
    if isinstance(why, EOFError):  # which click takes for somebody's end of input
        _report(BuilderError(f"a file that Python compiled is cut short: {why}", _COMPILED))
        return LocalError.exit_code
    _say("builder: interrupted")
    return 128 + (int(why.args[0]) if why is not None and why.args else signal.SIGINT)


def _report(error: BuilderError) -> None:
    if not isinstance(error, ContentError):
        _say(inert(f"builder: {error}"))
        return
    _say(inert(str(error)))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for problem in error.problems:
            _say(annotation(problem.where, problem.message, warning=problem.warning))
    count = sum(not problem.warning for problem in error.problems)
    _say(f"builder: {counted(count, 'problem')}; {error.outcome}")


def _answer(error: BuilderError) -> None:
    """Print a failure as JSON, unless the command has answered already."""
    from builder.cli.console import Console  # noqa: PLC0415 - imports this package

    if Console.answered:
        return
    problems = [item.to_json() for item in error.problems] if isinstance(error, ContentError) else [
        {"message": error.message, "hint": error.hint}
    ]  # fmt: skip
    Console(as_json=True).result({"problems": problems, "exit": error.exit_code}, "")


def annotation(where: str, message: str, *, warning: bool) -> str:
    """Return a GitHub Actions line that marks a problem in the changed file."""
    path, _, line = where.rpartition(":")
    if not line.isdigit():
        path, line = where, "1"
    level = "warning" if warning else "error"
    where = _escape(path, ((":", "%3A"), (",", "%2C")))
    return f"::{level} file={where},line={line}::{_escape(message)}"


def inert(text: str) -> str:
    """Return text with no line that GitHub Actions would take for a command to itself.

    File names come from strangers: one may begin with `::`, or hold `##[`.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    lines = (f"\\{line}" if line.lstrip().startswith("::") else line for line in text.split("\n"))
    return "\n".join(lines).replace("##[", "## [")


def _escape(text: str, more: Sequence[tuple[str, str]] = ()) -> str:
    """Escape a message, which GitHub shows with all else as it is, or with `more` a property."""
    for char, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), *more):
        text = text.replace(char, code)
    return inert(text)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _silence_stdout() -> None:
    """Keep the interpreter from failing again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
