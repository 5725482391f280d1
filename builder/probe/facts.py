"""What a deployed site answered, as clients would have seen it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: its status (0 where none came, and `fault` says why) and what clients look at.

    `found` is the SHA-256 digest of the body, where the whole of it was read; `hint` goes
    with `fault`.
    """

    status: int
    type: str = ""
    length: int | None = None  # what Content-Length says
    digest: str = ""  # Docker-Content-Digest
    encoding: str = ""
    link: str = ""
    filters: str = ""  # OCI-Filters-Applied
    found: str = ""
    fault: str = ""
    hint: str = ""

    @property
    def shown(self) -> str:
        """What to call this answer in a message."""
        return self.fault or str(self.status)


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a listed tag answered; `fault` says why its body is no manifest.

    `schema1` is set for Docker's oldest format, whose digest is not that of all its bytes.
    """

    name: str
    tag: str
    reply: Reply
    fault: str = ""
    schema1: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A blob or manifest that a sample needs; `elsewhere` when only the friendly answer has it."""

    kind: str  # of the sample
    path: str
    reply: Reply
    digest: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One manifest of a kind, asked for in all ways; `zstd` says that its layers are."""

    kind: str
    name: str
    reference: str
    media_type: str
    digest: str
    by_tag: Reply | None
    head_by_tag: Reply | None
    by_digest: Reply
    head_by_digest: Reply
    zstd: bool = False

    @property
    def replies(self) -> tuple[Reply, ...]:
        """Every answer that came."""
        every = (self.by_tag, self.head_by_tag, self.by_digest, self.head_by_digest)
        return tuple(reply for reply in every if reply is not None)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a site answered. `path` is what `/v2/` is below, empty at the host's root."""

    url: str
    path: str
    near: bool  # on this machine, where plain http is fine
    root: Reply
    listed: int  # tags in all lists, of which `tags` were looked at
    tags: tuple[Tagged, ...]
    samples: tuple[Sample, ...]
    parts: tuple[Part, ...]
    blob: Reply | None  # the whole of one
    blob_digest: str
    blob_part: Reply | None
    missing: Reply
    paged: Reply | None
    referrers: Reply | None  # of a known digest
    no_referrers: Reply | None  # of an unknown one
    filtered: Reply | None
    schema1: str = ""  # a tag of a companion
