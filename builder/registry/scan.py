"""Walking `collections/`: which folders are collections, and have they changed.

The walk reads no file. A collection's signature covers name, size, times and
inode of every file that is its own, and what was refused there, so that an
equal signature means: nothing to load. Its own are those in its folder and in
all folders below that are no collection or namespace themselves.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import ContentError, Problem
from builder.oci.reference import MAX_PARTS, name_fault
from builder.storage.local import TEMPORARY, changed_at

README = "README.md"  # as the commands write it
_READMES = ("readme.md", "readme.markdown")  # in any case
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif")  # no SVG: it can hold script
# The folders of a collection that are never collections themselves.
OWN_FOLDERS = frozenset({"manifests", "blobs", "tags"})

_CONTENT = (README, "manifests", "manifest.json", "oci-layout")  # what shows that a folder is meant

_Files = dict[str, os.stat_result]  # by their path in a folder


@dataclass(frozen=True, slots=True)
class Folder:
    """A collection, or a namespace that has a README.

    `newest` is the largest modification time in it, in nanoseconds; `size` is
    what all of it has in bytes; `files` are the paths in it of its files,
    without those of `OWN_FOLDERS`.
    """

    name: str
    is_collection: bool
    signature: str
    newest: int
    size: int = 0
    files: tuple[str, ...] = ()


@dataclass(slots=True)
class Scan:
    """What a walk found: folders by name, and what it could not accept."""

    folders: dict[str, Folder] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def scan(source: Path, collections: str, below: str = "") -> Scan:
    """Walk the folder `collections` of `source`, or only what is below the name `below`."""
    result = Scan()
    start = source / collections / below
    if start.is_symlink() or not start.is_dir():
        if start.is_symlink():
            result.problems.append(_link(f"{collections}/{below}".rstrip("/")))
        return result
    _Walker(os.fspath(source), collections, result).visit(below)
    return result


def find_folder(source: Path, collections: str, name: str) -> Folder:
    """Return what the collection or namespace `name` holds now; raises ContentError if nothing."""
    found = scan(source, collections, name).folders
    if name not in found:
        message = "changed while it was read"
        raise ContentError.at(f"{collections}/{name}", message, "build again")
    return found[name]


def is_litter(name: str) -> bool:
    """Tell whether editors and operating systems leave files of this name behind."""
    return name[0] == "." or name[-1] == "~" or name in ("Thumbs.db", "desktop.ini")


def readme_of(names: Iterable[str]) -> str:
    """Return which of a folder's files is its README, or nothing; `README.md` comes first."""
    found = sorted(name for name in names if name.lower() in _READMES)
    return README if README in found else next(iter(found), "")


def is_picture(name: str) -> bool:
    """Tell whether a file of this name is published for READMEs to show."""
    return name.lower().endswith(PICTURES)


class _Walker:
    """One walk; `root` is the registry's folder, `base` the collections folder's name."""

    def __init__(self, root: str, base: str, result: Scan) -> None:
        self._root = root
        self._base = base
        self._result = result

    def visit(self, name: str, depth: int = 0) -> tuple[bool, _Files]:
        """Visit the folder `name`; tell whether it is a collection or holds one.

        The second value are the files in it that belong to whatever is above.
        """
        path = f"{self._base}/{name}" if name else self._base
        files: _Files = {}
        folders: list[str] = []
        for entry in self._entries(path):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
                self._refuse_readme(entry, path)
            elif self._is_plain(entry, found := entry.stat(follow_symlinks=False), path):
                files[entry.name] = found
        below, loose = self._visit_below(name, path, folders, depth)
        if not name:
            return below, {}
        own = OWN_FOLDERS.intersection(folders)
        tags = self._entries(f"{path}/manifests") if "manifests" in own else []
        has_tags = any(entry.is_dir(follow_symlinks=False) or entry.is_symlink() for entry in tags)
        has_readme = readme_of(files) != ""
        is_collection = has_tags or "oci-layout" in files or (has_readme and not below)
        if own and not is_collection and not has_readme:
            self._reserved(path, own)
            return True, {}
        files |= loose
        if is_collection or (below and has_readme):
            entries = {folder: tags if folder == "manifests" else self._entries(f"{path}/{folder}")
                       for folder in sorted(own) if is_collection}  # fmt: skip
            self._add(name, path, files, entries, is_collection)
            return True, {}
        return below, files

    def _visit_below(
        self, name: str, path: str, folders: list[str], depth: int
    ) -> tuple[bool, _Files]:
        if depth >= MAX_PARTS and not OWN_FOLDERS.issuperset(folders):
            self._result.problems.append(Problem(path, message="folders are nested too deeply"))
            return False, {}
        below = False
        loose: _Files = {}
        for child in sorted(folders):
            if child not in OWN_FOLDERS or not name:
                found, files = self.visit(f"{name}/{child}" if name else child, depth + 1)
                below |= found
                loose.update((f"{child}/{file}", state) for file, state in files.items())
        return below, loose

    def _add(
        self,
        name: str,
        path: str,
        files: _Files,
        own: Mapping[str, list[os.DirEntry[str]]],
        is_collection: bool,  # noqa: FBT001 - a fact of the folder, not a switch
    ) -> None:
        if fault := name_fault(name):
            hint = "rename the folder"
            self._result.problems.append(Problem(path, message=fault, hint=hint))
            return
        states = dict(files)
        facts: list[str] = []
        for folder, entries in own.items():
            self._gather(f"{path}/{folder}", folder, entries, states, facts)
        facts += [_fact(file, found) for file, found in states.items()]
        newest = max((found.st_mtime_ns for found in states.values()), default=0)
        size = sum(found.st_size for found in states.values())
        refused = (problem.path for problem in self._result.problems)
        facts += (other for other in refused if other.startswith(f"{path}/"))
        facts.sort()
        text = "\n".join(facts).encode("utf-8", "surrogateescape")
        signature = hashlib.blake2b(text, digest_size=12).hexdigest()
        names = tuple(sorted(files))
        self._result.folders[name] = Folder(name, is_collection, signature, newest, size, names)

    def _reserved(self, path: str, own: frozenset[str]) -> None:
        for folder in sorted(own):
            message = (
                f"{folder!r} is a reserved name, and {path} is not a collection that could own it"
            )
            hint = "rename the folder, or give the collection a README.md"
            self._result.problems.append(Problem(f"{path}/{folder}", message=message, hint=hint))

    def _gather(
        self,
        path: str,
        inner: str,
        entries: Iterable[os.DirEntry[str]],
        states: _Files,
        folders: list[str],
    ) -> None:
        """Collect all files and folders below a collection's own folder."""
        for entry in entries:
            label = f"{inner}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                folders.append(label)
                deeper = f"{path}/{entry.name}"
                self._gather(deeper, label, self._entries(deeper), states, folders)
                continue
            found = entry.stat(follow_symlinks=False)
            if self._is_plain(entry, found, path):
                states[label] = found

    def _refuse_readme(self, entry: os.DirEntry[str], path: str) -> None:
        if entry.name.lower() in _READMES:
            message, hint = "is a folder; a README is a file", "rename it"
            self._result.problems.append(Problem(f"{path}/{entry.name}", 0, message, hint))

    def _refuse_hidden(self, entry: os.DirEntry[str], path: str) -> None:
        """Say that a collection, or a namespace of some, is passed over for its name."""
        if entry.name.startswith(TEMPORARY) or not entry.is_dir(follow_symlinks=False):
            return
        found = (Path(entry.path).glob(f"{at}{name}") for name in _CONTENT for at in ("", "*/"))
        if any(True for paths in found for _ in paths):
            message = f"holds content, and no name can be {entry.name!r}"
            hint = "rename the folder, or move it out of the collections"
            self._result.problems.append(Problem(f"{path}/{entry.name}", 0, message, hint))

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(f"{self._root}/{path}") as found:
                entries = list(found)
        except PermissionError:
            self._result.problems.append(Problem(path, message="permission denied"))
            return []
        kept = [entry for entry in entries if not is_litter(entry.name)]
        if len(kept) < len(entries):
            for entry in entries:
                if is_litter(entry.name):
                    self._refuse_hidden(entry, path)
        return kept

    def _is_plain(self, entry: os.DirEntry[str], found: os.stat_result, path: str) -> bool:
        label = f"{path}/{entry.name}"
        if stat.S_ISLNK(found.st_mode):
            self._result.problems.append(_link(label))
            return False
        if not stat.S_ISREG(found.st_mode):
            self._result.problems.append(
                Problem(label, message="is not a regular file", hint="remove it")
            )
            return False
        if not entry.name.isascii() and any("\ud800" <= char <= "\udfff" for char in entry.name):
            self._result.problems.append(Problem(label, message="the file name is not UTF-8"))
            return False
        return True


def _fact(label: str, found: os.stat_result) -> str:
    times = f"{found.st_mtime_ns}\0{changed_at(found)}"
    return f"{label}\0{found.st_size}\0{times}\0{found.st_ino}"


def _link(path: str) -> Problem:
    """Return the words of whoever opens the file: a link is one problem."""
    hint = "put the file itself there"
    if path.rpartition("/")[0].endswith("/manifests"):
        hint = "'builder tag' gives one image a second tag"
    return Problem(path, message="is a symbolic link", hint=hint)
