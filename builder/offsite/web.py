"""Layers below a web address that somebody else fills; and the check that all places share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builder.errors import RemoteError
from builder.oci.digest import Digest, DigestError, VerifiedReader
from builder.remote.fetch import open_url
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError
from builder.storage.local import blob_path

_LOOKS = 4


@dataclass(frozen=True, slots=True)
class WebFolder:
    """An https address that has `blobs/<algorithm>/<hex>`; nothing is written there."""

    address: str

    def url(self, digest: str) -> str:
        """Return where clients get a blob."""
        return f"{self.address}/{blob_path(digest)}"


def is_public(url: str, digest: str, size: int) -> bool:
    """Tell whether a URL gives a blob to whoever asks, judged by the bytes it gives.

    Raises RemoteError for a server that cannot be asked or wants a login.
    """
    try:
        with open_url(url, RemoteOptions(), size=size, named=True) as stream:
            verified = VerifiedReader(stream, Digest(digest), size)
            while verified.read():
                pass
    except (NotFoundError, DigestError):
        return False
    except RemoteError as error:
        hint = error.hint or "clients download layers without a login: is it public?"
        raise RemoteError(error.message, hint) from None
    return True


def confirm(url: str, digest: str, size: int, pause: Callable[[int], None]) -> None:
    """Raise RemoteError unless a blob that was put somewhere can be had there.

    Servers may take a moment to know what they have: `pause` is called before
    each further look, with its number.
    """
    for number in range(1, _LOOKS + 1):
        if is_public(url, digest, size):
            return
        if number < _LOOKS:
            pause(number)
    message = f"{url}: does not return what was just uploaded"
    raise RemoteError(message, "clients download layers without a login: is it public?")
