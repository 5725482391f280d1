"""GitLab Pages: a file server that sets no header and owns its root on a domain of its own."""

from __future__ import annotations

from builder.output import Capabilities
from builder.targets.headerless import NO_REDIRECTS, NOTES, ProjectPages


class GitLabPages(ProjectPages):
    """Knows what to do about an address with a path."""

    below = (
        "This address has a path, and clients ask for /v2/ at the root of the host only: nothing "
        "can be pulled by name. Switch on the project's unique domain, or use a custom one, "
        "`builder proxy URL`, or another host for /v2/ (`registry.host`)."
    )


TARGET = GitLabPages(
    Capabilities(
        name="gitlab-pages",
        title="GitLab Pages",
        guesses=True,
        max_site=1_000_000_000,
        max_files=200_000,
        notes=(*NOTES, NO_REDIRECTS),
    )
)
