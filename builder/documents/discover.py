"""The files of a site outside `collections/`: which there are, and what kind each is.

Jekyll's rules: names that begin with `_`, `.` or `#` or end with `~` are not
published unless `include` names them, `exclude` hides the rest. Links are
never followed. Nothing is read here but the first bytes of some files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

from builder.errors import ContentError, LocalError, Problem
from builder.output import MARKER

Kind = Literal["page", "static", "data", "document"]

MARKDOWN = (".md", ".markdown")
HTML = (".html", ".htm")
DATA = (".yml", ".yaml", ".json", ".csv", ".tsv")

# Folders that are somebody else's: never entered, whatever `include` says.
_NEVER = frozenset({"collections", "_blobs", ".builder-cache", "_layouts", "_includes", ".git"})
# Of these, what the registry and the theme are made of.
_REGISTRY = frozenset({"collections", "_blobs", "_layouts", "_includes", "assets"})
_ANYWHERE = frozenset({"node_modules", "vendor", ".venv", "__pycache__"})
DEFAULT_EXCLUDE = (
    "builder", "tests", "docs", "scripts", "dist", "venv", "*.egg-info", "Makefile",
    "pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "uv.lock", "requirements*.txt",
    "builder.txt", "OWNERS*",
    "Gemfile", "Gemfile.lock", "package.json", "package-lock.json",
    "LICENSE", "LICENSE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
)  # fmt: skip

# RFC 7468, and what OpenSSH and OpenPGP write. What reads keys takes text before one, too.
_PRIVATE_KEY = re.compile(rb"(?m)^(?:\xef\xbb\xbf)?[ \t]*-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_KEY_WITHIN = 4096  # bytes


class Default(NamedTuple):
    """Front matter for all files below `path` (a folder or a pattern; empty: all) of a type.

    `type` is `pages`, the name of one of the site's collections, or empty.
    """

    path: str
    type: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CollectionOptions:
    """A Jekyll collection, a folder `_NAME/`: whether it has pages, and where."""

    output: bool = False
    permalink: str = ""


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """The site's slice of the configuration.

    `destination` is the output folder, relative to `source` or absolute;
    the rest are Jekyll's keys of the same names.
    """

    source: Path
    destination: str = "_site"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    permalink: str = "pretty"
    defaults: tuple[Default, ...] = ()
    future: bool = False
    unpublished: bool = False
    drafts: bool = False
    timezone: str = "UTC"
    collections: Mapping[str, CollectionOptions] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class SourceFile:
    """One file of the site: its source path, `/`-separated, and what it is.

    `collection` names the Jekyll collection a `_NAME/` file belongs to.
    """

    path: str
    kind: Kind
    collection: str = ""

    @property
    def published_path(self) -> str:
        """The output path of a file that is copied: its own, a collection's `_` dropped."""
        return self.path[1:] if self.collection else self.path


def discover(options: SiteOptions) -> tuple[SourceFile, ...]:
    """Return the site's files in order of their paths.

    `assets/` is left to `assets_of`, `collections/` to the registry. Raises
    ContentError for links, special files, names that no address can hold,
    private keys, and a folder with two index pages; LocalError for what cannot
    be read.
    """
    walk = _Walk(options)
    try:
        files = tuple(sorted(walk.folder("", "", optional=False)))
    except OSError as error:
        raise LocalError.of(error, f"{error.filename} cannot be read") from error
    problems = [*walk.problems, *_two_indexes(files)]
    if problems:
        raise ContentError(problems)
    return files


def is_read(path: str, options: SiteOptions, configs: Iterable[str] = ()) -> bool:
    """Tell whether a file or folder at a source path may be part of the site.

    That is also so for the theme, the registry's own folders and `configs`;
    not for what a build writes, nor for what editors leave behind.
    """
    if path in configs:
        return True
    walk = _Walk(options)
    parts = path.split("/")
    if parts[0] in _REGISTRY:
        return not any(part.startswith(".") or part.endswith("~") for part in parts)
    optional = False
    for end in range(1, len(parts) + 1):
        inner = "/".join(parts[:end])
        decision = walk.decision(inner, optional=optional)
        if decision == "leave":
            return False
        optional = decision == "through"
    return True


class _Walk:
    """A walk over the source folder, with the problems met on the way."""

    def __init__(self, options: SiteOptions) -> None:
        self._options = options
        self._exclude = (*DEFAULT_EXCLUDE, *options.exclude)
        destination = os.path.relpath(options.source / options.destination, options.source)
        self._never = _NEVER | {destination, "assets"}
        self.problems: list[Problem] = []

    def folder(self, path: str, collection: str, *, optional: bool) -> Iterator[SourceFile]:
        """Yield the files below `path`; with `optional` only those that `include` names."""
        with os.scandir(self._options.source / path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        sites = [f"{entry.name}." for entry in entries if _is_site(entry)]
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and f"{entry.name}.".startswith(tuple(sites)):
                continue  # what another build made, with what belongs beside it
            inner = f"{path}/{entry.name}" if path else entry.name
            yield from self._entry(entry, inner, collection, optional=optional)

    def _entry(
        self, entry: os.DirEntry[str], path: str, collection: str, *, optional: bool
    ) -> Iterator[SourceFile]:
        decision = self.decision(path, optional=optional)
        if decision != "take":
            if decision == "through" and entry.is_dir(follow_symlinks=False):
                yield from self.folder(path, collection, optional=True)
            return
        own = self._collection_folder(path)
        if problem := _unusable(entry, path):
            self.problems.append(problem)
        elif entry.is_dir(follow_symlinks=False):
            yield from self.folder(path, own or collection, optional=False)
        else:
            name = "" if collection.startswith("*") else collection
            kind = self._kind(path, collection)
            if kind == "static" and (problem := _secret(self._options.source / path, path)):
                self.problems.append(problem)
            yield SourceFile(path, kind, name)

    def decision(self, path: str, *, optional: bool) -> Literal["take", "through", "leave"]:
        """Say whether a path is taken, or only what `include` names below it, or nothing."""
        if path in self._never or path.rpartition("/")[2] in _ANYWHERE:
            return "leave"
        included = _matches(path, self._options.include)
        if included or self._collection_folder(path) or (not optional and self._is_ordinary(path)):
            return "take"
        return "through" if _leads_to(path, self._options.include) else "leave"

    def _collection_folder(self, path: str) -> str:
        """Return the collection whose folder `path` is; `*data` and `*drafts` for those two."""
        name = path[1:] if path.startswith("_") and "/" not in path else ""
        if name == "data" or (name == "drafts" and self._options.drafts):
            return f"*{name}"
        return name if name in self._options.collections else ""

    def _is_ordinary(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        if name.startswith(("_", ".", "#")) or name.endswith("~"):
            return False
        return not _matches(path, self._exclude)

    def _kind(self, path: str, collection: str) -> Kind:
        if collection == "*data":
            return "data"
        suffix = os.path.splitext(path)[1].lower()
        if suffix in MARKDOWN or (suffix in HTML and self._has_front_matter(path)):
            return "document" if collection and collection != "*drafts" else "page"
        return "static"

    def _has_front_matter(self, path: str) -> bool:
        start = _start(self._options.source / path, 7)
        return start.removeprefix(b"\xef\xbb\xbf").startswith(b"---")


def _is_site(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and os.path.lexists(f"{entry.path}/{MARKER}")


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a pattern names `path` or a folder above it; `*` also matches `/`."""
    return any(
        fnmatchcase(path, pattern) or path.startswith(f"{pattern}/")
        for pattern in (pattern.strip("/") for pattern in patterns)
    ) or any(fnmatchcase(path, pattern[3:]) for pattern in patterns if pattern.startswith("**/"))


def _leads_to(path: str, patterns: tuple[str, ...]) -> bool:
    return any(pattern.lstrip("/").startswith(f"{path}/") for pattern in patterns)


def _unusable(entry: os.DirEntry[str], path: str) -> Problem | None:
    if entry.is_symlink():
        return Problem(
            path, message="is a symbolic link, which is not followed", hint="put the file here"
        )
    if not (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
        return Problem(path, message="is neither a file nor a folder", hint="remove it")
    if not path.isprintable() or "\\" in entry.name:
        return Problem(path, message="has a name that no address can hold", hint="rename it")
    return None


def _secret(file: Path, path: str) -> Problem | None:
    if not _PRIVATE_KEY.search(_start(file, _KEY_WITHIN)):
        return None
    hint = "move it out of the registry's folder, and make a new one if others have seen it"
    return Problem(path, message="is a private key, which would be published", hint=hint)


def _start(file: Path, size: int) -> bytes:
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as stream:
        return stream.read(size)


def _two_indexes(files: tuple[SourceFile, ...]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for file in files:
        folder = index_folder(file.path)
        if file.kind == "page" and folder is not None and folder in seen:
            yield Problem(
                file.path,
                message=f"is the page of its folder, and so is {seen[folder]}",
                hint="keep one of the two, or name the other one under 'exclude' in _config.yml",
            )
        elif file.kind == "page" and folder is not None:
            seen[folder] = file.path


def index_folder(path: str) -> str | None:
    """Return the folder (`""` or `a/b/`) whose page the file `path` is, or None."""
    folder, _, name = path.rpartition("/")
    stem, suffix = os.path.splitext(name.lower())
    is_index = stem in {"index", "readme"} and suffix in MARKDOWN
    if is_index or (stem == "index" and suffix in HTML):
        return f"{folder}/" if folder else ""
    return None


def assets_of(source: Path, theme: Path) -> dict[str, Path]:
    """Return the assets by name (`style.css`, `img/logo.svg`), the registry's own over the theme's.

    Raises ContentError for links, private keys and SCSS, which is not compiled here.
    """
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    roots = [source] if source.resolve() == theme.resolve() else [theme, source]
    for root in roots:
        for name in _asset_names(root / "assets", "", problems):
            found[name] = root / "assets" / name
    if problems:
        raise ContentError(problems)
    return dict(sorted(found.items()))


def _asset_names(folder: Path, below: str, problems: list[Problem]) -> Iterator[str]:
    if folder.is_symlink():
        problems.append(Problem("assets", message="is a symbolic link, which is not followed"))
        return
    if not folder.is_dir():
        return
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{below}{entry.name}"
        if entry.name.startswith(("_", ".", "#")) or entry.name.endswith("~"):
            continue
        if problem := _unusable(entry, f"assets/{name}"):
            problems.append(problem)
        elif entry.is_dir(follow_symlinks=False):
            yield from _asset_names(folder / entry.name, f"{name}/", problems)
        elif name.endswith((".scss", ".sass", ".less")):
            hint = "compile it and put the CSS here"
            problems.append(
                Problem(f"assets/{name}", message="would have to be compiled", hint=hint)
            )
        elif problem := _secret(folder / entry.name, f"assets/{name}"):
            problems.append(problem)
        else:
            yield name
