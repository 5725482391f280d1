"""What is true of every host that gives manifests no media type of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from builder.output import Capabilities
from builder.targets.base import Address, FileHost

NOTES = (
    (
        "docker, podman, buildah, skopeo, containerd, helm and oras do not pull as it is: files "
        "without an extension, manifests among them, are application/octet-stream."
    ),
    (
        "crane, apptainer (1.4 or newer) and singularity-ce (4.1 or newer) pull single images; "
        "with `registry.platform_tags` also those of an index, each by a tag of its own."
    ),
    "python oras pulls everything, curl fetches everything.",
    "`registry.schema1` adds tags with which podman, buildah and skopeo pull images.",
    "`registry.archives` adds Docker archives, which docker, podman and containerd load.",
    "`builder proxy URL` in front of the site adds the headers for every client.",
)
NO_REDIRECTS = (
    "Layers stored elsewhere have no redirect below /v2/: clients do not find them there."
)


class ProjectPages(FileHost):
    """A host that serves some projects below a path, where clients do not look for `/v2/`.

    `below` is the note about such an address.
    """

    below: ClassVar[str] = ""

    def at(self, address: Address) -> Capabilities:
        """Return no host root for an address with a baseurl."""
        if not address.baseurl.strip("/"):
            return self.capabilities
        return replace(
            self.capabilities, host_root=False, notes=(self.below, *self.capabilities.notes)
        )
