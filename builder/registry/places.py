"""Where the file lies that answers at an address, on a host whose rules can lead there.

A folder costs a host as much as a file does, so that no file has one of its own.
"""

from __future__ import annotations

import re

TAGS = "_tags"  # no part of a repository's name begins so
_LIST = re.compile(r"(v2/.+)/tags/list")
_BLOB = re.compile(r"(.+/blobs/[^/]+)/index\.json")  # what is known of it: its size, where it is


def place_of(path: str) -> str:
    """Return the path of the file that answers at `path`: most lie where they are asked for."""
    if found := _LIST.fullmatch(path):
        return f"{found[1]}/{TAGS}"
    if found := _BLOB.fullmatch(path):
        return f"{found[1]}.json"
    return path
