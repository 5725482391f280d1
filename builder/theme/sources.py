"""The files of page layouts and includes: found, read, and given their names.

The registry's own come before the packaged theme's of the same name, which
stay in reach as `theme/NAME`. A link or a file that is not UTF-8 is a
problem: what a layout is must be plain to see in the repository.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from builder import frontmatter
from builder.errors import ContentError, LocalError, Problem

LAYOUTS, INCLUDES = "_layouts", "_includes"
PACKAGED = "theme/"  # a name that starts so is the packaged template, never an override

_ASSET = re.compile(r"(?:(['\"])(?P<name>[^'\"]+)\1\s*)?\|\s*asset_url\b")


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """One template file, read.

    `name` is what others call it (`collection.html`), `path` what problems
    show; `text` has as many lines as the file; `keys` are its front matter.
    """

    name: str
    path: str
    text: str
    kind: str
    keys: Mapping[str, Any]
    layout_line: int = 1


def read_sources(source: Path, theme: Path, problems: list[Problem]) -> dict[str, TemplateSource]:
    """Return every template under each of its names; the registry's own win over the theme's.

    Raises LocalError when one cannot be read.
    """
    same = source.resolve() == theme.resolve()
    try:
        own = {} if same else _read_root(source, "", problems)
        packaged = _read_root(theme, "" if same else PACKAGED, problems)
    except OSError as error:
        raise LocalError.of(error, f"{error.filename} cannot be read") from error
    for name in own.keys() & packaged.keys():
        if own[name].kind != packaged[name].kind:
            message = f"has the name of the theme's {packaged[name].path}, of another kind"
            problems.append(Problem(own[name].path, message=message, hint="rename it"))
    both = {**packaged, **own}
    for name, template in packaged.items():
        both[PACKAGED + name] = replace(template, name=PACKAGED + name)
    return both


@lru_cache(maxsize=500)  # a preview asks for each again after every edit
def asset_names(text: str) -> frozenset[str] | None:
    """Return the names in `'NAME' | asset_url`, or None where one is computed."""
    names = {match["name"] for match in _ASSET.finditer(text)}
    return None if None in names else frozenset(names)


def _read_root(root: Path, prefix: str, problems: list[Problem]) -> dict[str, TemplateSource]:
    found: dict[str, TemplateSource] = {}
    for kind in (LAYOUTS, INCLUDES):
        for name, file in _walk(root / kind, f"{prefix}{kind}", "", problems):
            path = f"{prefix}{kind}/{name}"
            try:
                template = _template(name, path, kind, _read(file))
            except ContentError as error:
                problems.extend(error.problems)
                continue
            if name in found:
                message = f"has the same name as {found[name].path}"
                problems.append(Problem(path, message=message, hint="rename one of the two"))
            else:
                found[name] = template
    return found


@lru_cache(maxsize=500)
def _template(name: str, path: str, kind: str, data: bytes) -> TemplateSource:
    matter = frontmatter.parse(data, path)
    # A comment of as many lines stands in for the front matter, so that Jinja
    # counts lines as the file does.
    stand_in = "{#" + "\n" * (matter.body_line - 1) + "#}" if matter.present else ""
    return TemplateSource(
        name, path, stand_in + matter.body, kind, matter.keys, matter.line("layout")
    )


def _walk(
    folder: Path, shown: str, below: str, problems: list[Problem]
) -> Iterator[tuple[str, Path]]:
    """Yield the name and file of every template in `folder`; links become problems."""
    if folder.is_symlink():
        problems.append(Problem(shown, message="is a symbolic link", hint="put the files here"))
        return
    if not folder.is_dir():
        return
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{shown}/{entry.name}"
        if entry.name.startswith(".") or entry.name.endswith("~"):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, path, f"{below}{entry.name}/", problems)
        elif entry.is_file(follow_symlinks=False):
            yield f"{below}{entry.name}", folder / entry.name
        else:
            message = "is not a regular file, so it is no template"
            problems.append(Problem(path, message=message, hint="put a copy of the file here"))


def _read(file: Path) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as stream:
        return stream.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
