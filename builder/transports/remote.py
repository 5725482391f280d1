"""`docker://HOST/NAME[:TAG|@DIGEST]`: a repository of another registry."""

from __future__ import annotations

import io
from typing import BinaryIO, Self

from builder.errors import ContentError
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.remote.options import RemoteOptions
from builder.remote.reference import parse_address
from builder.remote.registry import NotFoundError, RegistryClient, Repository
from builder.transports.base import Entered

_SMALL = 64 << 10  # bytes of a blob that is read at once
_MAX_KEPT = 64 << 20  # bytes of manifests and small blobs that stay in memory


class RemoteSource(Entered):
    """An `ImageSource` over a repository; several threads may read from it."""

    streams = 4
    suggested_tag = ""

    def __init__(self, repository: Repository, reference: str, label: str) -> None:
        self.label = label
        self.host = repository.client.host
        self._repository = repository
        self._reference = reference
        self._names: tuple[str, ...] | None = None
        self._known: dict[Digest, bytes] = {}
        self._kept = 0

    @classmethod
    def parse(cls, text: str, options: RemoteOptions) -> Self:
        """Return the source for what stands after `docker:`; raises UsageError."""
        host, name, reference = parse_address(text)
        repository = RegistryClient(host, options).repository(name)
        return cls(repository, reference, f"docker:{text}")

    def names(self) -> tuple[str, ...]:
        """Return the repository's tags, as they were when they were first asked for."""
        if self._names is None:
            self._names = tuple(sorted(self._repository.tags()))
        return self._names

    def resolve(self, reference: str = "") -> Descriptor:
        """Return what a tag or digest names; `latest` when nothing was typed."""
        wanted = reference or self._reference or "latest"
        descriptor, raw = self._repository.manifest(wanted)
        self._keep(descriptor.digest, raw)
        return descriptor

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return what the registry says refers to a manifest."""
        return tuple(sorted(self._repository.referrers(digest), key=lambda item: item.digest))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a manifest or a blob; raises FileNotFoundError, RemoteError."""
        raw = self._known.get(descriptor.digest)
        if raw is None:
            if descriptor.media_type in mediatype.MANIFESTS:
                raw = self._manifest(descriptor)
            elif descriptor.size > _SMALL:
                return self._repository.open_blob(descriptor)
            else:
                with self._repository.open_blob(descriptor) as stream:
                    raw = stream.read()
            self._keep(descriptor.digest, raw)
        return io.BytesIO(raw)

    def _manifest(self, descriptor: Descriptor) -> bytes:
        try:
            found, raw = self._repository.manifest(descriptor.digest)
        except NotFoundError:
            raise FileNotFoundError(descriptor.digest) from None
        if found.media_type != descriptor.media_type:
            message = f"{descriptor.digest} is {found.media_type}, not {descriptor.media_type}"
            raise ContentError.at(self.label, message)
        return raw

    def _keep(self, digest: Digest, raw: bytes) -> None:
        """Remember what will be read again soon: images are looked at before they are kept."""
        self._kept += len(raw)
        if self._kept > _MAX_KEPT:
            self._known.clear()
            self._kept = len(raw)
        self._known[digest] = raw
