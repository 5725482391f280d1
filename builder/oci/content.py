"""Reading content by descriptor, from whatever medium holds it."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from builder.errors import ContentError
from builder.oci.descriptor import Descriptor
from builder.oci.digest import DigestError, VerifiedReader
from builder.oci.strictjson import MAX_BYTES


class ContentReader(Protocol):
    """A medium that content is read from by its descriptor."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Open the bytes, not yet verified.

        Raises FileNotFoundError when the medium does not hold them,
        ContentError when what it holds is no regular file.
        """


def read_verified(reader: ContentReader, descriptor: Descriptor, origin: str) -> bytes:
    """Return the bytes of a small piece of content, checked against size and digest.

    Raises ContentError naming `origin`: missing, over 4 MiB, or other bytes.
    """
    if descriptor.size > MAX_BYTES:
        message = f"{descriptor.digest} is {descriptor.size} bytes; the limit here is {MAX_BYTES}"
        raise ContentError.at(origin, message)
    try:
        with reader.open(descriptor) as stream:
            verified = VerifiedReader(stream, descriptor.digest, descriptor.size)
            chunks = iter(lambda: verified.read(), b"")
            return b"".join(chunks)
    except FileNotFoundError:
        message = f"{descriptor.digest} ({descriptor.media_type}) is missing"
        raise ContentError.at(origin, message) from None
    except DigestError as error:
        raise ContentError.at(origin, error.message) from None
