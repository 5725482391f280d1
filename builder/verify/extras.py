"""Files that are in a published folder and in no list: two sorted sequences, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from builder.oci.digest import Digest
from builder.publish.release import LISTS, RELEASE

# The release and its lists, those of earlier releases too: they list, and are not listed.
_OWN = re.compile(rf"{re.escape(RELEASE)}|{re.escape(LISTS)}[0-9a-f]{{64}}\.json")

_CONTENT = re.compile(r"v2/.+/(?:blobs|manifests)/(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


def digest_of(path: str) -> Digest | None:
    """Return the digest that the path of content ends in; None for any other path."""
    found = _CONTENT.fullmatch(path)
    return Digest(found[1]) if found else None


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
