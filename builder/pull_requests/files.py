"""Which files a proposal may bring: plain ones, of a sensible size, that git leaves as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from unicodedata import normalize

from builder.errors import ContentError, Problem, printable
from builder.git import LINK, SUBMODULE, Change
from builder.registry.recipe import BUILD_SCRIPT
from builder.storage.local import open_inside

_EXECUTABLE = "100755"
_SCRIPTS = (BUILD_SCRIPT, "test.sh")  # what a build runs by itself
_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_PATH = 1024  # characters; archives and other systems stop near that
# What lies outside of the collections, by how its path begins.
_PLACES = (
    ("_config.yml", "is the registry's configuration"),
    (".github/workflows/", "is a workflow, which runs with the registry's rights"),
    (".github/actions/", "is an action, which runs with the registry's rights"),
    (".gitlab-ci.yml", "is a workflow, which runs with the registry's rights"),
    (".gitlab/own.yml", "is a workflow, which runs with the registry's rights"),
    ("_layouts/", "is part of the theme"),
    ("_includes/", "is part of the theme"),
    ("assets/", "is part of the theme"),
    ("builder/", "is part of the builder"),
    ("OWNERS", "says who may change what"),
    (".github/CODEOWNERS", "says who may change what"),
    ("CODEOWNERS", "says who may change what"),
    (".gitattributes", "changes how git reads files"),
    (".gitmodules", "brings in other repositories"),
)


def outside_problem(path: str, collections: str) -> Problem:
    """Return what is wrong with a change outside of the collections."""
    what = next((text for start, text in _PLACES if path.startswith(start)), "")
    message = f"a proposal may only change files in {collections}/"
    hint = "remove it; only maintainers, or those whom OWNERS names for it, may change it"
    return Problem(path, 0, f"{what}; {message}" if what else message, hint)


def file_problem(change: Change, path: str, root: Path, limit: int) -> Problem | None:
    """Return what is wrong with a changed file of the collections, if anything.

    `path` is below `root`, the registry's folder; `limit` is in bytes.
    """
    if fault := _name_fault(path):
        return Problem(path, 0, fault, "rename it")
    if change.status == "D":
        return None
    what, hint = _kind_fault(change, path)
    return Problem(path, 0, what, hint) if what else _content_problem(path, root, limit)


def clashes(there: Iterable[str], proposed: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each proposed path that is one with another on some systems.

    There upper and lower case are the same, or the ways to write an accent.
    """
    spelled = {_folded(part): part for path in there for part in _prefixes(path)}
    for path in sorted(proposed):
        for part in _prefixes(path):
            other = spelled.setdefault(_folded(part), part)
            if other != part:
                message = f"{part!r} and {other!r} are one file on systems that ignore case"
                yield Problem(path, 0, message, "rename it")
                break


def repositories(paths: Iterable[str], proposed: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each proposed folder of `paths` that git would take for a repository.

    Whoever runs git there runs what its configuration says.
    """
    inner: dict[str, set[str]] = {}
    for path in paths:
        for part in _prefixes(path.lower()):
            folder, _, name = part.rpartition("/")
            inner.setdefault(folder, set()).add(name)
    for folder in sorted({part for path in proposed for part in _prefixes(path)}):
        names = inner.get(folder.lower(), set())
        if "head" in names and ("commondir" in names or {"objects", "refs"} <= names):
            yield Problem(folder, 0, "is a git repository of its own", "take it out")


def _prefixes(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the uppermost first, and then itself."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts) + 1))


def _folded(path: str) -> str:
    return normalize("NFC", normalize("NFC", path).casefold())


def _name_fault(path: str) -> str:
    if printable(path) != path or "\\" in path:
        return "its name contains invisible or control characters"
    if len(path) > _MAX_PATH:
        return f"its name is longer than {_MAX_PATH} characters"
    return ""


def _kind_fault(change: Change, path: str) -> tuple[str, str]:
    """Return what is wrong with a file by its kind alone, and a hint; empty for nothing."""
    if change.new_mode == LINK:
        return "is a symbolic link", "put the file itself there"
    if change.new_mode == SUBMODULE:
        return "is a submodule", "put the files themselves there"
    if name := _read_by_git(path):
        return f"git itself reads {name}, which changes how it treats other files", "remove it"
    if change.new_mode == _EXECUTABLE != change.old_mode and not _is_script(path):
        hint = f"git update-index --chmod=-x FILE; {' and '.join(_SCRIPTS)} of a tag may be"
        return "is executable", hint
    return "", ""


def _read_by_git(path: str) -> str:
    """Return the part of a path that is one of git's own files, or the empty string."""
    own = (part for part in path.split("/") if part.lower().startswith((".git", ".lfsconfig")))
    return next((part for part in own if part != ".gitkeep"), "")


def _is_script(path: str) -> bool:
    parts = path.split("/")
    return parts[-1] in _SCRIPTS and len(parts) > 3 and parts[-3] == "manifests"


def _content_problem(path: str, root: Path, limit: int) -> Problem | None:
    try:
        with open_inside(root, path, path) as stream:
            size = os.fstat(stream.fileno()).st_size
            start = stream.read(len(_POINTER))
    except FileNotFoundError:
        return None
    except ContentError as error:
        return error.problems[0]
    if size > limit:
        message = f"is {size} bytes; the limit of a file in git is {limit}"
        return Problem(path, 0, message, "keep large layers elsewhere: see registry.blobs")
    if start == _POINTER:
        message = "is a pointer of Git LFS, not the content that it stands for"
        return Problem(path, 0, message, "put the file itself there, or the blob elsewhere")
    return None
