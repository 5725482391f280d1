"""`builder export`: images of this registry into a folder or a file."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from builder.cli.add import parse_platform
from builder.cli.options import Common, common_options, download_foreign, remote_options
from builder.errors import UsageError
from builder.oci.graph import select_platform
from builder.oci.reference import Reference
from builder.remote.options import RemoteOptions
from builder.transports.archive_sink import ArchiveSink, DockerArchiveSink
from builder.transports.copy import copy_image, plan_copy
from builder.transports.layout_sink import LayoutSink
from builder.transports.registry import RegistrySource
from builder.transports.sink import ImageSink

_SCHEMES = ("oci", "oci-archive", "docker-archive")


@click.command("export")
@click.argument("reference", metavar="NAME[:TAG|@DIGEST]")
@click.argument("target", metavar="oci:DIR[:REF]|oci-archive:FILE[:REF]|docker-archive:FILE")
@click.option("--platform", metavar="OS/ARCH", help="Copy only the image of one platform.")
@click.option(
    "--referrers", is_flag=True, help="Also copy referrers: signatures, SBOMs and others."
)
@click.option(
    "--as",
    "repo_tag",
    metavar="NAME:TAG",
    default="",
    help="The name in a Docker archive.  [default: the name here]",
)
@download_foreign
@remote_options
@common_options
def command(
    *,
    reference: str,
    target: str,
    platform: str | None,
    referrers: bool,
    repo_tag: str,
    allow_foreign: bool,
    remote: RemoteOptions,
    common: Common,
) -> None:  # fmt: skip
    """Copy an image to an image layout or an archive.

    An existing image layout keeps its other images. '-' as FILE is standard
    output: builder export x/y docker-archive:- | docker load
    """
    console = common.console
    wanted = Reference.parse(reference, tag="latest")
    scheme, path, name = _target(target)
    options = common.config().registry
    medium = RegistrySource.load(options, wanted.name, remote, allow_foreign=allow_foreign)
    top = medium.resolve(wanted.digest or wanted.tag)
    if platform:
        top = select_platform(top, medium, medium.label, parse_platform(platform))
    name = name or wanted.tag or "latest"
    sink = _sink(
        scheme, path, _spool(options.source), repo_tag or f"{wanted.name}:{wanted.tag or 'latest'}"
    )
    with sink:
        plan = plan_copy(medium, sink, top, referrers=referrers)
        changed = copy_image(
            medium, sink, plan, name,
            progress=lambda total: console.progress(total, f"writing {path}"),
        )  # fmt: skip
    if path == "-":
        return
    value = {
        "to": target,
        "name": name,
        "digest": str(plan.top.digest),
        "bytes": plan.total,
        "changed": changed,
    }
    verb = "wrote" if changed else "unchanged:"
    console.result(value, f"{verb} {scheme}:{path}:{name} {plan.top.digest}")


def _spool(source: Path) -> Path:
    """Return the folder for what waits to be packed; of a read-only registry, the machine's."""
    cache = source / ".builder-cache"
    writable = os.access(cache if cache.exists() else source, os.W_OK)
    return cache if writable else Path(tempfile.gettempdir())


def _target(text: str) -> tuple[str, str, str]:
    """Return scheme, path and name of a target; raises UsageError."""
    scheme, colon, rest = text.partition(":")
    if scheme not in _SCHEMES or not colon or not rest:
        known = ", ".join(f"{name}:PATH" for name in _SCHEMES)
        raise UsageError(f"{text}: cannot write there", f"write NAME:TAG, then one of {known}")
    path, _, name = rest.partition(":")
    if path == "-" and scheme == "oci":
        raise UsageError(f"{text}: a folder cannot go to standard output", "use oci-archive:-")
    if path == "-" and sys.stdout.isatty():
        raise UsageError(
            f"{text}: an archive cannot be written to a terminal", "use a pipe or a file"
        )
    return scheme, path, name


def _sink(scheme: str, path: str, spool: Path, repo_tag: str) -> ImageSink:
    label = f"{scheme}:{path}"
    if scheme == "oci":
        return LayoutSink(Path(path), label)
    if scheme == "oci-archive":
        return ArchiveSink(path, label, spool)
    return DockerArchiveSink(path, label, spool, repo_tag)
