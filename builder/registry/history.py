"""What tags pointed to over time, as git remembers it.

Only tags with a `manifest.json` of their own: it is the file whose digest a
tag points to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from builder.git import Repository
from builder.oci.digest import Digest
from builder.registry.model import RegistryOptions
from builder.registry.recipe import MANIFEST

MAX_MOVES = 500


@dataclass(frozen=True, slots=True)
class Move:
    """One commit that let a tag point elsewhere; `digest` is empty where it removed the tag."""

    tag: str
    digest: str
    date: str  # ISO 8601
    commit: str
    author: str


def history(options: RegistryOptions, name: str, tag: str = "") -> Iterator[Move]:
    """Yield the moves of a collection's tags, or of one of them, newest first.

    Raises UsageError where the registry is in no git repository.
    """
    repository = Repository(options.source)
    folder = f"{repository.inner(options.source)}{options.collections}/{name}/manifests"
    count = 0
    for commit in repository.log(f"{folder}/{tag}" if tag else folder):
        for path, status in commit.changes:
            found, _, file = path.removeprefix(f"{folder}/").rpartition("/")
            if file != MANIFEST or (tag and found != tag) or count >= MAX_MOVES:
                continue
            count += 1
            raw = None if status == "D" else repository.read(commit.commit, path)
            digest = "" if raw is None else str(Digest.of(raw))
            yield Move(found, digest, commit.date, commit.commit, commit.author)
