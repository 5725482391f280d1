"""`docker://HOST/NAME[:TAG|@DIGEST]`: a repository of another registry."""

from __future__ import annotations

import io
import re
from types import TracebackType
from typing import BinaryIO, Self

from builder.errors import ContentError, UsageError
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest, looks_like_digest
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError, RegistryClient, Repository

DOCKER_IO = "docker.io"
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_NAME = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def parse_address(text: str) -> tuple[str, str, str]:
    """Return host, name and tag or digest of `//HOST/NAME[:TAG|@DIGEST]`.

    A first part without a dot, a colon or `localhost` is no host: docker.io
    is meant, as docker has it. Raises UsageError.
    """
    rest = text.removeprefix("//").partition("://")[2] or text.removeprefix("//")
    place, at, digest = rest.partition("@")
    first, slash, name = place.partition("/")
    is_host = slash and (set(".:[") & set(first) or first == "localhost")
    host, name = (first, name) if is_host else (DOCKER_IO, place)
    name, _, tag = name.partition(":")
    fault = (
        _HOST.fullmatch(host) is None
        or _NAME.fullmatch(name) is None
        or (tag and _TAG.fullmatch(tag) is None)
        or (at and not looks_like_digest(digest))
    )
    if fault:
        raise UsageError(f"docker:{text}: is no image", "write docker://HOST/NAME[:TAG|@DIGEST]")
    return host, name, digest or tag


class RemoteSource:
    """An `ImageSource` over a repository; several threads may read from it."""

    streams = 4
    suggested_tag = ""

    def __init__(self, repository: Repository, reference: str, label: str) -> None:
        self.label = label
        self._repository = repository
        self._reference = reference
        self._manifests: dict[Digest, bytes] = {}

    @classmethod
    def parse(cls, text: str, options: RemoteOptions) -> Self:
        """Return the source for what stands after `docker:`; raises UsageError."""
        host, name, reference = parse_address(text)
        repository = RegistryClient(host, options).repository(name)
        return cls(repository, reference, f"docker:{text}")

    def names(self) -> tuple[str, ...]:
        """Return the repository's tags."""
        return tuple(sorted(self._repository.tags()))

    def resolve(self, reference: str = "") -> Descriptor:
        """Return what a tag or digest names; `latest` when nothing was typed."""
        wanted = reference or self._reference or "latest"
        descriptor, raw = self._repository.manifest(wanted)
        self._manifests[descriptor.digest] = raw
        return descriptor

    def referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """Return what the registry says refers to a manifest."""
        return tuple(sorted(self._repository.referrers(digest), key=lambda item: item.digest))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open a manifest or a blob; raises FileNotFoundError, RemoteError."""
        if descriptor.media_type not in mediatype.MANIFESTS:
            return self._repository.open_blob(descriptor)
        if descriptor.digest not in self._manifests:
            try:
                found, raw = self._repository.manifest(descriptor.digest)
            except NotFoundError:
                raise FileNotFoundError(descriptor.digest) from None
            if found.media_type != descriptor.media_type:
                message = f"{descriptor.digest} is {found.media_type}, not {descriptor.media_type}"
                raise ContentError.at(self.label, message)
            self._manifests[descriptor.digest] = raw
        return io.BytesIO(self._manifests[descriptor.digest])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep nothing open."""
