"""GitLab Pages: a file server that sets no header and owns its root on a domain of its own."""

from __future__ import annotations

from dataclasses import replace

from builder.output import Capabilities
from builder.targets.base import Address, FileHost

_BELOW = (
    "This address has a path, and clients ask for /v2/ at the root of the host only: nothing can "
    "be pulled by name. Switch on the project's unique domain, or use a custom one, "
    "`builder proxy URL`, or another host for /v2/ (`registry.host`)."
)


class GitLabPages(FileHost):
    """Knows which addresses have `/v2/` at their root."""

    def at(self, address: Address) -> Capabilities:
        """Return no host root for an address with a baseurl."""
        if not address.baseurl.strip("/"):
            return self.capabilities
        notes = (_BELOW, *self.capabilities.notes)
        return replace(self.capabilities, host_root=False, notes=notes)


TARGET = GitLabPages(
    Capabilities(
        name="gitlab-pages",
        title="GitLab Pages",
        max_site=1_000_000_000,
        max_files=200_000,
        notes=(
            (
                "crane, python oras, apptainer (1.4 or newer) and singularity-ce (4.1 or newer) "
                "pull single-platform tags, and curl fetches everything."
            ),
            (
                "docker, podman, buildah, skopeo, containerd, helm and oras do not pull: all files "
                "without an extension, manifests among them, are application/octet-stream."
            ),
            "Layers stored elsewhere have no redirect below /v2/: clients do not find them there.",
        ),
    )
)
