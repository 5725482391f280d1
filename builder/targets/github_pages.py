"""GitHub Pages: a file server that sets no header, redirects nothing and owns few roots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from builder.output import Capabilities, Entry
from builder.targets.base import Address, SideFile
from builder.targets.headerless import NO_REDIRECTS, NOTES, ProjectPages


class GitHubPages(ProjectPages):
    """Knows that Jekyll must be switched off, and what to do about project pages."""

    below = (
        "A project page lives below /REPOSITORY/, and clients ask for /v2/ at the root of the "
        "host only: nothing can be pulled by name. Use a user page (OWNER.github.io), a custom "
        "domain, `builder proxy URL`, or another host for /v2/ (`registry.host`)."
    )

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield `.nojekyll`, without which names that start with `_` are dropped."""
        del entries, address
        yield SideFile(".nojekyll", b"", in_site=True)


TARGET = GitHubPages(
    Capabilities(
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
)
