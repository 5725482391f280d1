"""Reading one collection's folder into a checked `Collection`.

Collects every problem of the folder before giving up, and never follows a
link. What it returns is complete: each manifest parsed, each blob found and
hashed, or named in a problem.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder import frontmatter
from builder.errors import ContentError, Problem
from builder.frontmatter import FrontMatter
from builder.layers.listing import Listing, read_listing
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.layout import INDEX, MARKER, ImageLayout, name_of, with_true_size
from builder.oci.manifest import Manifest
from builder.oci.reference import tag_fault
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, UnverifiableError, parse_manifest
from builder.registry.companions import with_companions
from builder.registry.content import ContentIndex, Missing, Unverifiable, referrers_of
from builder.registry.layouts import layout_tags, tag_folder_image
from builder.registry.legacy import (
    CONVERTED_FROM,
    has_manifest,
    is_made_from,
    oci_manifest,
    parse_legacy,
)
from builder.registry.model import (
    Collection,
    LegacyManifest,
    Namespace,
    RegistryOptions,
    Tag,
    with_same_yank,
)
from builder.registry.recipe import MANIFEST, read_recipe, recipe_file
from builder.registry.scan import Folder, find_folder, is_litter, is_picture, readme_of
from builder.registry.schema import (
    LEGACY_KEYS,
    TAG_KEYS,
    check_collection,
    check_keys,
    legacy_problems,
)
from builder.storage.cache import Cache
from builder.storage.local import open_regular

_MAX_README = 1 << 20
_NO_ALGORITHM = "only sha256 and sha512 digests can be verified here"


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
        folder = Folder(name, is_collection=True, signature="", newest=0)
    folder = folder or find_folder(options.source, options.collections, name)
    loader = _Loader(options, folder, cache)
    collection = loader.load()
    problems = tuple(sorted(set(loader.problems)))
    return Loaded(collection, problems, folder.signature)


def load_namespace(
    options: RegistryOptions, found: Folder
) -> tuple[Namespace, tuple[Problem, ...]]:
    """Return the namespace that a walk found, with the text of its README."""
    name = found.name
    origin = f"{options.collections}/{name}"
    path = f"{origin}/{readme_of(found.files)}"
    try:
        matter = _read_readme(options.source / path, path)
    except ContentError as error:
        return Namespace(name, origin), error.problems
    problems = tuple(check_collection(matter, name))
    files = {file: options.source / origin / file for file in found.files if is_picture(file)}
    return Namespace(
        name, origin, matter.keys, matter.body, matter.body_line, path, files
    ), problems


def _read_readme(path: Path, label: str) -> FrontMatter:
    with open_regular(path, label) as stream:
        raw = stream.read(_MAX_README + 1)
    if len(raw) > _MAX_README:
        raise ContentError.at(label, f"is too large: the limit is {_MAX_README} bytes")
    if not raw.strip():
        hint = "write a title and a description, or remove the file"
        raise ContentError.at(label, "is empty", hint)
    return frontmatter.parse(raw, label)


class _Loader:
    """Reads one collection; `problems` grows while it does."""

    def __init__(self, options: RegistryOptions, found: Folder, cache: Cache) -> None:
        self.problems: list[Problem] = []
        self._options = options
        self._files = found.files
        self._name = name = found.name
        self._origin = f"{options.collections}/{name}"
        self._folder = options.folder(name)
        self._shelf = ContentIndex(options, name, cache, self.problems.append)
        self._warnings: list[str] = []  # what the page of the collection says

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
            self._shelf.manifests,
            self._shelf.configs,
            self._shelf.blobs,
            referrers_of(tuple(self._shelf.manifests.values())),
            self._images(),
            self._listings(),
            self._folder,
            warnings=tuple(self._warnings),
            elsewhere=self._shelf.elsewhere,
        )
        companions = self._options.companions
        return with_companions(found, companions, self._shelf.read, self.problems.append)

    def _readme(self, names: list[str]) -> FrontMatter:
        file = readme_of(names)
        path = f"{self._origin}/{file}"
        if not file:
            return FrontMatter("", {}, "")
        try:
            matter = _read_readme(self._folder / file, path)
        except ContentError as error:
            self.problems.extend(error.problems)
            return FrontMatter(path, {}, "")
        self.problems.extend(check_collection(matter, self._name))
        return matter

    def _folder_tags(self, names: list[str]) -> list[Tag]:
        if "manifests" not in names:
            return []
        tags = []
        base = self._folder / "manifests"
        for name in sorted(os.listdir(base)):
            if is_litter(name) or (base / name).is_symlink() or not (base / name).is_dir():
                continue
            try:
                if (tag := self._tag(name)) is not None:
                    tags.append(tag)
            except ContentError as error:
                self.problems.extend(error.problems)
        return tags

    def _tag(self, name: str) -> Tag | None:
        origin = f"{self._origin}/manifests/{name}"
        if fault := tag_fault(name):
            raise ContentError.at(origin, fault, "rename the folder")
        folder = self._folder / "manifests" / name
        names = sorted(item for item in os.listdir(folder) if not is_litter(item))
        matter = self._tag_readme(folder, origin, names)
        manifest, why = self._tag_manifest(folder, origin, names)
        legacy = self._legacy(matter, manifest) if has_manifest(matter) else None
        recipe = None
        if file := recipe_file(names, origin):
            built = legacy is not None or (manifest is not None and readme_of(names) != "")
            recorded = str(matter.keys.get("inputs") or "")
            recipe = read_recipe(folder, origin, file, built=built, recorded=recorded)
        if manifest is None and legacy is None and recipe is None and not why:
            raise ContentError([_no_content(folder, origin, names)])
        keys = matter.keys
        return Tag(
            name,
            origin,
            manifest,
            legacy,
            recipe,
            keys,
            matter.body,
            matter.body_line,
            str(keys.get("created") or ""),
            str(keys.get("yanked") or ""),
            available=manifest is not None or not why,
            warnings=tuple(filter(None, [why])),
            notes_path=matter.path,
        )

    def _legacy(self, matter: FrontMatter, manifest: Manifest | None) -> LegacyManifest | None:
        """Return the manifest in front matter, unless the tag has one that is not made of it."""
        if manifest is None:
            return parse_legacy(matter)
        if CONVERTED_FROM not in manifest.annotations:
            return None
        legacy = parse_legacy(matter)
        return legacy if is_made_from(manifest, legacy) else None

    def _tag_readme(self, folder: Path, origin: str, names: list[str]) -> FrontMatter:
        file = readme_of(names)
        path = f"{origin}/{file}"
        if not file:
            return FrontMatter("", {}, "")
        matter = _read_readme(folder / file, path)
        known = {**TAG_KEYS, **dict.fromkeys(LEGACY_KEYS, _anything)}
        self.problems.extend(check_keys(matter, known))
        if "layers" in matter.keys and MANIFEST in names:
            self.problems.extend(legacy_problems(matter))
        return matter

    def _tag_manifest(
        self, folder: Path, origin: str, names: list[str]
    ) -> tuple[Manifest | None, str]:
        """Return what a tag folder points to, and what is odd about that, or why it is nothing."""
        if MANIFEST in names:
            label = f"{origin}/{MANIFEST}"
            with open_regular(folder / MANIFEST, label) as stream:
                raw = stream.read(MAX_BYTES + 1)
            try:
                return self._parse(raw, "", label), _line_ends(raw)
            except Unverifiable as fault:
                return None, str(fault)
        if MARKER not in names:
            return None, ""
        self._shelf.add_layout(folder, origin)
        entries = self._entries(folder, origin)
        manifests = self._manifests(entries, origin)
        digest, why = tag_folder_image(folder.name, entries, manifests)
        return manifests[digest] if digest else None, why

    def _layout_tags(self, names: list[str]) -> list[Tag]:
        """Return the tags of a collection folder that is an image layout itself."""
        if MARKER not in names:
            return []
        try:
            entries = self._entries(self._folder, self._origin)
            manifests = self._manifests(entries, self._origin)
        except ContentError as error:
            self.problems.extend(error.problems)
            return []
        broken = {item.digest for item in entries if item.media_type in mediatype.MANIFESTS}
        broken -= manifests.keys()
        sound = [item for item in entries if item.digest not in broken]
        found = layout_tags(sound, manifests)
        origin = f"{self._origin}/index.json"
        if not found.tags:
            found.left_out.append("the image layout holds no image under a tag")
        for text in found.left_out:
            self.problems.append(Problem(origin, message=text, warning=True))
        self._warnings += found.left_out
        for digest, manifest in manifests.items():
            if digest not in found.tags.values():
                try:
                    self._complete(manifest, origin, digest)
                except Unverifiable as fault:
                    self._leave_out(origin, digest, str(fault))
        sizes = {entry.digest: entry.warning for entry in entries}
        return [
            Tag(tag, origin, manifests[digest], warnings=tuple(filter(None, [sizes[digest]])))
            for tag, digest in found.tags.items()
        ]

    def _entries(self, folder: Path, origin: str) -> list[Descriptor]:
        """Return the entries of an image layout with their true sizes."""
        layout = ImageLayout(folder, origin)
        found = layout.entries()
        for digest, name in found.left_out:
            called = f" ({name})" if name else ""
            self._leave_out(f"{origin}/{INDEX}", f"the entry {digest}{called}", _NO_ALGORITHM)
        return [with_true_size(entry, layout) for entry in found.entries]

    def _manifests(self, entries: Sequence[Descriptor], origin: str) -> dict[Digest, Manifest]:
        """Return the manifests of a layout's entries, under the digests that it has for them.

        Those that are missing or broken are problems.
        """
        found: dict[Digest, Manifest] = {}
        label = f"{origin}/index.json"
        for entry in entries:
            if entry.media_type not in mediatype.MANIFESTS:
                continue
            try:
                raw = self._shelf.read(entry)
                manifest = parse_manifest(raw, entry.media_type, allow_foreign=True)
            except Missing:
                name = name_of(entry) or entry.digest
                self._lacks(label, "the image layout", entry)
                self._warnings.append(f"{name} is left out: {entry.digest} is not here")
            except UnverifiableError as error:
                self._leave_out(label, name_of(entry) or entry.digest, error.message)
            except ManifestError as error:
                self.problems.extend(error.located(label, entry.digest).problems)
            except ContentError as error:
                self.problems.extend(error.problems)
            else:
                found[entry.digest] = replace(manifest, digest=entry.digest)
        return found

    def _parse(self, raw: bytes, media_type: str, label: str) -> Manifest:
        try:
            return parse_manifest(raw, media_type, allow_foreign=True)
        except UnverifiableError as error:
            raise Unverifiable(error.message) from None
        except ManifestError as error:
            raise ContentError(
                Problem(label, message=str(fault), hint=fault.hint or "add the image again")
                for fault in error.faults
            ) from None

    def _case_clashes(self, tags: list[Tag]) -> None:
        seen: dict[str, Tag] = {}
        for tag in sorted(tags, key=lambda tag: tag.name, reverse=True):
            other = seen.setdefault(tag.name.lower(), tag)
            if other is not tag:
                message = f"the tags {tag.name!r} and {other.name!r} differ only in case"
                if tag.name == other.name:
                    message = f"the tag {tag.name!r} is here twice: {other.origin} has it too"
                hint = "one file on disks and hosts that ignore case; rename one"
                self.problems.append(Problem(tag.origin, message=message, hint=hint))

    def _finish(self, tag: Tag) -> Tag:
        """Gather what a tag needs; tell whether OCI clients can have it."""
        if tag.legacy is not None and tag.manifest is None:
            return self._finish_legacy(tag, tag.legacy)
        if tag.manifest is None:
            self.problems.extend(
                Problem(tag.origin, message=f"is left out: {text}", warning=True)
                for text in tag.warnings
            )
            return tag
        try:
            available = self._complete(tag.manifest, tag.origin, tag.name)
        except Unverifiable as fault:
            why = (*tag.warnings, str(fault))
            return self._finish(replace(tag, manifest=None, available=False, warnings=why))
        inner = (tag.manifest.digest, *(child.digest for child in tag.manifest.manifests))
        configs = (self._shelf.configs.get(digest) for digest in inner)
        moments = [config.created_date for config in configs if config is not None]
        built = max((moment.isoformat() for moment in moments if moment), default="")
        odd = tuple(dict.fromkeys((*tag.warnings, *self._shelf.warnings(tag.manifest))))
        self.problems.extend(Problem(tag.origin, message=text, warning=True) for text in odd)
        return replace(tag, available=available, built=built, warnings=odd)

    def _finish_legacy(self, tag: Tag, legacy: LegacyManifest) -> Tag:
        """Let clients have an original manifest whose content is here, in the size it says.

        The original wrote sizes in KiB, and a config that was the image itself.
        """
        manifest = oci_manifest(legacy)
        try:
            if manifest is not None:
                self._shelf.complete(manifest, tag.origin)
        except (Missing, Unverifiable, ContentError):
            return tag
        return replace(tag, manifest=manifest)

    def _complete(self, manifest: Manifest, origin: str, what: str) -> bool:
        try:
            self._shelf.complete(manifest, origin)
        except ContentError as error:
            self.problems.extend(error.problems)
        except Missing as missing:
            self._lacks(origin, what, missing.descriptor)
            return False
        return True

    def _lacks(self, origin: str, what: str, gone: Descriptor) -> None:
        message = f"{what} needs {gone.digest} ({gone.size} bytes), which is not here"
        there = "set registry.blobs, " if self._options.companions.redirects else ""
        hint = f"add the image again, {there}or build with --allow-missing"
        allowed = self._options.allow_missing
        self.problems.append(Problem(origin, message=message, hint=hint, warning=allowed))

    def _leave_out(self, origin: str, what: str, why: str) -> None:
        """Say on the collection's page, and as a warning, what of it is not published."""
        text = f"{what} is left out: {why}"
        self._warnings.append(text)
        self.problems.append(Problem(origin, message=text, warning=True))

    def _referrers(self) -> None:
        for manifest in list(self._shelf.unreached()):
            try:
                self._complete(manifest, self._origin, f"the referrer {manifest.digest}")
            except Unverifiable as fault:
                self._leave_out(self._origin, f"the referrer {manifest.digest}", str(fault))

    def _listings(self) -> dict[str, Listing]:
        """Return the listings of layers that are here; one that is damaged is a problem."""
        found: dict[str, Listing] = {}
        for digest in sorted(self._shelf.blobs):
            try:
                listing = read_listing(self._folder, digest, self._origin)
                if listing is not None:
                    found[digest] = listing
            except ContentError as error:
                self.problems.extend(error.problems)
        return found

    def _images(self) -> Mapping[str, Path]:
        """Return the images that the README may show, by their path in the folder."""
        return {name: self._folder / name for name in self._files if is_picture(name)}


def _anything(value: Any) -> str:  # noqa: ARG001 - checked by registry.legacy
    return ""


def _line_ends(raw: bytes) -> str:
    """Return a warning where git seems to have changed a manifest's bytes, and so its digest."""
    if 0 < raw.count(b"\n") == raw.count(b"\r\n"):
        return (
            f"{MANIFEST} has Windows line ends: if git converted them, its digest has changed; "
            "write 'manifest.json -text' into .gitattributes and add the image again"
        )
    return ""


def _no_content(folder: Path, origin: str, names: list[str]) -> Problem:
    inner = [name for name in names if (folder / name).is_dir() and name != "blobs"]
    if inner:
        message = "a tag cannot hold another tag: its name has no '/'"
        return Problem(f"{origin}/{inner[0]}", message=message, hint="move the folder up")
    message = "the tag has no manifest.json, no manifest in its README.md, and no recipe"
    return Problem(origin, message=message, hint="bring the image in with 'builder add'")
