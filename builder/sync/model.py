"""What a mirror is told, and what a tag remembers of where it came from.

Nothing here touches a disk or the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from builder.errors import Problem
from builder.oci.platform import Platform

MIRROR, MOVES = "mirror", "moves"  # keys of a tag's front matter
MAX_MOVES = 20  # that a tag remembers


@dataclass(frozen=True, slots=True)
class Mirror:
    """One item of `registry.sync`.

    `sources` are pairs of a registry's host and a repository's name or a pattern of names; `to`
    is the name here, with `*` for the name there. `tags` and `exclude` are rules (see
    `sync.tags`), `newest` (0: all) how many of the tags that fit. No `platforms` means all of
    them. `keep` are rules for tags that `prune` leaves, `floor` how many it must leave. `insecure`
    trusts these sources as `RemoteOptions` says, whatever is asked of the others.
    """

    sources: tuple[tuple[str, str], ...]
    to: str = "*"
    tags: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    newest: int = 0
    platforms: tuple[Platform, ...] = ()
    referrers: bool = False
    prune: bool = False
    keep: tuple[str, ...] = ()
    floor: int = 1
    insecure: bool = False
    place: Problem = field(default_factory=lambda: Problem("_config.yml"))


@dataclass(frozen=True, slots=True)
class Copy:
    """One repository, such as `docker.io/library/alpine`, and the collection that is its copy."""

    mirror: Mirror
    name: str
    place: str

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms that are wanted, as tags remember them."""
        return tuple(map(str, self.mirror.platforms))


@dataclass(frozen=True, slots=True)
class Origin:
    """What a mirrored tag is a copy of: `docker.io/library/alpine:3.19`, at `digest`.

    `platforms` are those that were taken, empty for all.
    """

    place: str
    digest: str
    platforms: tuple[str, ...] = ()

    @classmethod
    def from_keys(cls, keys: Mapping[str, Any]) -> Self | None:
        """Return what a tag's front matter says; None for a tag that no mirror brought."""
        said = keys.get(MIRROR)
        if not isinstance(said, Mapping):
            return None
        platforms = said.get("platforms")
        listed = platforms if isinstance(platforms, list) else []
        return cls(str(said.get("from")), str(said.get("digest")), tuple(map(str, listed)))

    def to_yaml(self) -> str:
        """Return the value of the front matter's key, on one line."""
        said: dict[str, Any] = {"from": self.place, "digest": self.digest}
        if self.platforms:
            said["platforms"] = list(self.platforms)
        return json.dumps(said)


def moves_yaml(before: object, digest: str, when: str) -> str:
    """Return the front matter's list of moves, on one line, with what the tag was until `when`."""
    listed = before if isinstance(before, list) else []
    return json.dumps([f"{when} {digest}", *map(str, listed)][:MAX_MOVES])
