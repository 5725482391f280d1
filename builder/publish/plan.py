"""What a publish does, decided before anything is done: which files, in which order.

The order is that of dependence, so that a client sees complete content at any
moment: blobs, manifests by digest, referrers, tags and lists, pages, and last
the pointer, `release.json`. Removal goes the other way round. Nothing here
does anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from builder.errors import ContentError
from builder.output import Entry
from builder.publish.moves import FOLDER, HEAD
from builder.publish.release import (
    LISTS,
    MAX_GENERATION,
    RELEASE,
    Release,
    is_signed_by,
    make_release,
)
from builder.publish.signing import PublicKey, SigningKey
from builder.targets import rules
from builder.targets.base import Address

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
    UTC; `name` says which site, or which half of one, this is. `keys` may have
    signed what is there; after `expires` days (0: never) the release is out of
    date.
    """

    time: str
    name: str
    key: SigningKey | None = None
    keys: tuple[PublicKey, ...] = ()
    expires: int = 0
    keep: int = 5
    grace: float = 3600.0
    prune: bool = False
    jobs: int = 8

    @property
    def end(self) -> str:
        """When a release that is made now is out of date: ISO 8601 in UTC, or empty."""
        if not self.expires:
            return ""
        end = datetime.fromisoformat(self.time) + timedelta(days=self.expires)
        return end.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def signers(self) -> tuple[PublicKey, ...]:
        """The keys that a release of ours is signed by; empty where none is signed."""
        return (*self.keys, self.key.public) if self.key else self.keys


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


def site_name(address: Address, half: Half) -> str:
    """Return the name that a release of a site, or of one half of it, says."""
    return f"{address.url}{address.baseurl} {half}".strip()


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
    if path == HEAD or path.startswith(FOLDER):
        return REFERRERS  # no tag moves before the log says so
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
    entries: Iterable[Entry], last: int, options: PublishOptions, label: str
) -> tuple[Release, dict[str, bytes]]:
    """Return the release of `entries` after release `last`, and its files but the envelope.

    Raises ContentError naming `label` where numbers have come to their end.
    """
    if last >= MAX_GENERATION:
        message = f"has release {last}, which publishing never reaches"
        raise ContentError.at(label, message, "find out who put it there, then remove it")
    lists: dict[str, bytes] = {}
    made = make_release(
        entries, last + 1, options.key, options.time,
        name=options.name, expires=options.end, keep=lists.__setitem__,
    )  # fmt: skip
    return made, lists


def is_stale(previous: Release | None, options: PublishOptions) -> bool:
    """Tell whether the same files need a new release: for a signature, or before it expires."""
    if previous is None:
        return False
    if options.key is not None and not is_signed_by(previous, options.key.public):
        return True
    if not options.end:
        return bool(previous.expires)
    if not previous.expires:
        return True
    left = datetime.fromisoformat(previous.expires) - datetime.fromisoformat(options.time)
    return left < timedelta(days=options.expires) / 2
