"""What `docker save` of Docker 25 and later writes: one archive, described twice.

`index.json` is the image layout's, `manifest.json` that of older versions.
Mostly both say the same; where the layout has lost an image, or its layers,
the older description has them still.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from builder.errors import ContentError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.graph import entries
from builder.oci.manifest import Manifest
from builder.transports.base import Entered
from builder.transports.choose import Candidate, choose, unnamed
from builder.transports.docker_archive import DockerArchiveSource, Saved
from builder.transports.oci_layout import LayoutSource


class SavedSource(Entered):
    """An `ImageSource` over both descriptions of an archive; the layout's counts where it can."""

    streams = 1
    suggested_tag = ""

    def __init__(self, layout: LayoutSource, older: DockerArchiveSource, reference: str) -> None:
        self.label = layout.label
        self._layout = layout
        self._older = older
        self._reference = reference

    def names(self) -> tuple[str, ...]:
        """Return the names of all images, and the numbers of those that have none."""
        found = self._candidates()
        tags = {tag for item in found for tag in
                (item.names if isinstance(item.image, Saved) else item.names[:1])}  # fmt: skip
        return tuple(sorted(tags.union(unnamed(found))))

    def resolve(self, reference: str = "") -> Descriptor:
        """Return the image of that name, digest or number."""
        wanted = reference or self._reference
        chosen = choose(self._candidates(wanted), wanted, self.label)
        if isinstance(chosen, Saved):
            return self._older.image(chosen)
        return self._layout.resolve(chosen.digest)

    def _candidates(self, wanted: str = "") -> list[Candidate[Descriptor | Saved]]:
        """Return the images of the layout that are whole there, then those it has lost."""
        lost = self._lost()
        ids = {item for saved in lost for item in saved.ids}
        broken = {item.digest for item in self._layout.manifests()
                  if item.config is not None and item.config.digest in ids}  # fmt: skip
        found: list[Candidate[Descriptor | Saved]] = [
            Candidate(item.image, item.digests, item.names, item.aside)
            for item in self._layout.candidates(wanted)
            if item.image.digest not in broken
        ]
        found += [Candidate(saved, saved.ids, saved.tags) for saved in lost]
        return found

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return the entries of the layout that refer to a manifest."""
        return self._layout.referrers(digest)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open content of the layout, or what was converted."""
        try:
            return self._older.open(descriptor)
        except FileNotFoundError:
            return self._layout.open(descriptor)

    def _lost(self) -> list[Saved]:
        """Return the images that the layout does not have, or not with all layers."""
        found = {item.config.digest: len(item.layers) for item in self._images() if item.config}
        whole = {str(digest): count for digest, count in found.items()}
        try:
            saved = self._older.saved()
        except ContentError:  # then the layout alone counts
            return []
        return [
            item for item in saved if len(item.layers) not in [whole.get(name) for name in item.ids]
        ]

    def _images(self) -> Iterator[Manifest]:
        """Yield the images of the layout at any depth, as far as they are here."""
        for top in self._layout.manifests():
            yield top
            inner = entries(top, self._layout.manifest)
            yield from (item.manifest for item in inner if item.manifest is not None)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Close the archive and drop what was converted."""
        self._older.__exit__(kind, error, trace)
