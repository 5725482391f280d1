"""What a publish does, decided before anything is done: which files, in which order.

The order is that of dependence, so that a client sees complete content at any
moment: blobs, manifests by digest, referrers, tags and lists, pages, and last
the pointer, `release.json`. Removal goes the other way round. Nothing here
does anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.output import Entry
from builder.publish.release import LISTS, RELEASE, Release, make_release
from builder.publish.signing import SigningKey
from builder.targets import rules

BLOBS, MANIFESTS, REFERRERS, NAMES, PAGES, POINTER = range(6)
STAGES = ("blobs", "manifests", "referrers", "tags and lists", "pages", "pointer")
PAST = "api/releases/"  # the folder of a bucket's last releases' envelopes, by generation
Half = Literal["", "v2", "pages"]

_STAGE_OF_KIND = {"blob": BLOBS, "manifest": MANIFESTS, "referrers": REFERRERS}


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How to publish, wherever to.

    `keep` counts the releases whose content stays, `grace` the seconds for
    which it stays at least after a release was replaced; `time` is ISO 8601 in
    UTC; `name` says which site, or which half of one, this is.
    """

    time: str
    name: str
    key: SigningKey | None = None
    keep: int = 5
    grace: float = 3600.0
    prune: bool = False
    jobs: int = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """What is, or was, to be done.

    `send` are the files that the destination lacks, in order; `same` counts
    those that it has; `remove` names what no kept release needs. Where
    `changed` is false the destination is as it should be.
    """

    destination: str
    generation: int
    send: tuple[Entry, ...]
    same: int
    remove: tuple[str, ...] = ()
    changed: bool = True

    @property
    def size(self) -> int:
        """The bytes that are sent."""
        return sum(entry.size for entry in self.send)

    def stages(self) -> Iterator[tuple[str, int, int]]:
        """Yield each stage that has something: its name, files and bytes."""
        for number, name in enumerate(STAGES):
            sizes = [entry.size for entry in self.send if stage_of(entry.path) == number]
            if sizes:
                yield name, len(sizes), sum(sizes)


def staying(
    made: Sequence[tuple[int, float]], now: float, options: PublishOptions, *, extra: int = 0
) -> list[int]:
    """Return the releases whose content stays, of those that were `made`, oldest first.

    Each is a number with the time it was made at, in seconds; it was replaced
    when the next one was made. `extra` releases are about to be made.
    """
    last = len(made) - (options.keep - extra)
    replaced = [time for _, time in made[1:]] + [now]
    return [
        number
        for place, (number, _) in enumerate(made)
        if place >= last or replaced[place] > now - options.grace
    ]


def stage_of(path: str) -> int:
    """Return the stage that a path of the site is published in."""
    if path == RELEASE:
        return POINTER
    if not path.startswith("v2/"):
        return PAGES
    return _STAGE_OF_KIND.get(rules.kind_of(path), NAMES)


def is_content(path: str) -> bool:
    """Tell whether a path is named by the digest of its bytes, or keeps them for ever."""
    return stage_of(path) <= MANIFESTS or path.startswith(LISTS)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries in the order they are published in."""
    return sorted(entries, key=lambda entry: (stage_of(entry.path), entry.path))


def in_half(path: str, half: Half) -> bool:
    """Tell whether a path belongs to the half of a site that is published."""
    return not half or path.startswith("v2/") == (half == "v2")


def cache_control(path: str) -> str:
    """Return how long what is at `path` may be cached; below `v2/` nobody may recompress it."""
    if path.startswith(LISTS):
        return "public, max-age=31536000, immutable"
    return rules.cache_control(path) or "no-cache"


def with_lists(
    entries: Iterable[Entry], previous: Release | None, options: PublishOptions
) -> tuple[Release, dict[str, bytes]]:
    """Return the release of `entries` and the files that make it up but its envelope."""
    lists: dict[str, bytes] = {}
    made = make_release(
        entries, previous, options.key, options.time, name=options.name, keep=lists.__setitem__
    )
    return made, lists


def needs_signature(previous: Release | None, options: PublishOptions) -> bool:
    """Tell whether a key is given that the last release does not name."""
    if options.key is None or previous is None:
        return False
    return options.key.public.id not in {name for name, _ in previous.signatures}
