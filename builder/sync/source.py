"""A repository that is mirrored, as a source of images of which some platforms are wanted."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any, BinaryIO

from builder.errors import ContentError
from builder.oci import mediatype, strictjson
from builder.oci.content import read_verified
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.platform import Platform, choose
from builder.oci.validate import ManifestError, parse_manifest
from builder.remote.registry import Repository
from builder.transports.remote import RemoteSource

# How BuildKit's attestations name the image that they are of, beside it in the index.
_ATTESTED = "vnd.docker.reference.digest"


class MirrorSource(RemoteSource):
    """A `RemoteSource` that also holds the indexes which were made smaller."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository, "", f"docker://{repository.label}")
        self._made: dict[Digest, bytes] = {}

    def narrow(self, top: Descriptor, platforms: Sequence[Platform]) -> Descriptor:
        """Return an index of those images of an index that fit some platforms.

        An image, and an index that holds nothing else, is returned as it is. Raises
        ContentError naming the platforms that are there when none fits.
        """
        if not platforms or top.media_type not in mediatype.INDEXES:
            return top
        before = read_verified(self, top, self.label)
        raw = narrowed(before, platforms, f"{self.label}@{top.digest}")
        if raw == before:
            return top
        digest = Digest.of(raw)
        self._made[digest] = raw
        return Descriptor(top.media_type, digest, len(raw))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a manifest or a blob; raises FileNotFoundError, RemoteError."""
        made = self._made.get(descriptor.digest)
        return super().open(descriptor) if made is None else io.BytesIO(made)

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return what the registry says refers to a manifest; it knows none that was made here."""
        return () if digest in self._made else super().referrers(digest)


def narrowed(raw: bytes, platforms: Sequence[Platform], label: str) -> bytes:
    """Return the bytes of an index without the images that fit none of some platforms.

    The same bytes give the same bytes. What attests to an image stays with it.
    """
    try:
        index = parse_manifest(raw, allow_foreign=True)
    except ManifestError as error:
        raise error.located(label) from None
    entries = list(enumerate(index.manifests))
    named = [(item.platform, number) for number, item in entries]
    kept = {number for wanted in platforms for number in choose(named, wanted)}
    if not kept:
        there = ", ".join(dict.fromkeys(str(item) for item, _ in named if item and item.is_known))
        message = f"has no image for {', '.join(map(str, platforms))}"
        raise ContentError.at(label, message, f"it has: {there}; or exclude the tag")
    digests = {index.manifests[number].digest for number in kept}
    kept |= {number for number, item in entries if item.annotations.get(_ATTESTED) in digests}
    if len(kept) == len(entries):
        return raw
    document: dict[str, Any] = strictjson.loads(raw)
    document["manifests"] = [
        item for number, item in enumerate(document["manifests"]) if number in kept
    ]
    return json.dumps(document, indent=3, ensure_ascii=False).encode()
