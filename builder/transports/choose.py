"""Which image of a medium is meant: one grammar for layouts, archives and what else holds several.

A reference is a name, as the medium keeps it or as people write it
(`docker.io/library/app:latest`, `app:latest`, `latest`), `@N` for the N-th
from 0, a digest, or nothing for the only one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from builder.errors import ContentError, printable
from builder.oci.reference import tag_of

Key = TypeVar("Key")

_INDEX = re.compile(r"@(\d{1,6})")
_SHOWN = 20  # names in a hint


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Key]):
    """One image: what it is for the medium, its digests, and its names.

    `aside` is one that refers to another or is part of it, and is not meant
    where nothing tells which.
    """

    image: Key
    digests: tuple[str, ...]
    names: tuple[str, ...]
    aside: bool = False


def choose(candidates: Sequence[Candidate[Key]], wanted: str, label: str) -> Key:
    """Return the image that `wanted` names; the same digest under two names is one.

    An exact name counts before one that only ends so. Raises ContentError
    when there is none, or more than one.
    """
    if found := _INDEX.fullmatch(wanted):
        number = int(found[1])
        if number >= len(candidates):
            raise ContentError.at(label, f"has no image {wanted}: it holds {len(candidates)}")
        return candidates[number].image
    fitting = list(candidates)
    for fits in _fitting(wanted):
        if fitting := [item for item in candidates if fits(item)]:
            break
    if len({item.digests for item in fitting}) == 1:
        return fitting[0].image
    if wanted:
        fault = f"holds {len(fitting) or 'no'} images called {wanted!r}"
    else:
        fault = f"holds {len(fitting) or 'no'} images" + "; say which" * bool(fitting)
    shown = fitting or [item for item in candidates if not item.aside] or candidates
    raise ContentError.at(label, fault, _ways(shown, candidates, label))


def _fitting(wanted: str) -> Iterator[Callable[[Candidate[Key]], bool]]:
    """Yield what a candidate must be, from the strictest."""
    if not wanted:
        yield lambda item: not item.aside
        yield lambda _: True
        return
    familiar = full_name(wanted)
    yield lambda item: wanted in (*item.names, *item.digests)
    yield lambda item: any(full_name(name) == familiar for name in item.names)
    yield lambda item: any(name.endswith(f"/{wanted}") for name in item.names)
    yield lambda item: any(tag_of(name) == wanted for name in item.names)


def full_name(name: str) -> str:
    """Return a name with the parts that Docker lets people leave out."""
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, "latest"
    first, slash, _ = path.partition("/")
    if not slash:
        return f"docker.io/library/{path}:{tag}"
    is_host = bool({".", ":"} & set(first)) or first == "localhost"
    return f"{path}:{tag}" if is_host else f"docker.io/{path}:{tag}"


def unnamed(candidates: Sequence[Candidate[Key]]) -> Iterator[str]:
    """Yield `@N` for each image that is there under no name."""
    named = {digest for item in candidates for digest in item.digests if item.names}
    for number, item in enumerate(candidates):
        if not item.aside and named.isdisjoint(item.digests):
            yield f"@{number}"


def _ways(shown: Sequence[Candidate[Key]], candidates: Sequence[Candidate[Key]], label: str) -> str:
    """Return how images can be told apart, for a hint; numbers are those of all candidates."""
    numbered = [(number, item) for number, item in enumerate(candidates) if item in shown]
    ways = [f"@{number} {item.names[0] if item.names else item.digests[0]}"
            for number, item in numbered[:_SHOWN]]  # fmt: skip
    more = ", ..." if len(numbered) > _SHOWN else ""
    hint = f"it holds: {printable(', '.join(ways))}{more}" if ways else ""
    if len(numbered) > 1:
        hint += f"; choose by name, by digest, or by number, as in {label}:@{numbered[-1][0]}"
    return hint
