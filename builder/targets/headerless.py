"""What is true of every host that gives manifests no media type of their own."""

from __future__ import annotations

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
