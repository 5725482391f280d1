"""GitHub Pages: a file server that sets no header, redirects nothing and owns few roots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from builder.output import Capabilities, Entry, Output
from builder.targets.base import Address, SideFile, adapt
from builder.targets.headerless import NO_REDIRECTS, NOTES

_PROJECT_PAGE = (
    "A project page lives below /REPOSITORY/, and clients ask for /v2/ at the root of the host "
    "only: nothing can be pulled by name. Use a user page (OWNER.github.io), a custom domain, "
    "`builder proxy URL`, or another host for /v2/ (`registry.host`)."
)


class GitHubPages:
    """Knows that Jekyll must be switched off, and which addresses have `/v2/` at their root."""

    capabilities = Capabilities(
        name="github-pages",
        title="GitHub Pages",
        max_file=100_000_000,
        max_site=1_000_000_000,
        notes=(
            *NOTES,
            NO_REDIRECTS,
            "Names contain colons: publish with upload-pages-artifact, not from a branch.",
        ),
    )

    def at(self, address: Address) -> Capabilities:
        """Return no host root for a project page, which has a baseurl."""
        if not address.baseurl.strip("/"):
            return self.capabilities
        notes = (_PROJECT_PAGE, *self.capabilities.notes)
        return replace(self.capabilities, host_root=False, notes=notes)

    def adapt(self, output: Output) -> Iterator[Output]:
        """Yield the files that stand for `output`; see `base.adapt`."""
        return adapt(output, self.capabilities)

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield `.nojekyll`, without which names that start with `_` are dropped."""
        del entries, address
        yield SideFile(".nojekyll", b"", in_site=True)


TARGET = GitHubPages()
