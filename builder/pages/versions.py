"""The order of tags: what a person looking for a version expects at the top.

`latest` is pinned first, then versions from high to low, then names, then
pre-releases, then what tools leave behind (`sha256-....sig`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

Key = tuple[int, tuple[int, ...], int, str]

_VERSION = re.compile(r"[vV]?(?P<numbers>[0-9]{1,18}(?:[._-][0-9]{1,18})*)(?P<rest>.*)", re.DOTALL)
_PRE_RELEASE = re.compile(
    r"(?:[._-]|(?<=[0-9]))(?:alpha|beta|a|b|c|rc|pre|preview|dev|snapshot|nightly|canary|test)"
    r"[._-]?[0-9]*(?![a-z])",
    re.IGNORECASE,
)
_COMPANION = re.compile(r"sha(?:256|512)-[a-f0-9]{64,}")

_LATEST, _RELEASE, _NAME, _PRE, _TOOL = 4, 3, 2, 1, 0


@lru_cache(maxsize=4096)
def key(tag: str) -> Key:
    """Return a key that sorts tags from the least to the most wanted, names from Z to A."""
    if tag == "latest":
        return _LATEST, (), 0, ""
    if _COMPANION.match(tag):
        return _TOOL, (), 0, _reversed(tag)
    match = _VERSION.fullmatch(tag)
    if match is None or (match["rest"] and match["rest"][0].isalnum() and not _is_pre(tag)):
        return _name_key(tag)
    numbers = tuple(int(part) for part in re.split(r"[._-]", match["numbers"]))
    if _is_pre(tag):
        return _PRE, numbers, 0, _natural(match["rest"])
    return _RELEASE, numbers, 0 if match["rest"] else 1, _reversed(match["rest"])


def _name_key(tag: str) -> Key:
    """Return a key of a name: from A to Z, and by the number at its end the highest first."""
    stem = tag.rstrip("0123456789._-")
    return _NAME, (), 0, _reversed(stem) + _natural(tag[len(stem) :])


def major(tag: str) -> str:
    """Return the first number of a version, empty for what is none."""
    rank, numbers, _, _ = key(tag)
    return str(numbers[0]) if rank in {_RELEASE, _PRE} else ""


def is_version(tag: str) -> bool:
    """Tell whether `tag` is a release or a pre-release with a number."""
    return key(tag)[0] in {_RELEASE, _PRE}


def is_tool_tag(tag: str) -> bool:
    """Tell whether a tool made `tag` to name what belongs to a digest: it is no version."""
    return key(tag)[0] == _TOOL


def is_pre_release(tag: str) -> bool:
    """Tell whether `tag` is a version that comes before a release."""
    return key(tag)[0] == _PRE


def precision(tag: str) -> tuple[int, int]:
    """Return how precise a version is: its count of numbers, then whether it is no variant."""
    rank, numbers, plain, _ = key(tag)
    return (len(numbers), plain) if rank in {_RELEASE, _PRE} else (-1, 0)


def variant(tag: str) -> str:
    """Return what follows a release's numbers: `-alpine` of `3.1-alpine`; else nothing."""
    match = _VERSION.fullmatch(tag)
    return match["rest"] if match is not None and key(tag)[0] == _RELEASE else ""


def newest_first(tags: Iterable[str]) -> list[str]:
    """Return tag names in the order of pages and lists."""
    return sorted(tags, key=key, reverse=True)


def _is_pre(tag: str) -> bool:
    return _PRE_RELEASE.search(tag) is not None


def _natural(text: str) -> str:
    """Return `text` with its numbers padded, so that `rc.10` follows `rc.9`."""
    return re.sub(r"[0-9]+", lambda number: number[0].zfill(18), text.lower())


def _reversed(text: str) -> str:
    """Return a text that sorts in the opposite order of `text`."""
    return "".join(chr(0xFF - ord(char)) for char in text) + "\xff"
