"""What git knows of the folder a registry lies in: commits, changes, files of the past.

Only plumbing commands with `-z` output are asked, and no path or revision
that somebody else chose is ever taken for an option. Where git fails, so does
this: no answer is not the answer that nothing changed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from builder.errors import LocalError, UsageError

LINK = "120000"
SUBMODULE = "160000"
_MAX_READ = 4 << 20
# Variables that would make git work on another repository, or run a program.
_ELSEWHERE = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
     "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_TEMPLATE_DIR", "GIT_EXTERNAL_DIFF"}
)  # fmt: skip
Done = subprocess.CompletedProcess[bytes]  # how git ended, and what it said


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A path that differs from a commit; `status` is git's letter: A, M, D or T.

    Modes are git's, six octal digits, zeros where there is no such file;
    `untracked` tells of a new file that was not added to git.
    """

    path: str
    status: str
    old_mode: str
    new_mode: str
    untracked: bool = field(default=False, compare=False)


class Commit(NamedTuple):
    """A commit and what it changed: paths from the top with `A`, `M` or `D`; `date` in ISO 8601."""

    commit: str
    date: str
    author: str
    changes: tuple[tuple[str, str], ...]


class File(NamedTuple):
    """A file in a commit: its path from the repository's top, git's mode, object and size.

    The size is in bytes; a submodule has none, and 0 here.
    """

    path: str
    mode: str
    object: str
    size: int


def is_bare(folder: Path) -> bool:
    """Tell whether a folder is a git repository without a work tree."""
    return run(folder, "rev-parse", "--is-bare-repository").stdout.strip() == b"true"


class Repository:
    """A git repository's work tree; `top` is its root folder."""

    def __init__(self, folder: Path) -> None:
        done = run(folder, "rev-parse", "--show-toplevel")
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
            raise UsageError(f"{folder}: is not in a git repository", f"git says: {said}")
        self.top = Path(os.fsdecode(done.stdout).rstrip("\n"))

    def commit(self, revision: str) -> str:
        """Return the commit that a revision names; raises UsageError for an unknown one."""
        found = self._ask("rev-parse", "--verify", "--quiet", "--end-of-options",
                          f"{revision}^{{commit}}")  # fmt: skip
        if found is None:
            hint = "fetch it first: git fetch origin BRANCH"
            raise UsageError(f"{revision}: unknown git revision", hint)
        return found.decode().strip()

    def base(self, revision: str) -> str:
        """Return the last commit that a revision shares with what is checked out."""
        commit = self.commit(revision)
        found = self._ask("merge-base", commit, "HEAD")
        return found.decode().strip() if found else commit

    def inner(self, folder: Path) -> str:
        """Return where a folder lies in the repository, with a slash; empty for its top.

        Raises UsageError when it lies elsewhere.
        """
        try:
            inner = folder.resolve().relative_to(self.top.resolve()).as_posix()
        except ValueError:
            raise UsageError(f"{folder}: is not in the git repository {self.top}") from None
        return "" if inner == "." else f"{inner}/"

    def changes(self, commit: str) -> list[Change]:
        """Return every path that differs from a commit, in byte order.

        Both the work tree and what is added to git are compared: a submodule
        or a link may be in git alone.
        """
        how = ("diff", "--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules=none")
        found = {
            change.path: change for change in _parsed(self._must(*how, "--cached", commit, "--"))
        }
        for change in _parsed(self._must(*how, commit, "--")):
            known = found.get(change.path)
            if known is None or known.new_mode not in (LINK, SUBMODULE):
                found[change.path] = change
        others = self._must("ls-files", "--others", "--exclude-standard", "-z", "--full-name")
        for path in filter(None, others.split("\0")):
            mode = LINK if (self.top / path).is_symlink() else "100644"
            found.setdefault(path, Change(path, "A", "000000", mode, untracked=True))
        return sorted(found.values())

    def read(self, commit: str, path: str) -> bytes | None:
        """Return a file's bytes as they were in a commit; None when it was not there.

        Of a file over 4 MiB nothing but its beginning.
        """
        entry = self._must("ls-tree", "-z", "--full-tree", commit, "--", path).rstrip("\0")
        kind, _, name = entry.partition("\t")
        if name != path or kind.split(" ")[1] != "blob":
            return None
        return self._bytes("cat-file", "blob", kind.split(" ")[2])[:_MAX_READ]

    def log(self, folder: str) -> Iterator[Commit]:
        """Yield the commits that changed files below a folder, newest first."""
        said = self._ask("log", "--format=%x01%H%x00%cI%x00%an%x00", "--name-status", "-z",
                         "--no-renames", "--", f":(top,literal){folder}")  # fmt: skip
        for record in os.fsdecode(said or b"").split("\x01")[1:]:
            commit, date, author, _, *rest = record.split("\0")
            parts = [part.lstrip("\n") for part in rest]
            pairs = zip(parts[::2], parts[1::2], strict=False)
            yield Commit(commit, date, author, tuple((path, status) for status, path in pairs))

    def files(self, commit: str, folder: str) -> list[File]:
        """Return all files below a folder in a commit, links and submodules too."""
        found = self._must("ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", f"{folder}/")
        return [_file(entry) for entry in found.split("\0") if entry]

    def contents(self, files: Sequence[File]) -> list[bytes]:
        """Return the bytes of files, in their order; git is asked once for all of them."""
        wanted = "".join(f"{file.object}\n" for file in files).encode()
        told = memoryview(self._bytes("cat-file", "--batch", feed=wanted))
        found = []
        for file in files:
            start = bytes(told[:200]).index(b"\n") + 1
            found.append(bytes(told[start : start + file.size]))
            told = told[start + file.size + 1 :]
        return found

    def _ask(self, *arguments: str) -> bytes | None:
        return _git(self.top, *arguments)

    def _must(self, *arguments: str) -> str:
        return os.fsdecode(self._bytes(*arguments))

    def _bytes(self, *arguments: str, feed: bytes = b"") -> bytes:
        done = run(self.top, *arguments, feed=feed)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise LocalError(f"{self.top}: git {arguments[0]}: {said}", "try git fsck")
        return done.stdout


def head(folder: Path) -> str:
    """Return the commit that is checked out; empty where git or a commit is missing."""
    try:
        found = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    except LocalError:
        return ""
    return found.decode().strip() if found else ""


def remote(folder: Path) -> str:
    """Return where the repository around a folder was cloned from; empty where nothing says."""
    try:
        found = _git(folder, "remote", "get-url", "origin")
    except LocalError:
        return ""
    return os.fsdecode(found).strip() if found else ""


def start(folder: Path) -> bool:
    """Make a folder a repository of its own, unless it is in one or git is missing; tell which."""
    try:
        inside = _git(folder, "rev-parse", "--is-inside-work-tree") is not None
        return not inside and _git(folder, "init", "--quiet", "--initial-branch=main") is not None
    except LocalError:
        return False


def _file(entry: str) -> File:
    """Read a line of `git ls-tree -l`: mode, type, object and size, then the path."""
    meta, _, path = entry.partition("\t")
    mode, _, name, size = meta.split()
    return File(path, mode, name, 0 if size == "-" else int(size))


def _parsed(text: str) -> Iterator[Change]:
    """Read `git diff --raw -z`: `:old new sha sha status`, then the path."""
    parts = iter(text.split("\0"))
    for meta in parts:
        if not meta:
            return
        old, new, _, _, status = meta.removeprefix(":").split(" ")
        yield Change(next(parts), status[0], old, new)


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return what git prints, or None when it says no."""
    done = run(folder, *arguments)
    return done.stdout if done.returncode == 0 else None


def run(
    folder: Path,
    *arguments: str,
    feed: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Run git in a folder, without its hooks; raises LocalError when it is not installed.

    `feed` is its standard input, `environment` are variables beside this
    process's.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    quiet = ("-c", "core.quotePath=false", "-c", "core.fsmonitor=false",
             "-c", "core.hooksPath=/dev/null")  # fmt: skip
    command = ["git", "-C", os.fspath(folder), *quiet, *arguments]
    variables = {
        **kept,
        "GIT_OPTIONAL_LOCKS": "0",
        **(environment or {}),
    }  # who asks writes nothing
    try:
        return subprocess.run(command, input=feed, capture_output=True, check=False, env=variables)
    except FileNotFoundError:
        hint = "install it (Debian: apt-get install git): git knows what changed"
        raise LocalError("git is not installed", hint) from None
