"""Recipes: which file of a tag folder says how it is made, and is it built yet.

A recipe tag without a manifest is pending; one whose `README.md` was removed
is pending again, as in the original static registry; one whose inputs differ
from those that its `README.md` records is stale.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.errors import ContentError
from builder.registry.model import Recipe
from builder.registry.scan import README
from builder.storage.local import TEMPORARY, open_regular

MANIFEST = "manifest.json"
BUILD_SCRIPT = "build.sh"
_PATTERNS = ("Singularity", "Singularity.*", "*.def", "Dockerfile", "Containerfile", "recipe.*")
_IS_RECIPE = re.compile("|".join(map(fnmatch.translate, _PATTERNS))).match
RESULTS = (MANIFEST, README, "blobs")  # what builds write, and no build reads
_DEBRIS = (".git", ".DS_Store", "*~", ".*.sw[a-p]", f"{TEMPORARY}*", "Thumbs.db", "desktop.ini")
_MAX_SHOWN = 64 << 10


def recipe_file(names: Sequence[str], origin: str) -> str:
    """Return the recipe among the file names of a tag folder, or the empty string.

    `build.sh` wins. Raises ContentError when several recipes leave it open.
    """
    if BUILD_SCRIPT in names:
        return BUILD_SCRIPT
    found = sorted(filter(_IS_RECIPE, names))
    if len(found) > 1:
        message = f"holds more than one recipe: {', '.join(found)}"
        raise ContentError.at(origin, message, "keep one, or say how to build in build.sh")
    return found[0] if found else ""


def read_recipe(folder: Path, origin: str, name: str, *, built: bool, recorded: str) -> Recipe:
    """Return the recipe `name` of a tag folder with its state.

    `built` tells whether the tag has a manifest and its README; `recorded` is
    the digest of the inputs that the README names, if it names one.
    """
    path = f"{origin}/{name}"
    with open_regular(folder / name, path) as stream:
        text = stream.read(_MAX_SHOWN).decode("utf-8", "replace")
    if not built:
        state = "pending"
    elif recorded and recorded != inputs_digest(folder, origin):
        state = "stale"
    else:
        state = "current"
    return Recipe(path, state, text)


def inputs_digest(folder: Path, origin: str) -> str:
    """Return one digest over all that a recipe's build can read in its tag folder.

    Every file but the results (`manifest.json`, `README.md`, `blobs/`) and
    what editors leave, by relative path, executable bit and content. `origin`
    is what problems call the folder.
    """
    total = hashlib.sha256()
    for path in sorted(_inputs(folder, "")):
        with open_regular(folder / path, f"{origin}/{path}") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
            executable = os.fstat(stream.fileno()).st_mode & 0o100
        total.update(f"{path}\0{'x' if executable else '-'}\0{content}\n".encode())
    return f"sha256:{total.hexdigest()}"


def copy_inputs(folder: Path, origin: str, into: Path, epoch: int | None = None) -> None:
    """Copy all that a recipe's build can read in its tag folder to the new folder `into`.

    `origin` is what problems call `folder`. The files' times are `epoch`, in
    seconds since 1970, where it is given. Raises ContentError for what is no regular file.
    """
    into.mkdir()
    for path in _inputs(folder, ""):
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_regular(folder / path, f"{origin}/{path}") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
            os.fchmod(copy.fileno(), 0o755 if os.fstat(source.fileno()).st_mode & 0o100 else 0o644)
    if epoch is not None:
        for copied in (*into.rglob("*"), into):
            os.utime(copied, (epoch, epoch))


def _inputs(folder: Path, inner: str) -> Iterator[str]:
    with os.scandir(folder / inner) as entries:
        for entry in entries:
            path = f"{inner}/{entry.name}" if inner else entry.name
            if path in RESULTS or any(fnmatch.fnmatchcase(entry.name, item) for item in _DEBRIS):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _inputs(folder, path)
            else:
                yield path
