"""`builder add`: bring images and files into the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import click

from builder.build.judge import judge_of
from builder.cli.add_files import FileLister
from builder.cli.options import Common, Console, common_options, remote_options
from builder.errors import ContentError, Problem, UsageError, counted, printable
from builder.oci.graph import select_platform
from builder.oci.platform import Platform
from builder.oci.reference import Reference, cosign_tags, is_referrers_tag, tag_fault
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.registry.model import RegistryOptions
from builder.remote.options import RemoteOptions
from builder.transports import ImageSource, SourceOptions, open_source
from builder.transports.intake import Added, add_image
from builder.transports.registry_sink import Part, Terms


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
    config = common.config()
    options, remote = config.registry, RemoteOptions(insecure, ca)
    chosen = SourceOptions(options.source / ".builder-cache", remote, artifact_type)
    lister = FileLister(options, remote, console) if files else None
    terms = Terms(
        created=now(), look=lister, judge=judge_of(config), force=force, dry_run=dry_run,
        allow_foreign=allow_foreign,
    )  # fmt: skip
    with lock(options), open_source(texts, chosen) as medium:
        wants = parse_platform(platform) if platform else None
        intake = _Intake(
            options, medium, console, terms, platform=wants, with_referrers=with_referrers
        )  # fmt: skip
        if all_tags:
            intake.add_all(wanted.name, tag_filter)
        else:
            tag = wanted.tag or medium.suggested_tag or "latest"
            intake.add("", Reference(wanted.name, tag))
    intake.report(one=not all_tags, listed=lister.listed if lister else 0)


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


class _Intake:
    """Adds images from one medium, and says what became of each."""

    def __init__(
        self,
        options: RegistryOptions,
        medium: ImageSource,
        console: Console,
        terms: Terms,
        *,
        platform: Platform | None,
        with_referrers: bool,
    ) -> None:
        self._options = options
        self._medium = medium
        self._console = console
        self._terms = terms
        self._platform = platform
        self._with_referrers = with_referrers
        self._added: list[Added] = []
        self._refused: dict[Reference, ContentError] = {}

    def add_all(self, name: str, patterns: Sequence[str]) -> None:
        """Add every tag that fits; those that are sound come in even if others are not."""
        for known, tag in self._tags(patterns):
            reference = Reference(name, tag)
            try:
                self.add(known, reference)
            except ContentError as error:
                self._refused[reference] = error

    def add(self, known: str, reference: Reference) -> None:
        """Add the image that the medium calls `known`, and what names it in its tag."""
        added = self._one(known, reference)
        if self._with_referrers:
            for companion in cosign_tags(added.manifests, self._medium.names()):
                self._one(companion, Reference(reference.name, companion.rpartition(":")[2]))

    def report(self, *, one: bool, listed: int) -> None:
        """Print what came in; raises ContentError when some did not."""
        dry_run = self._terms.dry_run
        for text in dict.fromkeys(text for added in self._added for text in added.warnings):
            self._console.warn(Problem(self._medium.label, message=text, warning=True))
        values = [_json(added, dry_run=dry_run) for added in self._added]
        values += [_refusal(*item, dry_run=dry_run) for item in self._refused.items()]
        lines = [_text(added, self._options, dry_run=dry_run) for added in self._added]
        if listed:
            lines.append(f"  listed the files of {counted(listed, 'layer')}")
        self._console.result(values[0] if one else values, "\n".join(lines))
        if self._refused:
            problems = [item for error in self._refused.values() for item in error.problems]
            names = ", ".join(map(str, self._refused))
            came = f"{counted(len(self._added), 'tag')} came in, {names} did not"
            raise ContentError(problems, came if self._added else "nothing was changed")

    def _one(self, known: str, reference: Reference) -> Added:
        medium = self._medium
        top = medium.resolve(known)
        if self._platform is not None:
            top = select_platform(top, medium, medium.label, self._platform)
        added = add_image(
            self._options, medium, top, reference, self._terms,
            progress=lambda total: self._console.progress(total, f"adding {reference}"),
            referrers=self._with_referrers,
        )  # fmt: skip
        self._added.append(added)
        return added

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
                if self._medium.resolve(other).digest == self._medium.resolve(known).digest:
                    continue
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
        "movedFrom": str(added.moved_from) if added.moved_from else None,
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


def _refusal(reference: Reference, error: ContentError, *, dry_run: bool) -> dict[str, Any]:
    problems = [problem.to_json() for problem in error.problems]
    name, tag = reference.name, reference.tag
    return {"name": name, "tag": tag, "changed": False, "dryRun": dry_run, "problems": problems}


def _text(added: Added, options: RegistryOptions, *, dry_run: bool) -> str:
    verb = "would add" if dry_run else "added" if added.changed else "unchanged:"
    count = f" with {added.referrers} referrers" if added.referrers else ""
    moved = f", moved from {added.moved_from}" if added.moved_from else ""
    lines = [f"{verb} {added.name}:{added.tag} {added.digest}{count}{moved}"]
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
