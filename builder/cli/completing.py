"""What a shell completes beside commands and flags: names, their tags, files, targets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

_MOST = 200  # of what begins alike
_NAMES = {"NAME", "OLD", "PREFIX"}
_FOLDERS = {"DIR", "FOLDER"}
_FILES = {"FILE", "PATH", "SOURCE", "DEST"}


class _Named(click.types.StringParamType):
    """A text whose metavar says what it names: a collection or its tag, a file, a folder."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what begins like `incomplete`; the shell itself completes files."""
        words = set() if "//" in (param.metavar or "") else _words(param)
        is_name = words & _NAMES and isinstance(param, click.Argument)
        found = references(ctx, param, incomplete) if is_name else []
        if words & _FILES:
            return [*found, CompletionItem(incomplete, type="file")]
        return [*found, CompletionItem(incomplete, type="dir")] if words & _FOLDERS else found


def complete(command: click.Command) -> click.Command:
    """Let shells complete every argument and flag of a command by its metavar."""
    for parameter in command.params:
        if type(parameter.type) is click.types.StringParamType and _words(parameter):
            parameter.type = _Named()
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            complete(inner)
    return command


def _words(parameter: click.Parameter) -> set[str]:
    return set(re.findall("[A-Z]+", parameter.metavar or ""))


def references(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the collections that begin like `incomplete`, after a `:` the tags of one."""
    collections = Path(context.params.get("source") or ".") / "collections"
    name, colon, _start = incomplete.partition(":")
    found = _tags(collections, name) if colon else _names(collections)
    return [CompletionItem(text) for text in sorted(found) if text.startswith(incomplete)][:_MOST]


def targets(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the targets that begin like `incomplete`."""
    from builder.targets import target_names  # noqa: PLC0415 - a shell waits

    return [CompletionItem(name) for name in target_names() if name.startswith(incomplete)]


def _names(collections: Path) -> Iterator[str]:
    for folder, inner, _ in os.walk(collections):
        if "manifests" in inner:
            yield Path(folder).relative_to(collections).as_posix()
        inner[:] = [name for name in inner if name not in {"manifests", "blobs", "tags"}]


def _tags(collections: Path, name: str) -> Iterator[str]:
    folder = collections / name / "manifests"
    if folder.is_dir():
        yield from (f"{name}:{item.name}" for item in folder.iterdir() if item.is_dir())
