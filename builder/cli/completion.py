"""`builder completion`: what makes a shell complete the program's words."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

from builder.cli.options import common_options
from builder.errors import UsageError

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@common_options
@click.pass_context
def command(context: click.Context, /, *, shell: str, **common: object) -> None:
    """Print a script that makes a shell complete commands, flags and files.

    Load it in the shell's start file, as the examples show.
    """
    del common
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"{shell}: there is no completion for it", f"known: {', '.join(_SHELLS)}")
    program = context.find_root().command
    sys.stdout.write(kind(program, {}, "builder", "_BUILDER_COMPLETE").source())
