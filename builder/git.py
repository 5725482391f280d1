"""What git knows of the folder a registry lies in: commits, changes, files of the past.

Only plumbing commands with `-z` output are asked, and no path or revision
that somebody else chose is ever taken for an option.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.errors import LocalError, UsageError

LINK = "120000"
SUBMODULE = "160000"
_MAX_READ = 4 << 20


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A path that differs from a commit; `status` is git's letter: A, M, D or T.

    Modes are git's, six octal digits, zeros where there is no such file.
    """

    path: str
    status: str
    old_mode: str
    new_mode: str


class Repository:
    """A git repository's work tree; `top` is its root folder."""

    def __init__(self, folder: Path) -> None:
        top = _git(folder, "rev-parse", "--show-toplevel")
        if top is None:
            raise UsageError(f"{folder}: is not in a git repository")
        self.top = Path(os.fsdecode(top).rstrip("\n"))

    def commit(self, revision: str) -> str:
        """Return the commit that a revision names; raises UsageError for an unknown one."""
        found = self._ask("rev-parse", "--verify", "--quiet", "--end-of-options",
                          f"{revision}^{{commit}}")  # fmt: skip
        if found is None:
            hint = "fetch it first: git fetch origin BRANCH"
            raise UsageError(f"{revision}: git knows no such revision here", hint)
        return found.decode().strip()

    def base(self, revision: str) -> str:
        """Return the last commit that a revision shares with what is checked out."""
        commit = self.commit(revision)
        found = self._ask("merge-base", commit, "HEAD")
        return found.decode().strip() if found else commit

    def changes(self, commit: str) -> list[Change]:
        """Return every path of the work tree that differs from a commit, in byte order."""
        raw = self._ask("diff", "--raw", "-z", "--no-renames", "--no-abbrev", commit, "--") or b""
        found = list(_parsed(os.fsdecode(raw)))
        others = self._ask("ls-files", "--others", "--exclude-standard", "-z") or b""
        for path in filter(None, os.fsdecode(others).split("\0")):
            mode = LINK if (self.top / path).is_symlink() else "100644"
            found.append(Change(path, "A", "000000", mode))
        return sorted(found)

    def read(self, commit: str, path: str) -> bytes | None:
        """Return a file's bytes as they were in a commit; None when it was not there.

        Of a file over 4 MiB nothing but its beginning.
        """
        found = self._ask("cat-file", "blob", f"{commit}:{path}")
        return None if found is None else found[:_MAX_READ]

    def files(self, commit: str, folder: str) -> list[str]:
        """Return the paths of all files below a folder in a commit."""
        raw = self._ask("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--",
                        f"{folder}/")  # fmt: skip
        return [path for path in os.fsdecode(raw or b"").split("\0") if path]

    def _ask(self, *arguments: str) -> bytes | None:
        return _git(self.top, *arguments)


def head(folder: Path) -> str:
    """Return the commit that is checked out; empty where git or a commit is missing."""
    try:
        found = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    except LocalError:
        return ""
    return found.decode().strip() if found else ""


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
    quiet = ("-c", "core.quotePath=false", "-c", "core.fsmonitor=false")
    command = ["git", "-C", os.fspath(folder), *quiet, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise LocalError("git is not installed", "this command asks git what changed") from None
    return done.stdout if done.returncode == 0 else None
