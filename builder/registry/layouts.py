"""Image layouts as people drop them into `collections/`: which of their entries are tags.

Tools put more into `index.json` than images under tags: full names, what
refers to an image, the children of an index, content of any type. Whatever is
left out is told, for the page and the build, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.errors import ContentError, Problem
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.layout import INDEX, ImageLayout, name_of, with_true_size
from builder.oci.manifest import Manifest
from builder.oci.reference import tag_fault, tag_of
from builder.oci.validate import ManifestError, UnverifiableError, parse_manifest
from builder.registry.content import Missing, Unverifiable
from builder.registry.findings import Findings
from builder.registry.model import Tag

_NO_ALGORITHM = "only sha256 and sha512 digests can be verified here"


def layout_tags(folder: Path, origin: str, findings: Findings) -> list[Tag]:
    """Return the tags of a collection folder that is an image layout itself.

    Raises ContentError for a layout that cannot be read.
    """
    entries = _entries(folder, origin, findings)
    manifests = _manifests(entries, origin, findings)
    broken = {item.digest for item in entries if item.media_type in mediatype.MANIFESTS}
    broken -= manifests.keys()
    sound = [item for item in entries if item.digest not in broken]
    found = _named(sound, manifests)
    label = f"{origin}/{INDEX}"
    if not found.tags:
        found.left_out.append("the image layout holds no image under a tag")
    for text in found.left_out:
        findings.problems.append(Problem(label, message=text, warning=True))
    findings.warnings += found.left_out
    for digest, manifest in manifests.items():
        if digest not in found.tags.values():
            try:
                findings.complete(manifest, label, digest)
            except Unverifiable as fault:
                findings.leave_out(label, digest, str(fault))
    sizes = {entry.digest: entry.warning for entry in entries}
    return [
        Tag(tag, label, manifests[digest], warnings=tuple(filter(None, [sizes[digest]])))
        for tag, digest in found.tags.items()
    ]


def layout_image(folder: Path, origin: str, findings: Findings) -> tuple[Manifest | None, str]:
    """Return the image of a tag's own folder that is an image layout, or why there is none.

    Raises ContentError for a layout that cannot be read.
    """
    findings.content.add_layout(folder, origin)
    entries = _entries(folder, origin, findings)
    manifests = _manifests(entries, origin, findings)
    digest, why = _image_of(folder.name, entries, manifests)
    return manifests[digest] if digest else None, why


def _entries(folder: Path, origin: str, findings: Findings) -> list[Descriptor]:
    """Return the entries of an image layout with their true sizes."""
    layout = ImageLayout(folder, origin)
    found = layout.entries()
    for digest, name in found.left_out:
        called = f" ({name})" if name else ""
        findings.leave_out(f"{origin}/{INDEX}", f"the entry {digest}{called}", _NO_ALGORITHM)
    return [with_true_size(entry, layout) for entry in found.entries]


def _manifests(
    entries: Sequence[Descriptor], origin: str, findings: Findings
) -> dict[Digest, Manifest]:
    """Return the manifests of a layout's entries, under the digests that it has for them.

    Those that are missing or broken are problems.
    """
    found: dict[Digest, Manifest] = {}
    label = f"{origin}/{INDEX}"
    for entry in entries:
        if entry.media_type not in mediatype.MANIFESTS:
            continue
        try:
            raw = findings.content.read(entry)
            manifest = parse_manifest(raw, entry.media_type, allow_foreign=True)
        except Missing:
            name = name_of(entry) or entry.digest
            findings.lacks(label, "the image layout", entry)
            findings.warnings.append(f"{name} is left out: {entry.digest} is not here")
        except UnverifiableError as error:
            findings.leave_out(label, name_of(entry) or entry.digest, error.message)
        except ManifestError as error:
            findings.problems.extend(error.located(label, entry.digest).problems)
        except ContentError as error:
            findings.problems.extend(error.problems)
        else:
            found[entry.digest] = replace(manifest, digest=entry.digest)
    return found


@dataclass(slots=True)
class _Named:
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


def _named(entries: Sequence[Descriptor], manifests: Mapping[Digest, Manifest]) -> _Named:
    """Return the tags of a collection that is an image layout.

    `manifests` are those of its entries that are known manifests.
    """
    found = _Named()
    named: dict[str, set[Digest]] = {}
    images = _images_among(manifests)
    for entry in entries:
        name = name_of(entry)
        tag = tag_of(name)
        if entry.media_type not in mediatype.MANIFESTS:
            _pass_over(found, entry, name, f"is {entry.media_type}, neither an image nor an index")
        elif not tag:
            if entry.digest in images:
                text = "has no name that is a tag, so it can only be pulled by digest"
                _pass_over(found, entry, "", text)
        elif fault := tag_fault(tag):
            _pass_over(found, entry, "", f"is called {name!r}: {fault}")
        else:
            named.setdefault(tag, set()).add(entry.digest)
    for tag, digests in named.items():
        if len(digests) == 1:
            found.tags[tag] = digests.pop()
        else:
            several = ", ".join(sorted(digests))
            found.left_out.append(f"the tag {tag!r} is left out: it names {several}")
    return found


def _pass_over(found: _Named, entry: Descriptor, name: str, why: str) -> None:
    called = f" ({name})" if name else ""
    found.left_out.append(f"the entry {entry.digest}{called} {why}")


def _image_of(
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
