"""What the commands of clients are made from: one tag, with its addresses worked out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builder.pages.model import PageOptions
from builder.registry.model import Collection, Tag

PLACEHOLDER = "REGISTRY"


@dataclass(frozen=True, slots=True)
class Command:
    """A line to paste, and what it does differently from the other lines of its client."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Client:
    """A program and the commands that get a tag with it."""

    key: str
    title: str
    commands: tuple[Command, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One tag with its addresses worked out."""

    options: PageOptions
    collection: Collection
    tag: Tag
    host: str

    @property
    def short(self) -> str:
        """The last part of the collection's name."""
        return self.collection.name.rpartition("/")[2]

    @property
    def is_multi(self) -> bool:
        """Whether the tag is an index of several images."""
        return self.tag.manifest is not None and self.tag.manifest.is_index

    def named(self, tag: str) -> str:
        """Return the reference of another tag of the same collection."""
        return f"{self.host}/{self.collection.name}:{tag}"

    def hashed(self, digest: str) -> str:
        """Return the reference of anything else in the same collection."""
        return f"{self.host}/{self.collection.name}@{digest}"

    @property
    def by_tag(self) -> str:
        """The reference by name."""
        return self.named(self.tag.name)

    @property
    def by_digest(self) -> str:
        """The reference by digest; empty for a tag without a manifest."""
        return self.hashed(self.tag.manifest.digest) if self.tag.manifest is not None else ""

    @property
    def api(self) -> str:
        """The address of the collection below `/v2/`."""
        return f"{self.options.api_url or f'https://{PLACEHOLDER}'}/v2/{self.collection.name}"

    def both(self, form: Callable[[str], str]) -> tuple[Command, ...]:
        """Return a command for the tag and one for the digest."""
        found = [Command("by tag", form(self.by_tag))]
        if self.by_digest:
            found.append(Command("by digest", form(self.by_digest)))
        return tuple(found)

    def flag(self, insecure: str) -> str:
        """Return ` FLAG` where the host speaks plain http, else nothing."""
        return f" {insecure}" if self.options.insecure else ""

    def blob_url(self, digest: str) -> str:
        """Return where the bytes of a blob are: here, or where they are stored."""
        place = self.collection.blobs.get(digest)
        if place is not None and place.url and place.file is None:
            return place.url
        return f"{self.api}/blobs/{digest}"
