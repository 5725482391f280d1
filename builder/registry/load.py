"""Reading one collection's folder into a checked `Collection`.

Collects every problem of the folder before giving up, and never follows a
link. What it returns is complete: each manifest parsed, each blob found and
hashed, or named in a problem.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import ContentError, Problem
from builder.frontmatter import FrontMatter
from builder.layers.listing import Listing, read_listing
from builder.oci.layout import MARKER
from builder.registry.companions import with_companions
from builder.registry.content import Missing, Unverifiable, referrers_of
from builder.registry.findings import Findings
from builder.registry.layouts import layout_tags
from builder.registry.legacy import oci_manifest
from builder.registry.model import (
    Collection,
    LegacyManifest,
    Namespace,
    RegistryOptions,
    Tag,
    with_same_yank,
)
from builder.registry.readme import read_readme
from builder.registry.scan import Folder, find_folder, is_litter, is_picture, readme_of
from builder.registry.schema import check_collection
from builder.registry.tagfolder import read_tag_folder
from builder.storage.cache import Cache


@dataclass(frozen=True, slots=True)
class Loaded:
    """A collection, and what is wrong with it.

    `seen` is what could be read of it, also after errors. `signature` is that
    of the folder, taken before anything in it was read.
    """

    seen: Collection
    problems: tuple[Problem, ...]
    signature: str

    @property
    def collection(self) -> Collection | None:
        """The collection as it may be published; None after an error."""
        failed = any(not problem.warning for problem in self.problems)
        return None if failed else self.seen


def load_collection(
    options: RegistryOptions, name: str, cache: Cache, folder: Folder | None = None
) -> Loaded:
    """Return the collection `name` of the registry, with every problem of its folder.

    `folder` is what a walk has just found of it; without, it is walked now.
    """
    if options.staged is not None and options.staged.name == name:
        folder = Folder(
            name, is_collection=True, signature="", newest=0, files=options.staged.files
        )
    folder = folder or find_folder(options.source, options.collections, name)
    findings = Findings(options, name, cache)
    collection = _Loader(options, folder, findings).load()
    return Loaded(collection, tuple(sorted(set(findings.problems))), folder.signature)


def load_namespace(
    options: RegistryOptions, found: Folder
) -> tuple[Namespace, tuple[Problem, ...]]:
    """Return the namespace that a walk found, with the text of its README."""
    name = found.name
    origin = f"{options.collections}/{name}"
    try:
        matter = read_readme(options.source / origin, origin, found.files)
    except ContentError as error:
        return Namespace(name, origin), error.problems
    problems = tuple(check_collection(matter, name))
    files = {file: options.source / origin / file for file in found.files if is_picture(file)}
    return Namespace(
        name, origin, matter.keys, matter.body, matter.body_line, matter.path, files
    ), problems


class _Loader:
    """Reads one collection; `findings` grows while it does."""

    def __init__(self, options: RegistryOptions, found: Folder, findings: Findings) -> None:
        self._findings = findings
        self._options = options
        self._files = found.files
        self._name = name = found.name
        self._origin = f"{options.collections}/{name}"
        self._folder = options.folder(name)

    def load(self) -> Collection:
        names = sorted(name for name in os.listdir(self._folder) if not is_litter(name))
        readme = self._readme(names)
        tags = [*self._folder_tags(names), *self._layout_tags(names)]
        self._case_clashes(tags)
        tags = [self._finish(tag) for tag in sorted(tags, key=lambda tag: tag.name)]
        self._referrers()
        found = Collection(
            self._name,
            self._origin,
            readme.keys,
            readme.body,
            readme.body_line,
            readme.path,
            tuple(with_same_yank(tags)),
            self._findings.content.manifests,
            self._findings.content.configs,
            self._findings.content.blobs,
            referrers_of(tuple(self._findings.content.manifests.values())),
            self._images(),
            self._listings(),
            self._folder,
            warnings=tuple(self._findings.warnings),
            elsewhere=self._findings.content.elsewhere,
        )
        companions = self._options.companions
        return with_companions(
            found, companions, self._findings.content.read, self._findings.problems.append
        )

    def _readme(self, names: list[str]) -> FrontMatter:
        try:
            matter = read_readme(self._folder, self._origin, names)
        except ContentError as error:
            self._findings.problems.extend(error.problems)
            return FrontMatter(f"{self._origin}/{readme_of(names)}", {}, "")
        if matter.path:
            self._findings.problems.extend(check_collection(matter, self._name))
        return matter

    def _folder_tags(self, names: list[str]) -> list[Tag]:
        """Return the tags that have folders of their own, below `manifests/`."""
        if "manifests" not in names:
            return []
        tags = []
        base = self._folder / "manifests"
        with os.scandir(base) as entries:
            names = [item.name for item in entries if item.is_dir(follow_symlinks=False)]
        for name in sorted(name for name in names if not is_litter(name)):
            origin = f"{self._origin}/manifests/{name}"
            try:
                tags.append(read_tag_folder(base / name, origin, self._findings))
            except ContentError as error:
                self._findings.problems.extend(error.problems)
        return tags

    def _layout_tags(self, names: list[str]) -> list[Tag]:
        """Return the tags of a collection folder that is an image layout itself."""
        if MARKER not in names:
            return []
        try:
            return layout_tags(self._folder, self._origin, self._findings)
        except ContentError as error:
            self._findings.problems.extend(error.problems)
            return []

    def _case_clashes(self, tags: list[Tag]) -> None:
        seen: dict[str, Tag] = {}
        for tag in sorted(tags, key=lambda tag: tag.name, reverse=True):
            other = seen.setdefault(tag.name.lower(), tag)
            if other is not tag:
                message = f"the tags {tag.name!r} and {other.name!r} differ only in case"
                if tag.name == other.name:
                    message = f"the tag {tag.name!r} is here twice: {other.origin} has it too"
                hint = "one file on disks and hosts that ignore case; rename one"
                self._findings.problems.append(Problem(tag.origin, message=message, hint=hint))

    def _finish(self, tag: Tag) -> Tag:
        """Gather what a tag needs; tell whether OCI clients can have it."""
        if tag.legacy is not None and tag.manifest is None:
            return self._finish_legacy(tag, tag.legacy)
        if tag.manifest is None:
            self._findings.problems.extend(
                Problem(tag.origin, message=f"is left out: {text}", warning=True)
                for text in tag.warnings
            )
            return tag
        try:
            available = self._findings.complete(tag.manifest, tag.origin, tag.name)
        except Unverifiable as fault:
            why = (*tag.warnings, str(fault))
            return self._finish(replace(tag, manifest=None, available=False, warnings=why))
        inner = (tag.manifest.digest, *(child.digest for child in tag.manifest.manifests))
        configs = (self._findings.content.configs.get(digest) for digest in inner)
        built = max((config.built for config in configs if config is not None), default="")
        odd = tuple(dict.fromkeys((*tag.warnings, *self._findings.content.warnings(tag.manifest))))
        self._findings.problems.extend(
            Problem(tag.origin, message=text, warning=True) for text in odd
        )
        return replace(tag, available=available, built=built, warnings=odd)

    def _finish_legacy(self, tag: Tag, legacy: LegacyManifest) -> Tag:
        """Let clients have an original manifest whose content is here, in the size it says.

        The original wrote sizes in KiB, and a config that was the image itself.
        """
        manifest = oci_manifest(legacy)
        try:
            if manifest is not None:
                self._findings.content.complete(manifest, tag.origin)
        except (Missing, Unverifiable, ContentError):
            return tag
        return replace(tag, manifest=manifest)

    def _referrers(self) -> None:
        for manifest in list(self._findings.content.unreached()):
            try:
                self._findings.complete(manifest, self._origin, f"the referrer {manifest.digest}")
            except Unverifiable as fault:
                self._findings.leave_out(
                    self._origin, f"the referrer {manifest.digest}", str(fault)
                )

    def _listings(self) -> dict[str, Listing]:
        """Return the listings of layers that are here; one that is damaged is a problem."""
        found: dict[str, Listing] = {}
        for digest in sorted(self._findings.content.blobs):
            try:
                listing = read_listing(self._folder, digest, self._origin)
                if listing is not None:
                    found[digest] = listing
            except ContentError as error:
                self._findings.problems.extend(error.problems)
        return found

    def _images(self) -> Mapping[str, Path]:
        """Return the images that the README may show, by their path in the folder."""
        return {name: self._folder / name for name in self._files if is_picture(name)}
