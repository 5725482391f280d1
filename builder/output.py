"""The waist: what every maker of content produces and every target consumes.

An `Output` is one file of the published tree, with its body still to be made.
A `Bundle` is a group of outputs that live and die together (one collection,
one namespace, the home pages) under one fingerprint: while that is equal to
the last build's, the group is neither made nor written. An `OutputTree` is
all bundles, checked so that no path is published twice.

This file must not know what a manifest, a page or a web server is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from builder.errors import ContentError, Problem

# What a build writes into its destination for itself; no host may serve it.
MARKER = ".builder-site"
# Pages that answer for what is missing below their folder, the first before the second.
FALLBACKS = ("200.html", "404.html")


@dataclass(frozen=True, slots=True)
class Data:
    """A body that is already here."""

    data: bytes


@dataclass(frozen=True, slots=True)
class File:
    """A body that is a file on this disk, streamed and never held whole.

    `digest` is `sha256:<hex>` or `sha512:<hex>` of the bytes, verified by
    whoever made this value; `size` is in bytes.
    """

    path: Path
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Made:
    """A body that is made when somebody asks for it."""

    make: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Streamed:
    """A body that is made piece by piece, for what is too large to hold.

    `make` yields `size` bytes, the same each time; the fingerprint of the
    output must identify them, so that they are not made again to be compared.
    """

    make: Callable[[], Iterable[bytes]]
    size: int


@dataclass(frozen=True, slots=True)
class Redirect:
    """No bytes of its own: the content is at `to`, a URL or a path from the host root."""

    to: str
    status: int = 302


Body = Data | File | Made | Streamed | Redirect


class Output(NamedTuple):
    """One file of the published tree.

    `path` is relative, `/`-separated and below the site's base; `origin` is
    the source path to name when something is wrong with it; `fingerprint`
    identifies all that the body depends on (empty: the bundle's alone);
    `folder_answer` marks a body that also answers for its folder's URL;
    `copy_of` is the path of another output with the same bytes.
    """

    path: str
    media_type: str
    body: Body
    origin: str = ""
    fingerprint: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    folder_answer: bool = False
    copy_of: str = ""

    def at(self, path: str, media_type: str | None = None, body: Body | None = None) -> Output:
        """Return the same output under another path, type or body."""
        return self._replace(
            path=path, media_type=media_type or self.media_type, body=body or self.body
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One published file as the last build's record remembers it.

    `digest` is `sha256:<hex>` of the bytes as written, `size` in bytes;
    `location` is set, and nothing is on disk, where the target redirects;
    `copy_of` is set, and nothing of its own is on disk, where it answers with
    the file at that path.
    """

    path: str
    media_type: str
    headers: tuple[tuple[str, str], ...]
    digest: str
    size: int
    location: str = ""
    fingerprint: str = ""
    folder_answer: bool = False
    copy_of: str = ""

    def __reduce__(self) -> tuple[type[Entry], tuple[object, ...]]:
        """Cross a pipe as the values alone: a build sends very many."""
        return Entry, _VALUES(self)

    @property
    def has_file(self) -> bool:
        """Whether a file of its own is on disk."""
        return not (self.location or self.copy_of)

    @property
    def ruled(self) -> tuple[object, ...]:
        """What a host's rules are made from: no bytes, and of an ordinary page its type alone."""
        if is_ordinary(self.path, self.headers, self.location, self.copy_of):
            return (extension(self.path), self.media_type)
        size = self.size if self.path.startswith("v2/") else 0
        return (self.path, self.media_type, self.headers, self.location, self.copy_of, size)


def is_ordinary(path: str, *special: object) -> bool:
    """Tell whether `path`, of which nothing `special` is known, is a page like any other."""
    return not (path.startswith("v2/") or any(special) or path.rpartition("/")[2] in FALLBACKS)


def extension(path: str) -> str:
    """Return what follows the last dot of a file's name, or a name without any."""
    return path.rpartition("/")[2].rpartition(".")[2]


_VALUES = attrgetter(*(item.name for item in fields(Entry)))


class Claim(NamedTuple):
    """A path that a bundle owns alone: a file, or a folder when it ends in `/`."""

    path: str
    origin: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A group of outputs under one fingerprint.

    `make` must be picklable and is called in a worker process, only when
    `fingerprint` differs from the last build's. Bundles are written in order
    of `rank`: collections (0) before what lists them (1).
    """

    name: str
    fingerprint: str
    make: Callable[..., Iterable[Output]]
    claims: tuple[Claim, ...] = ()
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of host can do; the only thing content may ask about a target."""

    name: str
    title: str
    media_types: bool = False  # a Content-Type per path
    runs: bool = False  # may run files as programs, by a part of their name
    guesses: bool = False  # where it knows no type, it or a browser guesses one from the content
    headers: bool = False  # further headers per path, the digest header among them
    redirects: bool = False  # to other paths and other hosts
    index_names: tuple[str, ...] = ("index.html",)  # what answers for a folder
    unknown_referrers: bool = False  # 200 and an empty index for unknown digests
    copies: bool = False  # answers below several paths with one file
    queries: bool = False  # sees ?n= and ?artifactType=
    releases: bool = False  # `builder publish` brings sites there, with a log of tag moves
    host_root: bool = True  # can own /v2/ at the root of its host
    json_errors: bool = False  # JSON bodies for 404s below /v2/
    fallbacks: bool = False  # the nearest 200.html or 404.html answers for what is missing
    max_file: int = 0  # bytes; 0 means no limit
    max_site: int = 0
    max_files: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputTree:
    """All bundles of a build; refuses two owners of one path when made.

    Raises ContentError naming both sources of every clash: the same path
    twice, a path inside another bundle's folder, a file where another bundle
    needs a folder.
    """

    bundles: tuple[Bundle, ...] = field(default=())

    def __post_init__(self) -> None:
        problems = list(clashes(claim for bundle in self.bundles for claim in bundle.claims))
        if problems:
            raise ContentError(problems)


def clashes(claims: Iterable[Claim]) -> Iterator[Problem]:
    """Yield a problem for every claim that collides with an earlier one, in O(n log n)."""
    # "/" sorts as "\0" so that all that lies below a folder follows it directly.
    ordered = sorted(claims, key=lambda claim: (claim.path.replace("/", "\0"), claim.origin))
    owner: Claim | None = None
    for claim in ordered:
        if owner is not None and _contains(owner.path, claim.path):
            yield _clash(owner, claim)
        else:
            owner = claim


def _contains(outer: str, inner: str) -> bool:
    if outer.endswith("/"):
        return inner.startswith(outer) or inner == outer[:-1]
    return inner == outer or inner.startswith(outer + "/")


def _clash(first: Claim, second: Claim) -> Problem:
    return Problem(
        second.origin,
        message=f"would be published at /{second.path}, which {first.origin} already owns",
        hint="rename one of the two",
    )
