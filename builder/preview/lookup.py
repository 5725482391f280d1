"""What the preview server serves from: a map of paths, never a folder.

A built site, a registry's web apps and a proxied site are all a `Lookup`;
the server knows no other way to a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, runtime_checkable

from builder.output import Entry


class Lookup(Protocol):
    """A read-only map from output paths to resources."""

    def find(self, path: str) -> Entry | None:
        """Return the entry published at exactly `path` (no leading slash), if any."""

    def open(self, entry: Entry) -> BinaryIO:
        """Open the bytes of an entry that `find` returned; raises FileNotFoundError."""

    def under(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries whose path starts with `prefix`, in byte order of their path."""


@runtime_checkable
class Arriving(Protocol):
    """A stream whose bytes are still on their way: `read` returns None where none have come."""

    def on_more(self, callback: Callable[[], None]) -> None:
        """Call back, from any thread, when it is worth reading again."""
