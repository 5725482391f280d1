"""`builder add`: import images and files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import click

from builder.build.judge import judge_of
from builder.cli.add_files import FileLister, warn_of_damage
from builder.cli.console import Console
from builder.cli.intake import Intake
from builder.cli.options import (
    Common,
    accept_foreign,
    common_options,
    dry_run_option,
    remote_options,
)
from builder.errors import ContentError, UsageError, printable
from builder.oci.platform import Platform
from builder.oci.reference import Reference, name_fault
from builder.offsite import Bucket
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.registry.model import RegistryOptions
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError, RegistryClient
from builder.transports.reference import is_reference
from builder.transports.registry_sink import Terms
from builder.transports.remote import RemoteSource
from builder.transports.sources import SourceOptions, has_scheme, open_source


@click.command("add")
@click.argument("arguments", metavar="SOURCE... NAME[:TAG]", nargs=-1, required=True)
@click.option("--platform", metavar="OS/ARCH", help="Import only the image of one platform.")
@click.option("--all-tags", is_flag=True, help="Import every tag of SOURCE.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Import every repository of docker://HOST, or those that match docker://HOST/PATTERN.",
)
@click.option(
    "--tag-filter",
    metavar="PATTERN",
    multiple=True,
    help="With --all-tags or --all: only tags that match, such as '1.*'; may be repeated.",
)
@click.option(
    "--with-referrers", is_flag=True, help="Also import signatures, SBOMs and other referrers."
)
@click.option(
    "--files",
    is_flag=True,
    help="Also list the files in each layer, for pages and for reading single files.",
)
@click.option(
    "--artifact-type", metavar="TYPE", default="", help="With file: the artifact type of the files."
)
@accept_foreign
@click.option("--force", is_flag=True, help="Move a tag even if it is immutable.")
@dry_run_option
@remote_options
@common_options
def command(
    *,
    arguments: tuple[str, ...],
    platform: str | None,
    all_tags: bool,
    everything: bool,
    tag_filter: tuple[str, ...],
    with_referrers: bool,
    files: bool,
    artifact_type: str,
    allow_foreign: bool,
    force: bool,
    dry_run: bool,
    remote: RemoteOptions,
    common: Common,
) -> None:  # fmt: skip
    """Import an image or files under a tag.

    SOURCE is docker://HOST/NAME[:TAG], oci:DIR[:REF], another kind of source, or
    a path. TAG is 'latest' by default. Every byte is checked against its digest;
    content that is already here is not copied again. A file at
    https://HOST/FILE or s3://BUCKET/KEY is not copied: clients download it from
    there.
    """
    console = common.console
    config = common.config()
    options = config.registry
    lister = FileLister(options, remote, console) if files else None
    look = lister or (lambda sink, tag: warn_of_damage(sink, tag, console))
    # What apps hold is not read in a dry run: then they are not unpacked either.
    judge = judge_of(replace(config, apps=()) if dry_run else config)
    terms = Terms(
        created=now(), look=look, judge=judge, force=force, dry_run=dry_run,
        allow_foreign=allow_foreign or is_reference(arguments[0]),
    )  # fmt: skip
    wants = parse_platform(platform) if platform else None
    intake = Intake(options, console, terms, platform=wants, with_referrers=with_referrers)
    if everything:
        with lock(options):
            _add_registry(intake, console, arguments, tag_filter, remote)
        intake.report(one=False, listed=lister.listed if lister else 0)
        return
    *texts, name = arguments
    wanted = _target(texts, name, all_tags=all_tags, filtered=bool(tag_filter))
    chosen = SourceOptions(
        options.source / ".builder-cache", remote, artifact_type,
        addresses=_addresses(options),
        progress=lambda total: console.progress(total, f"reading {texts[0]}"),
    )  # fmt: skip
    with lock(options), open_source(texts, chosen) as medium:
        if all_tags:
            intake.add_all(medium, wanted.name, tag_filter)
        else:
            tag = wanted.tag or medium.suggested_tag or "latest"
            intake.add(medium, "", Reference(wanted.name, tag))
    intake.report(one=not all_tags, listed=lister.listed if lister else 0)


def _addresses(options: RegistryOptions) -> dict[str, str]:
    """Return where clients get what is in the bucket of `registry.blobs`, if that is one."""
    place = options.offsite
    return {place.place: place.address} if isinstance(place, Bucket) else {}


def _place(arguments: Sequence[str]) -> tuple[str, str]:
    """Return the registry, with a pattern for names, and what names get before them here."""
    place, *more = arguments
    if not place.startswith("docker://") or len(more) > 1:
        hint = "write docker://HOST, or docker://HOST/PATTERN as in docker://HOST/team/*"
        raise UsageError("--all takes a whole registry", hint)
    if more and (fault := name_fault(more[0])):
        raise UsageError(f"{more[0]}: {fault}")
    return place.removeprefix("docker://"), f"{more[0]}/" if more else ""


def _add_registry(
    intake: Intake,
    console: Console,
    arguments: Sequence[str],
    patterns: Sequence[str],
    remote: RemoteOptions,
) -> None:
    """Add every repository of a registry; what an earlier run brought is passed over."""
    place, prefix = _place(arguments)
    host, _, pattern = place.partition("/")
    client = RegistryClient(host, remote)
    names = [name for name in client.catalog() if fnmatchcase(name, pattern or "*")]
    if not names:
        raise ContentError.at(f"docker://{place}", "no repository in the catalogue matches")
    for number, name in enumerate(sorted(names), 1):
        console.say(printable(f"{number} of {len(names)}: {name}"))
        reference = Reference(f"{prefix}{name}")
        medium = RemoteSource(client.repository(name), "", f"docker://{host}/{name}")
        try:
            if fault := name_fault(reference.name):
                raise ContentError.at(medium.label, fault)
            intake.add_all(medium, reference.name, patterns, only_new=True)
        except ContentError as error:
            intake.refuse(reference, error)
        except NotFoundError:
            console.say("  it has no tags")


def _target(texts: Sequence[str], name: str, *, all_tags: bool, filtered: bool) -> Reference:
    """Return where images go, or raise UsageError for flags that do not fit each other."""
    if not texts:
        raise UsageError("one argument is not enough", "write builder add SOURCE NAME:TAG")
    wanted = Reference.parse(name)
    if has_scheme(name) and not has_scheme(texts[0]) and not os.path.lexists(texts[0]):
        hint = f"write builder add {name} {texts[0]}"
        raise UsageError(f"{name}: the source comes first, then the name", hint)
    if wanted.digest:
        raise UsageError(f"{name}: an image is added under a tag", "write NAME:TAG")
    if all_tags and wanted.tag:
        raise UsageError(f"{name}: --all-tags keeps the names of the tags", "write NAME alone")
    if filtered and not all_tags:
        raise UsageError("--tag-filter chooses among all tags", "add --all-tags")
    return wanted


def parse_platform(text: str) -> Platform:
    """Return the platform that a user typed as OS/ARCH[/VARIANT]; raises UsageError."""
    found = Platform.parse(text)
    if found is None:
        hint = "write OS/ARCH, as in linux/arm64 or 'windows(10.0.17763)/amd64'"
        raise UsageError(f"--platform {text}: is not a platform", hint)
    return found
