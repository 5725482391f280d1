"""`builder theme`: the packaged theme's files, and copying one out to change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from builder.cli.options import Common, common_options
from builder.errors import ContentError, UsageError, did_you_mean
from builder.theme.find import packaged_theme
from builder.theme.sources import INCLUDES, LAYOUTS


@click.group("theme")
def command() -> None:
    """List the theme's files, or copy one to change it."""


@command.command("list")
@common_options
def list_files(*, common: Common) -> None:
    """List the theme's files, and the registry's own ones."""
    source = common.config().source
    rows = [(name, _state(source, name)) for name in sorted({*_names(packaged_theme()),
                                                             *_names(source)})]  # fmt: skip
    lines = [f"{state:9}  {name}" for name, state in rows]
    common.console.result([{"file": name, "state": state} for name, state in rows],
                          "\n".join(lines))  # fmt: skip


@command.command("eject")
@click.argument("file", metavar="FILE")
@common_options
def eject(*, file: str, common: Common) -> None:
    """Copy a file of the theme into the registry, where it replaces the theme's."""
    theme, source = packaged_theme(), common.config().source
    names = list(_names(theme))
    found = [name for name in names if file.strip("/") in (name, name.partition("/")[2])]
    if len(found) != 1:
        hint = did_you_mean(file, names) or "see 'builder theme list'"
        raise UsageError(f"{file}: the theme has no such file", hint)
    target = source / found[0]
    if target.exists():
        where = "this registry contains the theme itself" if source == theme else "change that"
        raise ContentError.at(found[0], "is in the registry already", where)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as copy:
        copy.write((theme / found[0]).read_bytes())
    text = f"copied {found[0]}; its next versions will not reach your copy"
    common.console.result({"file": found[0]}, text)


def _names(root: Path) -> Iterator[str]:
    """Yield the source paths of the theme files below a folder."""
    for folder in (LAYOUTS, INCLUDES, "assets"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(root).as_posix()


def _state(source: Path, name: str) -> str:
    """Say whose a file is: `packaged`, `own` (in place of a packaged one), or `added`."""
    if not (source / name).is_file():
        return "packaged"
    packaged = packaged_theme()
    if source.resolve() == packaged.resolve():
        return "in place"
    return "own" if (packaged / name).is_file() else "added"
