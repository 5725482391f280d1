"""`builder add`: bring an image into the registry."""

from __future__ import annotations

import re
from typing import Any

import click

from builder.cli.options import Console, common_options, load_config
from builder.errors import Problem, UsageError, printable
from builder.oci.descriptor import Platform
from builder.oci.reference import Reference
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.registry.intake import Added, Part, add_image
from builder.registry.model import RegistryOptions
from builder.transports import SourceOptions, open_source

_PLATFORM = re.compile(r"([a-z0-9]+)/([a-z0-9_]+)(?:/([a-z0-9]+))?")


@click.command("add")
@click.argument("image", metavar="SOURCE")
@click.argument("reference", metavar="NAME[:TAG]")
@click.option("--platform", metavar="OS/ARCH", help="Take one platform's image from an index.")
@click.option("--allow-foreign", is_flag=True,
              help="Accept layers whose 'urls' send clients to other servers.")  # fmt: skip
@click.option("--force", is_flag=True, help="Move a tag even if it is immutable.")
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@common_options
def command(
    *,
    image: str,
    reference: str,
    platform: str | None,
    allow_foreign: bool,
    force: bool,
    dry_run: bool,
    source: str,
    configs: str | None,
    quiet: bool,
    as_json: bool,
    no_color: bool,
) -> None:
    """Bring an image in and give it a tag.

    SOURCE is oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF],
    or a path, which is recognised by what it is. TAG is 'latest' unless given.
    Every byte is checked against its digest; bytes already here are not copied.
    """
    console = Console(quiet=quiet, as_json=as_json, no_color=no_color)
    wanted = Reference.parse(reference, tag="latest")
    if wanted.digest:
        raise UsageError(f"{reference}: an image is added under a tag", "write NAME:TAG")
    options = load_config(source=source, configs=configs).registry
    chosen = _platform(platform) if platform else None
    spool = options.source / ".builder-cache"
    with lock(options), open_source([image], SourceOptions(spool)) as medium:
        added = add_image(
            options,
            medium,
            medium.resolve(),
            wanted,
            label=medium.label,
            created=now(),
            progress=lambda total: console.progress(total, f"adding {wanted}"),
            allow_foreign=allow_foreign,
            platform=chosen,
            force=force,
            dry_run=dry_run,
        )
    for text in added.warnings:
        console.warn(Problem(medium.label, message=text, warning=True))
    console.result(_json(added, dry_run=dry_run), _text(added, options, dry_run=dry_run))


def _platform(text: str) -> Platform:
    found = _PLATFORM.fullmatch(text)
    if found is None:
        raise UsageError(f"--platform {text}: is no platform", "write OS/ARCH, as in linux/arm64")
    return Platform(found[1], found[2], found[3] or "")


def _json(added: Added, *, dry_run: bool) -> dict[str, Any]:
    return {
        "name": added.name,
        "tag": added.tag,
        "digest": str(added.digest),
        "changed": added.changed,
        "dryRun": dry_run,
        "newBytes": added.new_bytes,
        "layers": [
            {
                "digest": str(part.descriptor.digest),
                "size": part.descriptor.size,
                "place": part.place,
                "alreadyThere": part.kept,
            }
            for part in added.parts
            if part.is_layer
        ],
        "warnings": list(added.warnings),
    }


def _text(added: Added, options: RegistryOptions, *, dry_run: bool) -> str:
    verb = "would add" if dry_run else "added" if added.changed else "unchanged:"
    lines = [f"{verb} {added.name}:{added.tag} {added.digest}"]
    layers = [part for part in added.parts if part.is_layer]
    lines.extend(
        f"  layer {part.descriptor.digest} {part.descriptor.size} bytes: {_place(part, options)}"
        for part in layers
    )
    if any(part.place == "store" for part in layers) and options.blobs == "site":
        lines.append(
            f"  {options.store}/ is not committed: set registry.blobs, "
            "or raise registry.commit_below, if others build this site"
        )
    return "\n".join(map(printable, lines))


def _place(part: Part, options: RegistryOptions) -> str:
    before = "was already " if part.kept else ""
    places = {
        "collection": f"{before}committed in the collection",
        "store": f"{before}kept in {options.store}, which is not committed",
        "urls": "left where its URLs point",
    }
    return places[part.place]
