"""Names, tags and references, by the specification's own grammar.

Source: distribution-spec, "Pulling manifests" (`<name>`, `<reference>`), plus
what a tree of plain files needs: no reserved folder names, no device names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from builder.errors import UsageError
from builder.oci.digest import Digest, DigestError

_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_REFERRERS_TAG = re.compile(r"sha256-[a-f0-9]{64}|sha512-[a-f0-9]{64}")

MAX_PARTS = 40
RESERVED_FIRST = frozenset({"v2", "api", "assets", "search", "browse"})
RESERVED = frozenset({"manifests", "blobs", "tags", "referrers", "uploads", "page"})
# What lies in the folder of each page, or makes one what it is: no folder can be called so.
_FILES = frozenset({
    "index.html", "index.json", "feed.xml", "badge.svg", "oci-layout", "readme.md",
    "readme.markdown",
})  # fmt: skip
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{stem}{n}" for stem in ("com", "lpt") for n in range(1, 10))}
)
_FOLDER_ANSWERS = frozenset({"index.html", "index.json"})


def name_fault(name: str) -> str:
    """Return why `name` cannot be a repository's name, or the empty string."""
    if len(name) > 255:
        return f"the name is {len(name)} characters long; clients stop at 255"
    parts = name.split("/")
    if len(parts) > MAX_PARTS:
        return f"the name has {len(parts)} parts; the limit is {MAX_PARTS}"
    if parts[0] in RESERVED_FIRST:
        return f"{parts[0]!r} is a reserved name: the site publishes its own files there"
    for part in parts:
        if fault := _part_fault(part):
            return fault
    return ""


def _part_fault(part: str) -> str:
    if _PART.fullmatch(part) is None:
        return (
            f"{part!r} is not a valid part of a name: lower-case letters and digits, "
            "joined by one of . _ __ or dashes"
        )
    if part in RESERVED:
        return f"{part!r} is a reserved name: it is an endpoint of the registry API"
    if part in _FILES:
        return f"{part!r} is a reserved name: the site's own pages use this name"
    if part.partition(".")[0] in _DEVICES:
        return f"{part!r} is a device name on Windows, so it could not be checked out there"
    return ""


def tag_fault(tag: str) -> str:
    """Return why `tag` cannot be a tag, or the empty string."""
    if len(tag) > 128:
        return f"the tag is {len(tag)} characters long; the limit is 128"
    if _TAG.fullmatch(tag) is None:
        return (
            f"{tag!r} is not a valid tag: letters, digits, '_', '.', '-', "
            "not starting with '.' or '-'"
        )
    if is_referrers_tag(tag):
        return f"{tag!r} is reserved for the list of an image's referrers"
    if tag.lower() in _FOLDER_ANSWERS:
        return f"{tag!r} cannot be a tag: many hosts serve index.html for its folder"
    if tag.partition(".")[0].lower() in _DEVICES:
        return f"{tag!r} is a device name on Windows, so it could not be checked out there"
    return ""


def is_name(text: str) -> bool:
    """Tell whether some registry could have a repository of this name, if not this one."""
    return len(text) <= 255 and all(_PART.fullmatch(part) for part in text.split("/"))


def is_tag(text: str) -> bool:
    """Tell whether some registry could have a tag of this name, for people and not for tools."""
    return is_any_tag(text) and not text.startswith(("sha256-", "sha512-"))


def is_any_tag(text: str) -> bool:
    """Tell whether some registry could have a tag of this name, also one that a tool made."""
    return _TAG.fullmatch(text) is not None


def tag_of(name: str) -> str:
    """Return the tag in an image's name, which may be a full one: `docker.io/library/x:1`.

    A name without a tag means `latest`; one by digest alone, and `@N`, has none.
    """
    name, at, _ = name.partition("@")
    head, colon, tag = name.rpartition("/")[2].rpartition(":")
    if colon:
        return tag if head else ""
    return "" if at else "latest" if "/" in name else name


def is_referrers_tag(tag: str) -> bool:
    """Tell whether a tag is one of the referrers tag schema, which lists what refers to a digest.

    Source: distribution-spec, "Referrers Tag Schema".
    """
    return _REFERRERS_TAG.fullmatch(tag) is not None


def cosign_tags(manifests: Iterable[str], tags: Iterable[str]) -> tuple[str, ...]:
    """Return which of `tags` hold what cosign signed or described some manifests with.

    `manifests` are digests. Before there were referrers, `sha256-<hex>.sig`,
    `.att` and `.sbom` named them by the digest of their subject.
    """
    stems = {digest.replace(":", "-", 1) for digest in manifests}
    suffixes = (".sig", ".att", ".sbom")
    return tuple(
        tag
        for tag in tags
        if tag.endswith(suffixes) and tag.rpartition(".")[0].rpartition(":")[2] in stems
    )


@dataclass(frozen=True, slots=True)
class Reference:
    """`vanessa/greeting:latest`, `vanessa/greeting@sha256:...` or a bare name."""

    name: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str, *, tag: str = "") -> Self:
        """Return the reference that a user typed; `tag` is used when none is given.

        Raises UsageError naming the part that is wrong.
        """
        name, at, digest = text.partition("@")
        name, colon, given = name.partition(":")
        if fault := name_fault(name):
            raise UsageError(f"{text}: {fault}", _slip(text))
        if at:
            return cls(name, "", _digest(text, digest))
        if colon and not given:
            raise UsageError(f"{text}: the tag after ':' is empty", "write NAME:TAG")
        if given and (fault := tag_fault(given)):
            raise UsageError(f"{text}: {fault}", _slip(text))
        return cls(name, given or tag)

    def __str__(self) -> str:
        if self.digest:
            return f"{self.name}@{self.digest}"
        return f"{self.name}:{self.tag}" if self.tag else self.name


def _slip(text: str) -> str:
    """Return what to do where a place or a path stands and NAME[:TAG] belongs."""
    place = "://" in text or text.startswith((".", "/", "~"))
    return "NAME[:TAG] of this registry goes here: are the arguments in the right order?" * place


def _digest(text: str, digest: str) -> Digest:
    try:
        return Digest(digest)
    except DigestError as error:
        raise UsageError(f"{text}: {error.message}") from None
