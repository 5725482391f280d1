"""`builder doctor`: what this machine has, and lacks, for what the builder can do."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from builder.cli.options import Common, common_options
from builder.offsite import Bucket
from builder.recipes.engines import ENGINES

HAVE, LACK = "has", "lacks"
_RECIPES = (("Containerfile", "images from a Containerfile"), ("Singularity", "images from a .def"))
# How a bucket's address begins: the variables that writing there needs.
_LOGINS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"),
}
_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_ENOUGH_WATCHES = 65_536


class Finding(NamedTuple):
    """One thing that can be done here or not: `what` is it, `found` why, `hint` the way out."""

    what: str
    state: str
    found: str
    hint: str = ""


@click.command("doctor")
@common_options
def command(*, common: Common) -> None:
    """Show which programs and settings are missing here, and what they are for.

    It changes nothing and contacts no other machine. In a registry's folder it
    also checks what the settings need. The exit code is always 0, because
    nobody needs everything.
    """
    findings = [*_machine(), *_registry(common)]
    width = max(len(item.what) for item in findings)
    lines = [line for item in findings for line in _lines(item, width)]
    common.console.result([item._asdict() for item in findings], "\n".join(lines))


def _lines(item: Finding, width: int) -> Iterator[str]:
    yield f"{item.state:5}  {item.what:{width}}  {item.found}"
    if item.hint:
        yield f"{'':{width + 7}}  {item.hint}"


def _machine() -> Iterator[Finding]:
    python = f"Python {platform.python_version()}"
    yield Finding("build, check, add, serve, publish", HAVE, python)
    yield _program("history, check --base, submit", ("git",))
    for recipe, what in _RECIPES:
        yield _program(what, [engine.name for engine in ENGINES if engine.suits(recipe)])
    yield _program("try a pull from 'builder serve'", ("skopeo", "podman", "docker", "crane"))
    if _WATCHES.is_file():
        limit = int(_WATCHES.read_text())
        few = limit < _ENOUGH_WATCHES
        hint = f"as root: sysctl fs.inotify.max_user_watches={_ENOUGH_WATCHES * 8}" if few else ""
        found = f"{limit:,} folders at once" + "; beyond that they are polled" * few
        yield Finding("watch a registry while serving", LACK if few else HAVE, found, hint)


def _program(what: str, names: Sequence[str]) -> Finding:
    """Look for the first program of several that do the same."""
    here = [name for name in names if shutil.which(name)]
    if here:
        return Finding(what, HAVE, ", ".join(here))
    hint = f"on Debian: apt-get install {names[0]}" if names[0] != "apptainer" else ""
    return Finding(what, LACK, " or ".join(names), hint or "see apptainer.org for packages")


def _registry(common: Common) -> Iterator[Finding]:
    """Look at what the settings of the registry need, where there is one."""
    config = common.config(anywhere=True)
    if not config.files:
        hint = "make one with 'builder new PATH', or name its folder with --source"
        yield Finding("a registry in this folder", LACK, "_config.yml", hint)
        return
    yield Finding("a registry in this folder", HAVE, str(config.source))
    if isinstance(bucket := config.registry.offsite, Bucket):
        wanted = _LOGINS[bucket.place.partition("://")[0]]
        missing = [name for name in wanted if not os.environ.get(name)]
        hint = "only 'add' and 'offload' need a login; building does not" if missing else ""
        found = ", ".join(missing or wanted)
        yield Finding(f"write layers to {bucket.place}", LACK if missing else HAVE, found, hint)
