"""What the page of a mirrored tag says of where it came from, and of what it was before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builder.oci.digest import looks_like_digest
from builder.pages import plan
from builder.registry.model import Collection, Tag
from builder.registry.schema import is_date, texts

_MAX_MOVES = 20  # that a page has room for


@dataclass(frozen=True, slots=True)
class Moved:
    """What a mirrored tag was until a date, `url` being where that is still here."""

    date: str
    digest: str
    url: str


def mirror_of(tag: Tag) -> str:
    """Return what a tag is a copy of: `docker.io/library/alpine:3.19`; empty for none."""
    said = tag.keys.get("mirror")
    return plan.one_line(said.get("from")) if isinstance(said, Mapping) else ""


def moves_of(collection: Collection, tag: Tag) -> Iterator[Moved]:
    """Yield what a mirrored tag was before, newest first."""
    for text in texts(tag.keys.get("moves"))[:_MAX_MOVES]:
        date, _, digest = text.partition(" ")
        if is_date(date) and looks_like_digest(digest):
            is_here = digest in collection.manifests
            yield Moved(date, digest, f"/{collection.name}/manifests/{digest}/" if is_here else "")
