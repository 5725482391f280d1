"""Images that come in, one after the other: what became of each, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from builder.cli.console import Console
from builder.errors import ContentError, Problem, counted, printable, some
from builder.oci.digest import Digest
from builder.oci.graph import select_platform
from builder.oci.platform import Platform
from builder.oci.reference import Reference, cosign_tags, is_referrers_tag, tag_fault, tag_of
from builder.registry.folder import CollectionFolder
from builder.registry.model import RegistryOptions
from builder.transports.intake import Added, add_image
from builder.transports.registry_sink import Part, Terms
from builder.transports.sources import ImageSource


class Intake:
    """Adds images, and says what became of each.

    `listed` of `report` counts the layers whose files were listed.
    """

    def __init__(
        self,
        options: RegistryOptions,
        console: Console,
        terms: Terms,
        *,
        platform: Platform | None = None,
        with_referrers: bool = False,
    ) -> None:
        self._options = options
        self._console = console
        self._terms = terms
        self._platform = platform
        self._with_referrers = with_referrers
        self._added: list[Added] = []
        self._refused: dict[Reference, ContentError] = {}

    def add_all(
        self, medium: ImageSource, name: str, patterns: Sequence[str], *, only_new: bool = False
    ) -> None:
        """Add every tag that fits; those that are sound come in even if others are not.

        `only_new` passes over tags that point to the same here already. Images
        without a tag are told, where patterns do not leave them out anyway.
        """
        unnamed = [known for known in medium.names() if not tag_of(known)]
        if unnamed and not patterns:
            message = f"images without a tag are left out: {some(unnamed)}"
            hint = f"add it under a tag: SOURCE is {medium.label}:{unnamed[0]} then"
            self._console.warn(Problem(medium.label, 0, message, hint, warning=True))
        for tag, names in _tags(medium, patterns).items():
            reference = Reference(name, tag)
            try:
                known = _known_as(medium, tag, names)
                if not (only_new and self._is_here(medium, known, reference)):
                    self.add(medium, known, reference)
            except ContentError as error:
                self.refuse(reference, error)

    def add(self, medium: ImageSource, known: str, reference: Reference) -> None:
        """Add the image that the medium calls `known`, and what names it in its tag."""
        added = self._one(medium, known, reference)
        if self._with_referrers:
            for companion in cosign_tags(added.manifests, medium.names()):
                tag = companion.rpartition(":")[2]
                self._one(medium, companion, Reference(reference.name, tag))

    def refuse(self, reference: Reference, error: ContentError) -> None:
        """Note that something does not come in."""
        self._refused[reference] = error

    def report(self, *, one: bool, listed: int) -> None:
        """Print what came in; raises ContentError when some did not."""
        dry_run = self._terms.dry_run
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

    def _one(self, medium: ImageSource, known: str, reference: Reference) -> Added:
        top = medium.resolve(known)
        if self._platform is not None:
            top = select_platform(top, medium, medium.label, self._platform)
        added = add_image(
            self._options, medium, top, reference, self._terms,
            progress=lambda total: self._console.progress(total, f"adding {reference}"),
            referrers=self._with_referrers,
        )  # fmt: skip
        for text in added.warnings:
            self._console.warn(Problem(medium.label, message=text, warning=True))
        self._added.append(added)
        return added

    def _is_here(self, medium: ImageSource, known: str, reference: Reference) -> bool:
        raw = CollectionFolder(self._options, reference.name).raw_manifest(reference.tag)
        if raw is None or Digest.of(raw) != (digest := medium.resolve(known).digest):
            return False
        here = Added(reference.name, reference.tag, digest, (), (digest,), 0, (), changed=False)
        self._added.append(here)
        return True


def _tags(medium: ImageSource, patterns: Sequence[str]) -> dict[str, list[str]]:
    """Return the tags that fit, and for each the medium's names of it."""
    found: dict[str, list[str]] = {}
    for known in medium.names():
        tag = tag_of(known)
        fits = any(fnmatchcase(tag, pattern) for pattern in patterns or "*")
        if tag and fits and not is_referrers_tag(tag):
            found.setdefault(tag, []).append(known)
    if not found:
        hint = "see --tag-filter" if patterns else "add images without names by number: ':@0'"
        raise ContentError.at(medium.label, "has no tag that fits", hint)
    return found


def _known_as(medium: ImageSource, tag: str, names: Sequence[str]) -> str:
    """Return the name of the image that a tag stands for.

    Raises ContentError for what is no tag, and where names of it are several images.
    """
    if fault := tag_fault(tag):
        raise ContentError.at(medium.label, fault, "add it under another tag, by its name")
    if len({medium.resolve(known).digest for known in names}) > 1:
        message = f"{' and '.join(names)} would all be the tag {tag!r}"
        raise ContentError.at(medium.label, message, "add them one by one")
    return names[0]


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
    # A host that cannot redirect leads no client to where registry.blobs puts them.
    other = "set registry.blobs" if options.companions.redirects else "give them a copy of it"
    return (
        f"{options.store}/ is not committed: {other}, "
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
