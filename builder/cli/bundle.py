"""`builder bundle`: a static website as an artifact."""

from __future__ import annotations

import os
from pathlib import Path

import click

from builder.apps.bundle import BundleOptions, BundleSource, RunnableSource
from builder.apps.model import CONFIG_TYPE
from builder.build.judge import judge_of
from builder.cli.add import parse_platform
from builder.cli.console import Console
from builder.cli.intake import Intake
from builder.cli.options import Common, common_options, remote_options
from builder.errors import Problem, UsageError
from builder.oci import mediatype
from builder.oci.graph import select_platform
from builder.oci.reference import Reference
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.remote.options import RemoteOptions
from builder.transports.copy import copy_image, plan_copy
from builder.transports.layout_sink import LayoutSink
from builder.transports.registry_sink import Terms
from builder.transports.sources import SourceOptions, open_source

_BASE_PLATFORM = "linux/amd64"


@click.command("bundle")
@click.argument("folder", metavar="DIR")
@click.argument("reference", metavar="NAME:VERSION")
@click.option(
    "--split",
    is_flag=True,
    help="One layer per top-level folder, so that versions share unchanged folders.",
)
@click.option("--spa", is_flag=True, help="Answer unknown paths below the app with its index.html.")
@click.option("--index", "as_index", is_flag=True, help="Wrap the artifact in an image index.")
@click.option(
    "--type",
    "kind",
    metavar="TYPE",
    default=CONFIG_TYPE,
    show_default=True,
    help="The media type of the config.",
)
@click.option(
    "--root-dir",
    metavar="PATH",
    default="",
    help="The folder's name in the layers.  [default: the name of DIR]",
)
@click.option(
    "--runnable", is_flag=True, help="Also create an image that serves the app: VERSION-image."
)
@click.option(
    "--base",
    metavar="SOURCE",
    default="",
    help="With --runnable: the image of a web server, any source of 'builder add'.",
)
@click.option(
    "--web-root",
    default="/usr/share/nginx/html",
    show_default=True,
    help="With --runnable: the web root in the base image.",
)
@click.option(
    "--platform",
    metavar="OS/ARCH",
    default=_BASE_PLATFORM,
    show_default=True,
    help="With --runnable: the platform of the base image.",
)
@click.option(
    "-o",
    "--output",
    metavar="oci:DIR",
    default="",
    help="Write an image layout instead of adding to the registry.",
)
@click.option("--force", is_flag=True, help="Move a tag even if it is immutable.")
@click.option("--dry-run", is_flag=True, help="Package and check everything, but change nothing.")
@remote_options
@common_options
def command(
    *,
    folder: str,
    reference: str,
    split: bool,
    spa: bool,
    as_index: bool,
    kind: str,
    root_dir: str,
    runnable: bool,
    base: str,
    web_root: str,
    platform: str,
    output: str,
    force: bool,
    dry_run: bool,
    remote: RemoteOptions,
    common: Common,
) -> None:  # fmt: skip
    """Package a static website as an artifact with a version.

    DIR contains index.html. The same files give the same digest on any machine.
    To get the folder back, unpack the layer with 'tar -xz'.
    """
    console = common.console
    wanted = Reference.parse(reference, tag="latest")
    if not mediatype.is_valid(kind):
        raise UsageError(f"--type {kind}: is not a media type")
    if runnable != bool(base):
        raise UsageError("--runnable needs --base, and --base is for it", "give both or none")
    if output and runnable:
        raise UsageError("--output takes the artifact alone", "leave out --runnable")
    config = common.config(anywhere=bool(output))
    options = config.registry
    terms = Terms(created=now(), judge=judge_of(config), force=force, dry_run=dry_run)
    spool = options.source / ".builder-cache"
    root = root_dir.strip("/") or os.path.basename(os.path.realpath(folder))
    chosen = BundleOptions(root, kind, spa, split, as_index)
    with BundleSource(Path(folder), folder, chosen, spool) as bundle:
        for name in bundle.hidden:
            text = "is hidden and was left out"
            console.warn(Problem(f"{folder}/{name}", message=text, warning=True))
        if output:
            _to_layout(console, bundle, output, wanted)
            return
        intake = Intake(options, console, terms)
        with lock(options):
            intake.add(bundle, "", wanted)
            if runnable:
                image = Reference(wanted.name, f"{wanted.tag}-image")
                with open_source([base], SourceOptions(spool, remote)) as medium:
                    top = select_platform(
                        medium.resolve(), medium, medium.label, parse_platform(platform)
                    )
                    made = RunnableSource(bundle, medium, top, web_root)
                    intake.add(made, "", image)
    intake.report(one=not runnable, listed=0)


def _to_layout(console: Console, bundle: BundleSource, output: str, wanted: Reference) -> None:
    scheme, colon, path = output.partition(":")
    if scheme != "oci" or not colon or not path:
        raise UsageError(f"--output {output}: cannot write there", "write oci:DIR")
    with LayoutSink(Path(path), output) as sink:
        plan = plan_copy(bundle, sink, bundle.resolve())
        copy_image(
            bundle, sink, plan, wanted.tag,
            progress=lambda total: console.progress(total, f"writing {path}"),
        )  # fmt: skip
    digest = str(plan.top.digest)
    value = {"to": output, "tag": wanted.tag, "digest": digest, "bytes": plan.total}
    console.result(value, f"wrote {output}:{wanted.tag} {digest}")
