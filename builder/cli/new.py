"""`builder new`: a registry of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from builder.cli.options import Common, common_options
from builder.errors import ContentError
from builder.git import start
from builder.workflows.render import CIS, locked_requirements, render, updates
from builder.workflows.requirement import requirement
from builder.workflows.write import plan, refuse_edited, write

_CONFIG = """\
title: My registry
description: Containers, served as plain files.
# url: https://registry.example.org   # where the site is served
# baseurl: ""                         # the path below it, if any
markdown: GFM                         # READMEs as GitHub shows them

registry:
  target: plain                       # where the site is served: nginx, s3, github-pages, ...
"""
_README = """\
---
title: My registry
---
Welcome. Every folder below `collections/` is a repository that clients can pull from.
"""
_IGNORE = "/_site/\n/_site.*/\n/_blobs/\n/.builder-cache/\n/*.key\n"
_ATTRIBUTES = """\
# Exact bytes: a digest is over each of them, so no line ends are ever converted.
collections/**/blobs/** -text
collections/**/manifest.json -text
"""
_OWNERS = """\
# Who may propose what: 'builder check --base' holds pull requests to it. The last line that fits a
# path counts. Owners are logins, teams, and how GitHub sees an author: association/member.
*                       @association/owner @association/member @dependabot[bot]
collections/            * @association/owner @association/member
# collections/team/     @somebody @organisation/team
"""
_BUILDER = "# The builder itself, as CI installs it. What it needs is in requirements.txt.\n"
_UNKNOWN = """\
# This registry was created by a builder that CI cannot install, as it came from a local folder.
# Name one that CI can install below.
# static-container-registry @ git+https://HOST/OWNER/REPOSITORY@COMMIT
"""
_NEXT = """\
created {path}. Next steps:
  cd {path}
  builder add docker://HOST/NAME:TAG team/tool:1.0   import an image, or put a recipe
                                                     into collections/TEAM/TOOL/manifests/TAG/
  builder serve                                      look at it, and pull from it
  git add . && git commit, then git push             CI builds recipes and deploys the site
Which host will serve it? A server or a bucket serves every client; GitHub Pages is free but serves
only some. Set registry.target in _config.yml, then run builder workflows."""


@click.command("new")
@click.argument("path")
@click.option("--no-git", is_flag=True, help="Do not create a git repository.")
@common_options
def command(*, path: str, no_git: bool, common: Common) -> None:
    """Create a registry in the folder PATH, with the files that CI needs.

    PATH becomes a git repository, unless it is inside one. The registry uses the
    installed theme; a file of the same path in _layouts, _includes or assets
    overrides one of the theme's.
    """
    console = common.console
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ContentError.at(path, "is not an empty folder", "choose a new name")
    builder = requirement()
    files = _files(builder)
    planned = plan(folder, files)
    refuse_edited(planned)  # somebody else may be at work in an empty folder, too
    write(folder, planned)
    if not no_git:
        start(folder)
    if builder is None:
        console.say(f"note: CI cannot install the builder yet; see {path}/builder.txt")
    console.result({"path": path, "files": sorted(files)}, _NEXT.format(path=path))


def _files(builder: str | None) -> dict[str, str]:
    """Return what a new registry consists of; `builder` is pip's line for the package."""
    files = {
        "_config.yml": _CONFIG,
        "README.md": _README,
        "OWNERS": _OWNERS,
        ".gitignore": _IGNORE,
        ".gitattributes": _ATTRIBUTES,
        "collections/.gitkeep": "",
        "builder.txt": f"{_BUILDER}{builder}\n" if builder else _BUILDER + _UNKNOWN,
        "requirements.txt": locked_requirements(),
    }
    for ci in CIS:
        files |= render(ci, "plain")
    return files | updates()
