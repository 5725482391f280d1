"""A collection's folder as something to write in: its tags, its README, its blobs.

Every change appears whole or not at all: files are replaced by rename, a new
tag folder is made under a hidden name first. What a killed run leaves behind
is hidden, and swept by the next.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from builder import frontmatter
from builder.errors import ContentError, LocalError, Problem, printable
from builder.oci.layout import MARKER as LAYOUT_MARKER
from builder.oci.manifest import Manifest
from builder.oci.strictjson import MAX_BYTES
from builder.oci.validate import ManifestError, parse_manifest
from builder.registry.model import RegistryOptions
from builder.registry.recipe import MANIFEST, recipe_file
from builder.registry.scan import README, is_litter, readme_of, scan
from builder.storage import LocalStorage
from builder.storage.local import (
    hidden_beside,
    make_folder,
    open_regular,
    sweep_folder,
    sync_folder,
    write_durably,
)

TAGS = "manifests"
_MAX_README = 1 << 20
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_. -]{0,98}[A-Za-z0-9]|[A-Za-z]")  # needs no quotes in YAML


class CollectionFolder:
    """The folder of the collection `name`, whether or not it is there yet.

    `origin` is its source path, as messages name it; `blobs` its own content.
    """

    def __init__(self, options: RegistryOptions, name: str) -> None:
        self.name = name
        self.origin = f"{options.collections}/{name}"
        self.path = options.source / self.origin
        self.blobs = LocalStorage(self.path, self.origin)
        self._options = options
        self._tags = self.path / TAGS

    def check(self) -> None:
        """Raise ContentError unless this is a folder that tags can be written in."""
        path = self._options.source
        for part in self.origin.split("/"):
            path /= part
            if path.is_symlink():
                label = path.relative_to(self._options.source).as_posix()
                raise ContentError.at(label, "is a symbolic link", "put the folder itself there")
            if path.exists() and not path.is_dir():
                label = path.relative_to(self._options.source).as_posix()
                raise ContentError.at(label, "is a file where a folder belongs", "move it away")
        if self._tags.is_symlink():
            raise ContentError.at(f"{self.origin}/{TAGS}", "is a symbolic link")
        if (self.path / LAYOUT_MARKER).exists():
            hint = "change it with the tool that made it (skopeo, umoci), or use another name"
            raise ContentError.at(self.origin, "the collection is an image layout", hint)

    def require(self) -> None:
        """Raise ContentError when there is no such collection, which a namespace is not."""
        below = scan(self._options.source, self._options.collections, self.name).folders
        found = None if self.path.is_symlink() else below.get(self.name)
        if found is None or not found.is_collection:
            message = "is a namespace" if below else "there is no such collection"
            raise ContentError.at(self.origin, message, "see 'builder list'")

    def sweep(self) -> None:
        """Remove what killed runs left; call with the registry's lock held."""
        self.blobs.sweep()
        sweep_folder(self.path)
        sweep_folder(self._tags)
        for tag in self.tags():
            sweep_folder(self._tags / tag)

    def tags(self) -> list[str]:
        """Return the names of the tag folders, in byte order."""
        try:
            names = os.listdir(self._tags)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(
            name for name in names if not is_litter(name) and (self._tags / name).is_dir()
        )

    def open_manifest(self, tag: str) -> BinaryIO:
        """Open a tag's `manifest.json`; raises FileNotFoundError where it has none."""
        return open_regular(self._tags / tag / MANIFEST, f"{self.origin}/{TAGS}/{tag}/{MANIFEST}")

    def raw_manifest(self, tag: str) -> bytes | None:
        """Return the bytes of a tag's `manifest.json`, or None where it has none."""
        try:
            with self.open_manifest(tag) as stream:
                return stream.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None

    def manifests(self) -> Iterator[tuple[str, Manifest]]:
        """Yield every tag that has a `manifest.json`; raises ContentError for a broken one."""
        for tag in self.tags():
            if (raw := self.raw_manifest(tag)) is None:
                continue
            try:
                yield tag, parse_manifest(raw, allow_foreign=True)
            except ManifestError as error:
                raise error.located(f"{self.origin}/{TAGS}/{tag}/{MANIFEST}") from None

    def readme_name(self, tag: str = "") -> str:
        """Return how the README of the collection or of a tag is called, or would be."""
        folder = self._tags / tag if tag else self.path
        return readme_of(os.listdir(folder) if folder.is_dir() else ()) or README

    def readme(self, tag: str = "") -> str | None:
        """Return the text of the README of the collection or of a tag, or None."""
        inner = f"{TAGS}/{tag}/{self.readme_name(tag)}" if tag else self.readme_name()
        label = f"{self.origin}/{inner}"
        try:
            with open_regular(self.path / inner, label) as stream:
                return frontmatter.decode(stream.read(_MAX_README), label)
        except FileNotFoundError:
            return None

    def check_tag(self, tag: str) -> None:
        """Raise ContentError where a tag of this name cannot be written."""
        if (self._tags / tag / LAYOUT_MARKER).exists():
            message = "the tag is an image layout of its own"
            hint = f"remove it first: builder untag {self.name}:{tag}"
            raise ContentError.at(f"{self.origin}/{TAGS}/{tag}", message, hint)
        for other in self.tags():
            if other != tag and other.lower() == tag.lower():
                message = f"the tags {tag!r} and {other!r} differ only in case"
                raise ContentError.at(f"{self.origin}/{TAGS}/{other}", message, "use another name")

    def refuse_immutable(self, *tags: str, change: str) -> None:
        """Raise ContentError when configuration or collection say that a tag stays as it is.

        `change` is what would happen to it, after "would".
        """
        readme = (self.readme() or "").encode()
        keys = frontmatter.parse(readme, f"{self.name}/{README}").keys
        problems = []
        for tag in tags:
            if is_immutable(self.name, tag, self._options.immutable, keys):
                message = f"the tag {tag!r} is immutable and would {change}"
                hint = "use a new tag, or --force"
                problems.append(Problem(f"{self.origin}/{TAGS}/{tag}", 0, message, hint))
        if problems:
            raise ContentError(problems)

    def place_tag(self, tag: str, staged: Path) -> None:
        """Let a tag be what a finished folder holds; what else is in its own stays.

        On return the tag survives a power cut.
        """
        final = self._tags / tag
        if not final.is_dir():
            make_folder(self._tags)
            staged.replace(final)
            sync_folder(self._tags)
            return
        # The manifest first, because a tag without README is whole.
        for name in (MANIFEST, self.readme_name(tag)):
            if (staged / name).exists():
                (staged / name).replace(final / name)
        sync_folder(final)

    def write_readme(self, text: str) -> None:
        """Write the collection's README; raises LocalError."""
        try:
            make_folder(self.path)
            write_durably(self.path / README, text.encode())
        except OSError as error:
            raise LocalError.of(error, f"{self.origin}/{README}") from error

    def holds_manifest(self, digest: str) -> bool:
        """Tell whether a blob of this digest is a manifest: a child of an index, a referrer."""
        if not 0 < (self.blobs.size(digest) or 0) <= MAX_BYTES:
            return False
        with self.blobs.open(digest) as stream:
            raw = stream.read()
        try:
            parse_manifest(raw, allow_foreign=True)
        except ManifestError:
            return False
        return True

    def referrers(self, digest: str) -> list[str]:
        """Return the digests of all manifests that refer to one, and to each of those in turn."""
        subjects: dict[str, list[str]] = {}
        for stored in self.blobs.list():
            if (subject := self._subject(stored.digest, stored.size)) is not None:
                subjects.setdefault(subject, []).append(stored.digest)
        found: list[str] = []
        waiting = [digest]
        while waiting:
            new = [item for item in subjects.get(waiting.pop(), ()) if item not in found]
            found += new
            waiting += new
        return found

    def _subject(self, digest: str, size: int) -> str | None:
        """Return the digest that the manifest in a blob refers to, if it is one."""
        if not 0 < size <= MAX_BYTES:
            return None
        with self.blobs.open(digest) as stream:
            raw = stream.read()
        if b'"subject"' not in raw:
            return None
        try:
            subject = parse_manifest(raw, allow_foreign=True).subject
        except ManifestError:
            return None
        return subject.digest if subject is not None else None

    def has_recipe(self, tag: str) -> bool:
        """Tell whether a tag's folder says how it is made."""
        names = [name for name in os.listdir(self._tags / tag) if not is_litter(name)]
        return bool(recipe_file(names, f"{self.origin}/{TAGS}/{tag}"))

    def drop_tag(self, tag: str) -> bool:
        """Remove a tag; tell whether its recipe stays, which makes it pending."""
        folder = self._tags / tag
        if self.has_recipe(tag):
            for name in (self.readme_name(tag), MANIFEST):
                (folder / name).unlink(missing_ok=True)
            sync_folder(folder)
            return True
        _remove_tree(folder)
        self.prune()
        return False

    def drop(self) -> None:
        """Remove the collection; collections below it stay."""
        below = scan(self._options.source, self._options.collections, self.name).folders
        if not any(name.startswith(f"{self.name}/") for name in below):
            _remove_tree(self.path)
        else:
            kept = {name[len(self.name) + 1 :].partition("/")[0] for name in below} - {""}
            for entry in os.listdir(self.path):
                if entry not in kept:
                    _remove_tree(self.path / entry)
        self.prune()

    def keep_name(self) -> None:
        """Keep a folder without tags a collection, which needs a README then."""
        if self.path.is_dir() and not self.tags() and self.readme() is None:
            self.write_readme(f"---\ntitle: {_quoted(self.name.rpartition('/')[2])}\n---\n")

    def prune(self) -> None:
        """Remove folders of this collection, and namespaces above it, that are empty."""
        stop = self._options.source / self._options.collections
        blobs = self.path / "blobs"
        inner = [] if blobs.is_symlink() else sorted(blobs.glob("*"))
        for path in (*inner, blobs, self._tags, self.path, *self.path.parents):
            if path == stop:
                return
            if not path.is_symlink() and path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def is_immutable(name: str, tag: str, patterns: Sequence[str], keys: Mapping[str, object]) -> bool:
    """Tell whether a tag may not move.

    `patterns` are the configuration's, for tags or, with a `:` or `/` in
    them, for NAME:TAG; `keys` are the collection's front matter.
    """
    for pattern in patterns:
        if fnmatchcase(f"{name}:{tag}" if {":", "/"} & set(pattern) else tag, pattern):
            return True
    return keys.get("immutable") is True


def new_readme(manifest: Manifest, name: str) -> str:
    """Return a README for a new collection, from what its first image says about itself."""
    prefix = "org.opencontainers.image"
    title = manifest.annotations.get(f"{prefix}.title") or name.rpartition("/")[2]
    description = manifest.annotations.get(f"{prefix}.description", "")
    lines = [f"title: {_quoted(title)}"]
    if description:
        lines.append(f"description: {_quoted(description)}")
    return "---\n" + "\n".join(lines) + "\n---\n"


def _quoted(text: str) -> str:
    """Return text from outside as a YAML scalar on one line."""
    if _PLAIN.fullmatch(text) and text not in ("true", "false", "null"):
        return text
    return json.dumps(printable(" ".join(text.split()))[:200], ensure_ascii=False)


def _remove_tree(path: Path) -> None:
    """Remove a file or a folder; a folder vanishes from the collection at once."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    hidden = hidden_beside(path)
    path.replace(hidden)
    try:
        sync_folder(path.parent)
    except OSError:
        hidden.replace(path)  # what fails has changed nothing
        raise
    shutil.rmtree(hidden)
