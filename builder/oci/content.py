"""Reading content by descriptor, from whatever medium holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Protocol, Self, runtime_checkable

from builder.errors import ContentError, MissingError, RemoteError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import DigestError, SizeError, VerifiedReader
from builder.oci.strictjson import MAX_BYTES


class ContentReader(Protocol):
    """A medium that content is read from by its descriptor."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open the bytes, not yet verified.

        Raises FileNotFoundError when the medium does not hold them,
        ContentError when what it holds is not a regular file.
        """


@runtime_checkable
class _FarReader(ContentReader, Protocol):
    """A medium on another machine: what it lacks or gets wrong is trouble with that machine."""

    host: str


def read_verified(
    reader: ContentReader, descriptor: Descriptor, origin: str, place: str = ""
) -> bytes:
    """Return the bytes of a small piece of content, checked against size and digest.

    `place` is the JSON pointer to the descriptor, where somebody knows it.
    Raises ContentError naming `origin`: missing, over 4 MiB, or other bytes;
    RemoteError where the medium is far away.
    """
    if descriptor.size > MAX_BYTES:
        message = f"{descriptor.digest} is {descriptor.size} bytes; the limit here is {MAX_BYTES}"
        raise ContentError.at(origin, f"{place}/size: {message}" if place else message)
    with opened(reader, descriptor, origin, place) as verified:
        return b"".join(iter(verified.read, b""))


def opened(
    reader: ContentReader,
    descriptor: Descriptor,
    origin: str,
    place: str = "",
    heard: Callable[[int], None] | None = None,
) -> Reading:
    """Open content to be read to its verified end; see `Reading`.

    `heard` is told the length of each chunk, and may raise to end the reading.
    Raises ContentError for content that is missing, RemoteError where the
    medium is far away.
    """
    try:
        stream = reader.open(descriptor)
    except FileNotFoundError:
        before = f"{place}: " if place else ""
        message = f"{before}{descriptor.digest} ({descriptor.media_type}) is missing"
        raise _fault(reader, origin, message, MissingError) from None
    return Reading(reader, descriptor, stream, (origin, place), heard)


class Reading:
    """Content that is open; `read` raises where it is not what its descriptor says.

    ContentError names the medium and the place, RemoteError is for one far
    away. A context manager that closes `stream`, which is the content unverified.
    """

    def __init__(
        self,
        reader: ContentReader,
        descriptor: Descriptor,
        stream: BinaryIO,
        where: tuple[str, str],
        heard: Callable[[int], None] | None,
    ) -> None:
        self.stream = stream
        self._rest = reader, descriptor
        self._where = where
        self._heard = heard
        self._verified = VerifiedReader(stream, descriptor.digest, descriptor.size)

    def over(self, stream: BinaryIO) -> Reading:
        """Return a reading that asks of `stream` what this one asks of its own."""
        reader, descriptor = self._rest
        return Reading(reader, descriptor, stream, self._where, self._heard)

    def read(self, count: int = 1 << 20, /) -> bytes:
        """Return up to `count` bytes; empty at the verified end."""
        try:
            chunk = self._verified.read(count)
        except DigestError as error:
            origin, place = self._where
            key = "size" if isinstance(error, SizeError) else "digest"
            before = f"{place}/{key}: " if place else ""
            raise _fault(self._rest[0], origin, f"{before}{error.message}") from None
        if self._heard is not None:
            self._heard(len(chunk))
        return chunk

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fault(
    reader: ContentReader, origin: str, message: str, kind: type[ContentError] = ContentError
) -> ContentError | RemoteError:
    if isinstance(reader, _FarReader):
        return RemoteError(
            f"{origin}: {message}", f"{reader.host} serves other content than its manifests name"
        )
    return kind.at(origin, message)


class Keeper(Protocol):
    """A storage, as far as looking for content goes."""

    def size(self, digest: str) -> int | None:
        """Return the size of content in bytes, or None when it is not there."""

    def open(self, digest: str) -> BinaryIO:
        """Open content that is there."""


def is_held(storage: Keeper, descriptor: Descriptor) -> bool:
    """Tell whether a storage has content, judged by its bytes and not by its name."""
    if storage.size(descriptor.digest) != descriptor.size:
        return False
    with storage.open(descriptor.digest) as stream:
        verified = VerifiedReader(stream, descriptor.digest, descriptor.size)
        try:
            while verified.read():
                pass
        except DigestError:
            return False
    return True
