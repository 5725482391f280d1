"""The nouns of a proposal: what it changes, how far it may go, what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from builder.errors import Problem


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a proposal may be: bytes of a file, files, and bytes fetched to look at it."""

    file: int = 16 << 20
    files: int = 1000
    fetch: int = 8 << 30


@dataclass(frozen=True, slots=True, order=True)
class TagChange:
    """A tag that is new, moved or gone; digests are empty where there is none, sizes in bytes."""

    name: str
    tag: str
    old: str = ""
    new: str = ""
    old_size: int = 0
    new_size: int = 0

    @property
    def kind(self) -> str:
        """`added`, `moved` or `removed`."""
        if not self.old:
            return "added"
        return "moved" if self.new else "removed"

    def to_json(self) -> dict[str, str | int | None]:
        """Return the shape that `builder check --base --json` prints."""
        return {
            "name": self.name,
            "tag": self.tag,
            "change": self.kind,
            "old": self.old or None,
            "new": self.new or None,
            "oldSize": self.old_size if self.old else None,
            "newSize": self.new_size if self.new else None,
        }


@dataclass(frozen=True, slots=True)
class Proposal:
    """What differs from the base branch, and what is wrong with that.

    `base` is a commit, `files` how many files differ, `recipes` the paths of
    those that a build would read or run.
    """

    base: str
    author: str
    files: int
    collections: tuple[str, ...] = ()
    tags: tuple[TagChange, ...] = ()
    recipes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the shape that `builder check --base --json` prints, without problems."""
        return {
            "base": self.base,
            "author": self.author or None,
            "files": self.files,
            "collections": list(self.collections),
            "tags": [tag.to_json() for tag in self.tags],
            "recipes": list(self.recipes),
        }


def merged(first: Iterable[Problem], more: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems of both, of `more` only those of paths that `first` has none for.

    A path that a rule refused needs no second reason.
    """
    found = set(first)
    told = {problem.path for problem in found if not problem.warning}
    return tuple(sorted(found | {problem for problem in more if problem.path not in told}))
