"""What a build needs of the place it writes to.

Three places there are: a folder that a host serves (`folder`), the store that
`serve` answers from (`objects`), and nowhere, where a build is only judged.
Workers hand over what they make; none of it is visible before `publish`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from builder.output import File
from builder.write.record import Record


@dataclass(frozen=True, slots=True)
class Change:
    """All that a build does to a tree.

    `written` are the paths that were handed over, `fresh` those of them that
    were not there before, `gone` what is no longer published; `paths` gives
    every path of the new tree, which `identity` identifies.
    """

    written: Sequence[str]
    fresh: Collection[str]
    gone: Collection[str]
    identity: str
    paths: Callable[[], Iterable[str]]


class Destination(Protocol):
    """A place that a site is written to.

    Paths are output paths; those that start with `../` lie beside the site.
    """

    beside: bool  # whether it takes files that lie beside the site

    def claim(self) -> None:
        """Raise ContentError for a place that holds somebody else's files."""

    def is_at(self, identity: str) -> bool:
        """Tell whether the tree of this identity was written here, whole."""

    def damaged(self, record: Record) -> set[str]:
        """Return the paths of the record's tree that are gone or altered."""

    def noted(self) -> set[str]:
        """Return every path that was ever written here and may still be there."""

    def open(self, record: Record) -> None:
        """Make ready to take what workers make; `record` is of what is there now."""

    def holds(self, path: str, digest: str, size: int) -> bool:
        """Tell whether the file at `path` has these bytes."""

    def write(self, path: str, data: bytes, digest: str) -> None:
        """Take the bytes that are to be at `path`."""

    def link(self, path: str, file: File) -> None:
        """Take a file that is to be at `path`."""

    def stream(self, path: str, chunks: Iterable[bytes], size: int) -> tuple[str, bool]:
        """Take what is streamed; return its digest, and whether `path` did not hold it yet."""

    def publish(self, change: Change, commit: Callable[[], None]) -> None:
        """Let all that was taken be seen; `commit` writes the record when it is."""

    def discard(self) -> None:
        """Forget all that was taken and not published; harmless when that is nothing."""


class Nowhere:
    """Takes everything and keeps nothing: what goes wrong on the way is all that is wanted."""

    beside = True

    def claim(self) -> None:
        """Belong to nobody."""

    def is_at(self, identity: str) -> bool:  # noqa: ARG002 - the protocol's
        """Hold no tree."""
        return False

    def damaged(self, record: Record) -> set[str]:  # noqa: ARG002
        """Return nothing."""
        return set()

    def noted(self) -> set[str]:
        """Return nothing."""
        return set()

    def open(self, record: Record) -> None:
        """Need nothing."""

    def holds(self, path: str, digest: str, size: int) -> bool:  # noqa: ARG002
        """Hold no file."""
        return False

    def write(self, path: str, data: bytes, digest: str) -> None:
        """Let the bytes go."""

    def link(self, path: str, file: File) -> None:
        """Let the file be."""

    def stream(self, path: str, chunks: Iterable[bytes], size: int) -> tuple[str, bool]:  # noqa: ARG002
        """Make the pieces once, which may fail."""
        total = hashlib.sha256()
        for chunk in chunks:
            total.update(chunk)
        return f"sha256:{total.hexdigest()}", True

    def publish(self, change: Change, commit: Callable[[], None]) -> None:  # noqa: ARG002
        """Show nothing."""
        commit()

    def discard(self) -> None:
        """Have nothing to forget."""
