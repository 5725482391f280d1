"""Digests: parsing, making and checking them.

Source: image-spec `descriptor.md#digests`. Only the two registered
algorithms can be verified; nothing else is accepted as a `Digest`.
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO, Self

from builder.errors import BuilderError

# What registries answer with beside a manifest. Source: distribution-spec, "Pulling manifests".
DIGEST_HEADER = "Docker-Content-Digest"
_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_REGISTERED = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")
_ANY = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")


class DigestError(BuilderError):
    """Not a digest, or bytes that do not have it."""


class SizeError(DigestError):
    """Bytes of another length than the descriptor says."""


class Digest(str):
    """`sha256:<64 hex>` or `sha512:<128 hex>`; being one means having been checked."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Return `text` as a digest.

        Raises DigestError for another algorithm, upper-case hex, wrong length.
        """
        if _REGISTERED.fullmatch(text) is None:
            raise DigestError(f"{text[:140]!r} is not a sha256 or sha512 digest")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Self:
        """Return the digest of `data`."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")

    @property
    def algorithm(self) -> str:
        """`sha256` or `sha512`."""
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """The part after the colon, in lower-case hex."""
        return self.partition(":")[2]

    @property
    def referrers_tag(self) -> str:
        """The tag under which the referrers of this digest are found.

        Source: distribution-spec, "Referrers Tag Schema": the algorithm cut
        to 32 characters, a dash, the encoded part cut to 64.
        """
        return f"{self.algorithm[:32]}-{self.encoded[:64]}"

    def matches(self, data: bytes) -> bool:
        """Tell whether `data` has this digest."""
        return hashlib.new(self.algorithm, data).hexdigest() == self.encoded


def looks_like_digest(text: str) -> bool:
    """Tell whether `text` has the grammar of a digest of any algorithm."""
    return _ANY.fullmatch(text) is not None


def is_of_other_algorithm(text: str) -> bool:
    """Tell whether `text` is a digest, but of an algorithm that nobody here can verify."""
    return looks_like_digest(text) and text.partition(":")[0] not in _HEX_LENGTH


class VerifiedReader:
    """A stream that yields exactly the bytes of a digest, or raises.

    Reads at most `size` bytes and one more, so that a lying source cannot
    fill a disk. The last `read` raises DigestError when the length or the
    digest differs; bytes seen before that must not be kept.
    """

    def __init__(self, stream: BinaryIO, digest: Digest, size: int) -> None:
        self.stream = stream
        self._digest = digest
        self._size = size
        self._left = size
        self._hash = hashlib.new(digest.algorithm)

    def over(self, stream: BinaryIO) -> VerifiedReader:
        """Return a reader that asks of `stream` what this one asks of its own."""
        return VerifiedReader(stream, self._digest, self._size)

    def read(self, count: int = 1 << 20) -> bytes:
        """Return up to `count` bytes; empty at the verified end."""
        chunk = self.stream.read(min(count, self._left)) if self._left else b""
        if not chunk:
            self._check_end()
            return b""
        self._left -= len(chunk)
        self._hash.update(chunk)
        return chunk

    def _check_end(self) -> None:
        if self._left:
            found = self._size - self._left
            raise SizeError(f"{self._digest}: {found} bytes where size says {self._size}")
        if self.stream.read(1):
            raise SizeError(f"{self._digest}: more bytes than the {self._size} that size says")
        if self._hash.hexdigest() != self._digest.encoded:
            raise DigestError(
                f"{self._digest}: the bytes have another digest, "
                f"{self._digest.algorithm}:{self._hash.hexdigest()}"
            )
