"""Image layouts as people drop them into `collections/`: which of their entries are tags.

Tools put more into `index.json` than images under tags: full names, what
refers to an image, the children of an index, content of any type. Whatever is
left out is told, for the page and the build, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.layout import name_of
from builder.oci.manifest import Manifest
from builder.oci.reference import tag_fault, tag_of


@dataclass(slots=True)
class LayoutTags:
    """The entries of a layout by their tags; the others by digest alone; why they are none."""

    tags: dict[str, Digest] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def _images_among(manifests: Mapping[Digest, Manifest]) -> list[Digest]:
    """Return which entries stand for themselves: no referrer and no child of another."""
    inner = {child.digest for item in manifests.values() for child in item.manifests}
    return [
        digest
        for digest, item in manifests.items()
        if digest not in inner and (item.subject is None or item.subject.digest not in manifests)
    ]


def layout_tags(entries: Sequence[Descriptor], manifests: Mapping[Digest, Manifest]) -> LayoutTags:
    """Return the tags of a collection that is an image layout.

    `manifests` are those of its entries that are known manifests.
    """
    found = LayoutTags()
    named: dict[str, set[Digest]] = {}
    images = _images_among(manifests)
    for entry in entries:
        name = name_of(entry)
        tag = tag_of(name)
        if entry.media_type not in mediatype.MANIFESTS:
            _leave_out(found, entry, name, f"is {entry.media_type}, neither an image nor an index")
        elif not tag:
            if entry.digest in images:
                text = "has no name that is a tag, so it can only be pulled by digest"
                _leave_out(found, entry, "", text)
        elif fault := tag_fault(tag):
            _leave_out(found, entry, "", f"is called {name!r}: {fault}")
        else:
            named.setdefault(tag, set()).add(entry.digest)
    for tag, digests in named.items():
        if len(digests) == 1:
            found.tags[tag] = digests.pop()
        else:
            several = ", ".join(sorted(digests))
            found.left_out.append(f"the tag {tag!r} is left out: it names {several}")
    return found


def _leave_out(found: LayoutTags, entry: Descriptor, name: str, why: str) -> None:
    called = f" ({name})" if name else ""
    found.left_out.append(f"the entry {entry.digest}{called} {why}")


def tag_folder_image(
    tag: str, entries: Sequence[Descriptor], manifests: Mapping[Digest, Manifest]
) -> tuple[Digest | None, str]:
    """Return which entry of a tag's own image layout is the tag, or why none is.

    That is the only image, or the one whose name is the tag's.
    """
    images = _images_among(manifests)
    if len(images) > 1:
        named = {entry.digest for entry in entries if tag_of(name_of(entry)) == tag}
        images = [digest for digest in images if digest in named] or images
    if len(images) == 1:
        return images[0], ""
    count = len(images) or "no"
    text = f"its image layout holds {count} images"
    return None, f"{text}: {', '.join(images)}" if images else text
