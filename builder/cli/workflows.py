"""`builder workflows`: the files that make CI check, build, deploy and verify."""

from __future__ import annotations

from pathlib import Path

import click

from builder.cli.options import Common, common_options
from builder.offsite import Bucket
from builder.offsite.registry import RegistryLayers
from builder.storage.base import Offsite
from builder.workflows.render import CIS, deployable, render
from builder.workflows.write import EDITED, SAME, Planned, plan, refuse_edited, write


@click.command("workflows")
@click.option(
    "-t", "--target", default="",
    help=f"Where CI deploys: {', '.join(deployable())}.  [default: registry.target, or the "
         "CI's own pages]",
)  # fmt: skip
@click.option(
    "--ci", "cis", type=click.Choice(CIS), multiple=True,
    help="The CI service; may be repeated.  [default: both]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite files that were edited.")
@click.option("--dry-run", is_flag=True, help="Show what would change, but change nothing.")
@common_options
def command(
    *, target: str, cis: tuple[str, ...], force: bool, dry_run: bool, common: Common
) -> None:
    """Write the CI files for GitHub Actions and GitLab CI.

    They check pull requests, build pending recipes, deploy the site and verify
    it every week. Run it again to update them; files that you edited are not
    overwritten.
    """
    console = common.console
    config = common.config()
    name = target or config.target.capabilities.name
    layers = _scheme(config.registry.offsite)
    mirrors = bool(config.mirrors)
    files = {path: text for ci in cis or CIS
             for path, text in render(ci, name, layers, mirrors=mirrors).items()}  # fmt: skip
    planned = plan(Path(common.source), files)
    if not dry_run:
        if not force:
            refuse_edited(planned)
        write(Path(common.source), planned)
    rows = [{"path": item.path, "state": item.state} for item in planned]
    console.result(rows, "\n".join(_line(item, dry_run=dry_run) for item in planned))


def _scheme(place: Offsite | None) -> str:
    """Return how `registry.blobs` begins where CI needs a login to write there."""
    if isinstance(place, Bucket):
        return place.place.partition("://")[0]
    return "docker" if isinstance(place, RegistryLayers) else ""


def _line(item: Planned, *, dry_run: bool) -> str:
    if item.state == SAME:
        return f"unchanged {item.path}"
    if not dry_run:
        return f"wrote {item.path}"
    word = "was edited:" if item.state == EDITED else "would write"
    return f"{word} {item.path}\n{item.difference}".rstrip("\n")
