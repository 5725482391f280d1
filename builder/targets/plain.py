"""Any file server: files by path, `index.html` for a folder, types by extension."""

from __future__ import annotations

from builder.output import Capabilities
from builder.targets.base import FileHost

TARGET = FileHost(
    Capabilities(
        name="plain",
        title="any file server",
        notes=(
            "crane, python oras and apptainer (1.4 or newer) pull single-platform tags.",
            "docker, podman, buildah, skopeo and containerd do not: manifests lack their own type.",
            "`builder proxy URL` in front of the site adds the headers for every client.",
            "Layers stored elsewhere have no redirect below /v2/: clients do not find them there.",
        ),
    )
)
