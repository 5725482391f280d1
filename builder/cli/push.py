"""`builder push`: images of this registry into another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import click

from builder.cli.console import Console
from builder.cli.options import Common, common_options, download_foreign, remote_options
from builder.errors import UsageError
from builder.oci.descriptor import Descriptor
from builder.oci.reference import Reference, cosign_tags
from builder.remote.options import RemoteOptions
from builder.transports.copy import copy_image, plan_copy
from builder.transports.registry import RegistrySource
from builder.transports.remote_sink import RemoteSink


class _Pushed(NamedTuple):
    """What was sent: sizes in bytes."""

    descriptor: Descriptor
    name: str
    total: int
    sent: int
    referrers: int
    changed: bool


@click.command("push")
@click.argument("reference", metavar="NAME[:TAG|@DIGEST]")
@click.argument("target", metavar="docker://HOST/NAME[:TAG]")
@click.option("--all-tags", is_flag=True, help="Push every tag of NAME under its own name.")
@click.option(
    "--no-referrers", is_flag=True, help="Do not copy signatures, SBOMs and other referrers."
)
@click.option(
    "--mount-from",
    metavar="NAME",
    multiple=True,
    help="A repository there to mount layers from; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be sent.")
@download_foreign
@remote_options
@common_options
def command(
    *,
    reference: str,
    target: str,
    all_tags: bool,
    no_referrers: bool,
    mount_from: tuple[str, ...],
    dry_run: bool,
    allow_foreign: bool,
    remote: RemoteOptions,
    common: Common,
) -> None:  # fmt: skip
    """Copy an image to another registry.

    The tag stays the same unless you give another one. Layers that are already
    there are not sent again; the tag is written last. An index keeps its
    digest.
    """
    console = common.console
    wanted = Reference.parse(reference)
    options = common.config().registry
    medium = RegistrySource.load(options, wanted.name, remote, allow_foreign=allow_foreign)
    with RemoteSink.parse(target, remote, mount_from) as sink:
        names = list(_names(medium, wanted, sink.tag, all_tags=all_tags))
        done: list[_Pushed] = []
        for here, there in names:
            done += _push(console, medium, sink, here, there,
                          referrers=not no_referrers, dry_run=dry_run)  # fmt: skip
    values = [_json(item, sink.label, dry_run=dry_run) for item in done]
    lines = [_text(item, sink.label, dry_run=dry_run) for item in done]
    console.result(values if all_tags else values[0], "\n".join(lines))


def _names(
    medium: RegistrySource, wanted: Reference, tag: str, *, all_tags: bool
) -> Iterator[tuple[str, str]]:
    """Yield what is pushed and the tag it gets there."""
    if all_tags:
        if wanted.tag or wanted.digest or tag:
            raise UsageError("--all-tags keeps the names of the tags", "write NAME alone, twice")
        yield from ((name, name) for name in medium.names())
    elif wanted.digest:
        yield wanted.digest, tag
    else:
        here = wanted.tag or "latest"
        yield here, tag or here


def _push(
    console: Console,
    medium: RegistrySource,
    sink: RemoteSink,
    here: str,
    there: str,
    *,
    referrers: bool,
    dry_run: bool,
) -> Iterator[_Pushed]:
    """Push an image, and the tags that are named after its digest."""
    waiting = [(here, there)]
    while waiting:
        here, there = waiting.pop()
        plan = plan_copy(medium, sink, medium.resolve(here), referrers=referrers)
        progress = partial(_progress, console, there)
        changed = dry_run or copy_image(medium, sink, plan, there, progress=progress)
        yield _Pushed(plan.top, there, plan.total, plan.sent, plan.referrers, changed)
        if referrers:
            named = cosign_tags(plan.manifests, medium.names())
            waiting += [(name, name) for name in named]


def _progress(
    console: Console, name: str, total: int
) -> AbstractContextManager[Callable[[int], None]]:
    return console.progress(total, f"pushing {name}")


def _json(item: _Pushed, label: str, *, dry_run: bool) -> dict[str, Any]:
    return {
        "to": label,
        "tag": item.name or None,
        "digest": str(item.descriptor.digest),
        "bytes": item.total,
        "sent": item.sent,
        "referrers": item.referrers,
        "changed": item.changed,
        "dryRun": dry_run,
    }


def _text(item: _Pushed, label: str, *, dry_run: bool) -> str:
    verb = "would push" if dry_run else "pushed" if item.changed else "unchanged:"
    where = f"{label}:{item.name}" if item.name else f"{label}@{item.descriptor.digest}"
    count = f" with {item.referrers} referrers" if item.referrers else ""
    return f"{verb} {where} {item.descriptor.digest}{count}, {item.sent} of {item.total} bytes sent"
