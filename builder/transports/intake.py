"""Bringing an image into the registry: `copy_image` to a collection, and what came of it.

Call with `registry.edit.lock` held.
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.errors import ContentError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.reference import Reference
from builder.registry.model import RegistryOptions
from builder.storage.parallel import Progress, silent
from builder.transports.base import ImageSource
from builder.transports.copy import check_there, copy_image, plan_copy
from builder.transports.registry_sink import Part, RegistrySink, Terms


@dataclass(frozen=True, slots=True)
class Added:
    """What came in; `changed` is false when all of it was here before.

    `tag` is empty for a referrer. `parts` are the blobs, `manifests` the
    digests of the image, its children and all that refers to them.
    `moved_from` is what the tag pointed to before.
    """

    name: str
    tag: str
    digest: Digest
    parts: tuple[Part, ...]
    manifests: tuple[Digest, ...]
    referrers: int
    warnings: tuple[str, ...]
    changed: bool
    moved_from: Digest | None = None

    @property
    def new_bytes(self) -> int:
        """How many bytes of blobs were stored, or would be."""
        return sum(part.descriptor.size for part in self.parts if not part.kept)


def add_image(
    options: RegistryOptions,
    source: ImageSource,
    top: Descriptor,
    reference: Reference,
    terms: Terms,
    *,
    progress: Progress = silent,
    referrers: bool = False,
) -> Added:
    """Store the image `top` of a source, and let a tag point to it.

    Without a tag it is a referrer, which names its subject. `referrers` brings
    along what refers to the image. Raises ContentError for content that is not
    what it says, for what the judge refuses, for the move of an immutable tag
    without `terms.force`; LocalError; RemoteError. Nothing is left behind then.
    """
    with RegistrySink(options, reference.name, source, terms) as sink:
        if not terms.dry_run:
            sink.folder.sweep()
        return stage_image(
            sink, source, top, reference, terms, progress=progress, referrers=referrers
        )


def stage_image(
    sink: RegistrySink,
    source: ImageSource,
    top: Descriptor,
    reference: Reference,
    terms: Terms,
    *,
    progress: Progress = silent,
    referrers: bool = False,
) -> Added:
    """Bring an image to a sink that is open; it shows what it has when it is closed.

    Raises as `add_image` does, but for what the judge says.
    """
    plan = plan_copy(source, sink, top, referrers=referrers, allow_foreign=terms.allow_foreign)
    if not reference.tag and plan.manifest.subject is None:
        message = "names no subject, so that nothing would refer to it"
        raise ContentError.at(source.label, message)
    moves = bool(reference.tag) and sink.check_tag(plan.manifest, reference.tag)
    changed = moves or bool(plan.missing)
    if terms.dry_run:
        check_there(source, plan)
        copy_image(source, sink, plan, reference.tag)
    else:
        sink.check_space(plan.missing)
        changed = copy_image(source, sink, plan, reference.tag, progress=progress)
    return Added(
        reference.name,
        reference.tag,
        plan.top.digest,
        tuple(sink.parts.values()),
        plan.manifests,
        plan.referrers,
        tuple(dict.fromkeys(text for node in (*plan.image, *plan.attached)
                            for text in node.warnings)),
        changed,
        sink.moved_from,
    )  # fmt: skip
