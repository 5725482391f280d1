"""`builder add`: bring images and files into the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import click

from builder.cli.add_files import list_files
from builder.cli.options import Common, Console, common_options, remote_options
from builder.errors import ContentError, Problem, UsageError, printable
from builder.oci.platform import Platform
from builder.oci.reference import Reference, is_referrers_tag, tag_fault
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.registry.intake import Added, add_image, companions_of
from builder.registry.keep import Part
from builder.registry.model import RegistryOptions
from builder.remote.options import RemoteOptions
from builder.transports import ImageSource, SourceOptions, open_source


@click.command("add")
@click.argument("arguments", metavar="SOURCE... NAME[:TAG]", nargs=-1, required=True)
@click.option("--platform", metavar="OS/ARCH", help="Take one platform's image from an index.")
@click.option("--all-tags", is_flag=True, help="Take every tag that SOURCE has.")
@click.option(
    "--tag-filter",
    metavar="PATTERN",
    multiple=True,
    help="With --all-tags: only tags that fit, as in '1.*'; may be repeated.",
)
@click.option(
    "--with-referrers",
    is_flag=True,
    help="Also take signatures, SBOMs and all else that refers to the image.",
)
@click.option(
    "--files",
    is_flag=True,
    help="Also list what is in the layers, for pages and for reading single files.",
)
@click.option("--artifact-type", metavar="TYPE", default="", help="What files are, with file:.")
@click.option(
    "--allow-foreign",
    is_flag=True,
    help="Accept layers whose 'urls' send clients to other servers.",
)
@click.option("--force", is_flag=True, help="Move a tag even if it is immutable.")
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@remote_options
@common_options
def command(
    *,
    arguments: tuple[str, ...],
    platform: str | None,
    all_tags: bool,
    tag_filter: tuple[str, ...],
    with_referrers: bool,
    files: bool,
    artifact_type: str,
    allow_foreign: bool,
    force: bool,
    dry_run: bool,
    insecure: bool,
    ca: str,
    common: Common,
) -> None:  # fmt: skip
    """Bring an image or files in and give them a tag.

    SOURCE is docker://HOST/NAME[:TAG], oci:DIR[:REF], one of the other kinds
    or a path, which is recognised by what it is. TAG is 'latest' unless
    given. Every byte is checked against its digest; bytes that are already
    here are not copied.
    """
    console = common.console
    *texts, name = arguments
    wanted = _target(texts, name, all_tags=all_tags, filtered=bool(tag_filter))
    options = common.config().registry
    spool = options.source / ".builder-cache"
    chosen = SourceOptions(spool, RemoteOptions(insecure, ca), artifact_type)
    with lock(options), open_source(texts, chosen) as medium:
        intake = _Intake(
            options,
            medium,
            console,
            platform=parse_platform(platform) if platform else None,
            with_referrers=with_referrers,
            allow_foreign=allow_foreign,
            force=force,
            dry_run=dry_run,
        )
        if all_tags:
            found = intake.add_all(wanted.name, tag_filter)
        else:
            tag = wanted.tag or medium.suggested_tag or "latest"
            found = intake.add("", Reference(wanted.name, tag))
        listed = (
            [] if dry_run or not files else list_files(options, found, RemoteOptions(insecure, ca))
        )
    for text in dict.fromkeys(text for added in found for text in added.warnings):
        console.warn(Problem(medium.label, message=text, warning=True))
    values = [_json(added, dry_run=dry_run) for added in found]
    text = "\n".join(_text(added, options, dry_run=dry_run) for added in found)
    if listed:
        text += f"\n  listed the files of {len(listed)} layers"
    console.result(values if all_tags else values[0], text)


def _target(texts: Sequence[str], name: str, *, all_tags: bool, filtered: bool) -> Reference:
    """Return where images go, or raise UsageError for flags that do not fit each other."""
    if not texts:
        raise UsageError("one argument is not enough", "write builder add SOURCE NAME:TAG")
    wanted = Reference.parse(name)
    if wanted.digest:
        raise UsageError(f"{name}: an image is added under a tag", "write NAME:TAG")
    if all_tags and wanted.tag:
        raise UsageError(f"{name}: --all-tags keeps the names of the tags", "write NAME alone")
    if filtered and not all_tags:
        raise UsageError("--tag-filter chooses among all tags", "add --all-tags")
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choices:
    """What the flags say of every image."""

    platform: Platform | None
    with_referrers: bool
    allow_foreign: bool
    force: bool
    dry_run: bool


class _Intake:
    """Adds images from one medium."""

    def __init__(
        self, options: RegistryOptions, medium: ImageSource, console: Console, **choices: Any
    ) -> None:
        self._options = options
        self._medium = medium
        self._console = console
        self._choices = _Choices(**choices)

    def add_all(self, name: str, patterns: Sequence[str]) -> list[Added]:
        """Add every tag that fits; those that are sound come in even if others are not."""
        found: list[Added] = []
        problems: list[Problem] = []
        for known, tag in self._tags(patterns):
            try:
                found += self.add(known, Reference(name, tag))
            except ContentError as error:
                problems += error.problems
        if problems:
            for added in found:
                self._console.say(f"added {added.name}:{added.tag}")
            raise ContentError(problems)
        return found

    def add(self, known: str, reference: Reference) -> list[Added]:
        """Add the image that the medium calls `known`, and what names it in its tag."""
        added = self._one(known, reference)
        found = [added]
        if self._choices.with_referrers:
            for companion in companions_of(added.manifests, self._medium.names()):
                tag = companion.rpartition(":")[2]
                found.append(self._one(companion, Reference(reference.name, tag)))
        return found

    def _one(self, known: str, reference: Reference) -> Added:
        medium, choices = self._medium, self._choices
        return add_image(
            self._options,
            medium,
            medium.resolve(known),
            reference,
            label=medium.label,
            created=now(),
            progress=lambda total: self._console.progress(total, f"adding {reference}"),
            referrers=medium.referrers if choices.with_referrers else None,
            streams=medium.streams,
            allow_foreign=choices.allow_foreign,
            platform=choices.platform,
            force=choices.force,
            dry_run=choices.dry_run,
        )

    def _tags(self, patterns: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield the medium's names that fit, with the tags that they become."""
        seen: dict[str, str] = {}
        for known in self._medium.names():
            tag = known.rpartition(":")[2]
            fits = any(fnmatchcase(tag, pattern) for pattern in patterns or "*")
            if not fits or is_referrers_tag(tag):
                continue
            if fault := tag_fault(tag):
                raise ContentError.at(self._medium.label, fault, "leave it out by --tag-filter")
            if (other := seen.setdefault(tag, known)) != known:
                message = f"{other} and {known} would both be the tag {tag!r}"
                raise ContentError.at(self._medium.label, message, "add them one by one")
            yield known, tag
        if not seen:
            hint = "see --tag-filter" if patterns else ""
            raise ContentError.at(self._medium.label, "has no tag that fits", hint)


def parse_platform(text: str) -> Platform:
    """Return the platform that a user typed as OS/ARCH[/VARIANT]; raises UsageError."""
    found = Platform.parse(text)
    if found is None:
        hint = "write OS/ARCH, as in linux/arm64 or 'windows(10.0.17763)/amd64'"
        raise UsageError(f"--platform {text}: is no platform", hint)
    return found


def _json(added: Added, *, dry_run: bool) -> dict[str, Any]:
    return {
        "name": added.name,
        "tag": added.tag,
        "digest": str(added.digest),
        "changed": added.changed,
        "dryRun": dry_run,
        "newBytes": added.new_bytes,
        "referrers": added.referrers,
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
    count = f" with {added.referrers} referrers" if added.referrers else ""
    lines = [f"{verb} {added.name}:{added.tag} {added.digest}{count}"]
    layers = [part for part in added.parts if part.is_layer]
    lines.extend(
        f"  layer {part.descriptor.digest} {part.descriptor.size} bytes: {_place(part, options)}"
        for part in layers
    )
    if hint := storage_hint(layers, options):
        lines.append(f"  {hint}")
    return "\n".join(map(printable, lines))


def storage_hint(layers: Iterable[Part], options: RegistryOptions) -> str:
    """Return what is to do about layers that others who build this site would not find."""
    if options.offsite is not None or all(part.place != "store" for part in layers):
        return ""
    return (
        f"{options.store}/ is not committed: set registry.blobs, "
        "or raise registry.commit_below, if others build this site"
    )


def _place(part: Part, options: RegistryOptions) -> str:
    before = "was already " if part.kept else ""
    places = {
        "collection": f"{before}committed in the collection",
        "store": f"{before}kept in {options.store}, which is not committed",
        "urls": "left where its URLs point",
        "offsite": f"{before}kept in the place that registry.blobs names",
    }
    return places[part.place]
