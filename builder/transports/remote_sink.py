"""`docker://HOST/NAME[:TAG]` as a place to push to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from builder.errors import UsageError
from builder.oci.graph import Node
from builder.oci.manifest import Manifest
from builder.remote.options import RemoteOptions
from builder.remote.reference import parse_address
from builder.remote.registry import RegistryClient, Repository
from builder.remote.upload import Uploader
from builder.transports.base import Entered
from builder.transports.sink import Opener


class RemoteSink(Entered):
    """An `ImageSink` over a repository; `tag` is what was typed, or empty."""

    streams = 4

    def __init__(self, repository: Repository, tag: str, mount_from: Sequence[str] = ()) -> None:
        self.label = f"docker://{repository.label}"
        self.tag = tag
        self._repository = repository
        self._uploader = Uploader(repository, mount_from)

    @classmethod
    def parse(cls, text: str, options: RemoteOptions, mount_from: Sequence[str] = ()) -> Self:
        """Return the sink for `docker://HOST/NAME[:TAG]`; raises UsageError."""
        scheme, colon, rest = text.partition(":")
        if scheme != "docker" or not colon:
            raise UsageError(f"{text}: is not a registry", "write docker://HOST/NAME[:TAG]")
        host, name, tag = parse_address(rest)
        if ":" in tag:
            raise UsageError(f"{text}: nothing is pushed to a digest", "write NAME:TAG")
        return cls(RegistryClient(host, options).repository(name), tag, mount_from)

    def has(self, node: Node) -> bool:
        """Ask the registry; take the blob over from another repository where that works."""
        digest = node.descriptor.digest
        return self._uploader.has_blob(digest) or self._uploader.mount(digest)

    def put(self, node: Node, opener: Opener) -> None:
        """Upload a blob."""
        self._uploader.put_blob(node.descriptor, opener)

    def put_manifest(self, manifest: Manifest, name: str = "") -> bool:
        """Upload a manifest, unless the name is that already."""
        known = self._repository.head(name or manifest.digest)
        if known is not None and known.digest == manifest.digest and manifest.subject is None:
            return False
        self._uploader.put_manifest(manifest, name)
        return known is None or known.digest != manifest.digest
