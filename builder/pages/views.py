"""What the pages of a collection share: its context, addresses, and texts made short.

Each value that a layout is given is made for one page, frozen, and complete: a
fact that is not known is empty, so that a layout leaves it out instead of
printing that it is undefined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.oci.reference import name_fault
from builder.pages import attached, imageview, plan
from builder.pages.model import PageOptions
from builder.pages.pull import Pull, pull_of
from builder.registry.model import Collection, Row, Tag
from builder.text.markdown import Rendered

MAX_NOTES = 20  # warnings of one page, annotations of one entry
_MAX_SLUG = 60  # characters; a file name ends at 255 bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A text and where it leads, a path below the site's base or a web address."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class PageContext:
    """One collection with all that its pages share, worked out once."""

    collection: Collection
    row: Row
    options: PageOptions
    texts: Mapping[str, Rendered]
    known: plan.Facts
    named: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)
    apps: Mapping[str, str] = field(default_factory=dict)
    _pulls: dict[str, Pull | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        collection: Collection,
        row: Row,
        options: PageOptions,
        texts: Mapping[str, Rendered],
        apps: Mapping[str, str],
        *,
        known: plan.Facts | None = None,
    ) -> PageContext:
        """Return the collection made ready for its pages.

        `apps` are URLs by tag, empty for what is not unpacked; `known` as for `plan.row`.
        """
        known = known or plan.facts(collection)
        named = attached.named_after_digests(collection.tags)
        return cls(collection, row, options, texts, known, named, apps)

    def pull(self, tag: Tag) -> Pull | None:
        """Return how to get a tag; the collection's page shows what the page of one tag does."""
        if tag.name not in self._pulls:
            self._pulls[tag.name] = pull_of(self.collection, tag, self.options)
        return self._pulls[tag.name]

    def groups(self, tag: Tag) -> tuple[attached.Group, ...]:
        """Return what is attached to a tag, by kind."""
        if tag.manifest is None or not (
            self.collection.referrers or self.named or tag.manifest.manifests
        ):
            return ()
        return attached.groups(self.collection, tag.manifest, self.named)


def tag_url(name: str, tag: str) -> str:
    """Return the path of a tag's page below the site's base."""
    return f"/{name}/tags/{tag}/"


def state_of(tag: Tag) -> str:
    """Return what keeps a tag from being simply there.

    `pending`, `stale`, `unavailable`, or `left out` where nothing in its folder is one image.
    """
    if not tag.available:
        return "unavailable" if tag.manifest is not None else "left out"
    if tag.recipe is not None and tag.recipe.state in {"pending", "stale"}:
        return tag.recipe.state
    return ""


def replacement_of(deprecated: str) -> str:
    """Return the path of the collection that a deprecation names, or empty."""
    if "/" not in deprecated or name_fault(deprecated):
        return ""
    return f"/{deprecated}/"


def few(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """Return warnings as a page has room for them."""
    return tuple(map(imageview.bounded, warnings[:MAX_NOTES]))


def browse_url(kind: str, value: str) -> str:
    """Return the path of the list of all collections that share a keyword, licence or platform."""
    return f"/browse/{kind}/{slug(value)}/"


def slug(text: str) -> str:
    """Return `text` as one part of a path: lower-case letters, digits, dots and dashes."""
    shown = "".join(char if char.isalnum() or char in ".+_" else "-" for char in text.lower())
    part = "-".join(filter(None, shown.split("-"))).strip(".")[:_MAX_SLUG]
    return f"{part}-" if part.startswith("index.") else part or "other"


def other_names(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return at most six of the other names; a thousand tags may share one digest."""
    return tuple(other for other in names[:7] if other != name)[:6] if len(names) > 1 else ()
