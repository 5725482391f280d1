"""Hosts that take files and no rules: any file server, the two Pages, buckets, and the preview.

All that is to be said of them is what they can do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from builder.output import Capabilities, Entry
from builder.targets.base import SERVER, Address, FileHost, SideFile

_BY_NAME = (
    (
        "docker, podman, buildah, skopeo, containerd, helm and oras cannot pull: the host sends "
        "files without an extension, including manifests, as application/octet-stream."
    ),
    (
        "crane, apptainer (1.4 or newer) and singularity-ce (4.1 or newer) can pull single images; "
        "`registry.platform_tags` gives each image of an index a tag of its own."
    ),
    "ORAS for Python can pull everything, and curl can fetch everything.",
    "`registry.schema1` adds tags that podman, buildah and skopeo can pull.",
    "`registry.archives` adds Docker archives that docker, podman and containerd can load.",
    "`builder proxy URL` in front of the site adds the headers for every client.",
    "The host cannot redirect below /v2/, so clients do not find layers stored elsewhere.",
)


@dataclass(frozen=True, slots=True)
class Pages(FileHost):
    """A host that serves some projects below a path, where clients do not look for `/v2/`.

    `below` is the note about such an address, `marks` are files that the host
    wants to see.
    """

    below: str = ""
    marks: tuple[SideFile, ...] = ()

    def at(self, address: Address) -> Capabilities:
        """Return no host root for an address with a baseurl."""
        capable = self.capabilities
        if not address.baseurl.strip("/"):
            return capable
        return replace(capable, host_root=False, notes=(self.below, *capable.notes))

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield the marks."""
        del entries, address
        return iter(self.marks)


# Any file server: files by path, `index.html` for a folder, types by extension.
PLAIN = FileHost(
    Capabilities(
        name="plain",
        title="any file server",
        runs=True,
        guesses=True,
        releases=True,
        notes=_BY_NAME,
    )
)
# Sets no header, redirects nothing, owns few roots; Jekyll, which drops `_` names, is off.
GITHUB_PAGES = Pages(
    Capabilities(
        name="github-pages",
        title="GitHub Pages",
        max_file=100_000_000,
        max_site=1_000_000_000,
        notes=(
            *_BY_NAME,
            "Names contain colons: publish with upload-pages-artifact, not from a branch.",
        ),
    ),
    below=(
        "A project page is below /REPOSITORY/, but clients ask for /v2/ at the root of the "
        "host only: nothing can be pulled by name. Use a user page (OWNER.github.io), a custom "
        "domain, `builder proxy URL`, or another host for /v2/ (`registry.host`)."
    ),
    marks=(SideFile(".nojekyll", b"", in_site=True),),
)
# Sets no header, guesses types, and owns its root on a domain of its own.
GITLAB_PAGES = Pages(
    Capabilities(
        name="gitlab-pages",
        title="GitLab Pages",
        guesses=True,
        max_site=1_000_000_000,
        max_files=200_000,
        notes=_BY_NAME,
    ),
    below=(
        "This address has a path, but clients ask for /v2/ at the root of the host only: nothing "
        "can be pulled by name. Switch on the project's unique domain, or use a custom one, "
        "`builder proxy URL`, or another host for /v2/ (`registry.host`)."
    ),
)
# S3, R2, Google's and Azure's: `builder publish` sends type and cache headers with each object.
S3 = FileHost(
    Capabilities(
        name="s3",
        title="object storage",
        media_types=True,
        releases=True,
        notes=(
            "Publish with `builder publish s3://BUCKET` (or gs://, az://); it sets media types.",
            "/v2/ must be at the root of a host: give the bucket a domain of its own.",
            "Allow everybody to list the bucket: otherwise missing keys answer 403 instead of 404.",
            "A bucket cannot redirect, so keep all layers in this one.",
        ),
    )
)
# What the preview server is when no target is asked for: a host that can do everything.
PREVIEW = FileHost(
    replace(SERVER, name="preview", title="the preview server", queries=True, releases=False)
)
