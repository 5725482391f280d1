"""GitLab Pages: a file server that sets no header and owns its root on a domain of its own."""

from __future__ import annotations

from dataclasses import replace

from builder.output import Capabilities
from builder.targets.base import Address, FileHost
from builder.targets.headerless import NO_REDIRECTS, NOTES

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
        notes=(*NOTES, NO_REDIRECTS),
    )
)
