"""What a Docker archive is made of.

Source: docker's image specification v1.2, "Combined Image JSON + Filesystem
Changeset Format", as `docker save` writes it. Layers may be plain tars or, as
everything that reads these archives allows, gzip.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from builder.layers.tarstream import Part
from builder.oci.digest import Digest


def docker_archive(
    config: bytes, layers: Sequence[tuple[Digest, Path, int]], repo_tag: str
) -> tuple[Part, ...]:
    """Return the members of the archive of one image.

    `layers` are digest (of the file or of the tar in it), file and size in
    bytes of each layer, the lowest first; one that comes up twice is written
    once. `repo_tag` is the name that `docker load` gives the image.
    """
    name = f"{Digest.of(config).encoded}.json"
    names = [f"{digest.encoded}/layer.tar" for digest, _, _ in layers]
    members = {
        name: Part(name, size, path)
        for name, (_, path, size) in zip(names, layers, strict=True)
    }  # fmt: skip
    entry = {"Config": name, "RepoTags": [repo_tag], "Layers": names}
    manifest = json.dumps([entry], separators=(",", ":")).encode()
    return (
        Part(name, len(config), config),
        *members.values(),
        Part("manifest.json", len(manifest), manifest),
    )
