"""A checkout of the original static registry as a clone, so that its history goes on.

Collections move below `collections/` by `git mv`, in one commit of nothing
else: git follows each file over it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder import git
from builder.errors import ContentError, LocalError
from builder.oci.reference import name_fault
from builder.upkeep.original import Original

_KEPT = ("README.md", "LICENSE", "LICENSE.md", "COPYING", ".gitignore", ".gitattributes")
_MESSAGE = "Move the collections below collections/, and remove what served them\n"
# Who commits where git knows nobody.
_NOBODY = ("-c", "user.name=builder", "-c", "user.email=builder@localhost")


def clone_with_history(original: Original, target: Path) -> str:
    """Make the new folder `target` a clone whose collections lie below `collections/`.

    Returns the commit that moved them. Raises ContentError for a target that
    holds something or a checkout that is not a repository, LocalError where git
    fails.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ContentError.at(str(target), "is not an empty folder", "--source NEW names the clone")
    if not git.head(original.folder):
        hint = "omit --history, or name a clone of the registry"
        raise ContentError.at(str(original.folder), "is not a git repository with a commit", hint)
    target.mkdir(parents=True, exist_ok=True)
    _must(target, "clone", "--quiet", "--no-hardlinks", os.path.abspath(original.folder), ".")
    moved = ""
    gone = [path for path in original.left_out if path not in _KEPT]
    for name, base in original.collections.items():
        if moved and name.startswith(f"{moved}/"):
            continue
        if name_fault(name):
            gone.append(original.path(name))
        elif base == ".":
            moved = name
            (target / "collections" / name).parent.mkdir(parents=True, exist_ok=True)
            _must(target, "mv", "--", name, f"collections/{name}")
            gone.append(name.partition("/")[0])
    if gone:
        _must(target, "rm", "-r", "--quiet", "--ignore-unmatch", "--", *gone)
    for path in gone:  # folders that git knows nothing of
        shutil.rmtree(target / path, ignore_errors=True)
    has_name = git.run(target, "config", "user.email").returncode == 0
    known = () if has_name or "GIT_COMMITTER_EMAIL" in os.environ else _NOBODY
    _must(target, *known, "commit", "--quiet", "--allow-empty", "--message", _MESSAGE)
    return git.head(target)


def _must(folder: Path, *arguments: str) -> None:
    done = git.run(folder, *arguments)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise LocalError(f"{folder}: git {' '.join(arguments[:2])}: {said}")
