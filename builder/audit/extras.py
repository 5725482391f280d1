"""Files that are in a published folder and in no list: two sorted sequences, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from builder.publish.release import LISTS, RELEASE

# The release and its lists, those of earlier releases too: they list, and are not listed.
_OWN = re.compile(rf"{re.escape(RELEASE)}|{re.escape(LISTS)}[0-9a-f]{{64}}\.json")


def unlisted(files: Iterable[str], listed: Iterable[str]) -> Iterator[str]:
    """Yield the `files` that are not `listed`; both are in byte order of their paths."""
    waiting = iter(listed)
    expected = next(waiting, None)
    for path in files:
        while expected is not None and expected.encode() < _bytes(path):
            expected = next(waiting, None)
        if path != expected and not _OWN.fullmatch(path):
            yield path


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
