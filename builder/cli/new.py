"""`builder new`: a registry of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from builder.cli.options import Console, common_options
from builder.errors import ContentError

_CONFIG = """\
title: My registry
description: Containers, served as plain files.
# url: https://registry.example.org   # where the site is served
# baseurl: ""                         # the path below it, if any

registry:
  target: plain                       # plain, nginx or github-pages
"""
_README = """\
---
title: My registry
---
Welcome. Every folder below `collections/` is a repository that clients can pull from.
"""
_IGNORE = "/_site/\n/_site.*/\n/_blobs/\n/.builder-cache/\n"


@click.command("new")
@click.argument("path")
@common_options
def command(
    *,
    path: str,
    source: str,
    configs: str | None,
    quiet: bool,
    as_json: bool,
    no_color: bool,
) -> None:
    """Make a new registry in the folder PATH.

    It uses the theme of the installed package; a file of the same path in
    _layouts, _includes or assets overrides it.
    """
    del source, configs
    console = Console(quiet=quiet, as_json=as_json, no_color=no_color)
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ContentError.at(path, "is not an empty folder", "choose a new name")
    files = {"_config.yml": _CONFIG, "README.md": _README, ".gitignore": _IGNORE,
             "collections/.gitkeep": ""}  # fmt: skip
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    lines = (f"made {path}", f"next: cd {path} && builder add oci:IMAGE NAME:TAG && builder serve")
    console.result({"path": path, "files": sorted(files)}, "\n".join(lines))
