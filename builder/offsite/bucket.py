"""Layers in a bucket: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`.

They are written with the credentials of the environment, and given to
clients by an address that needs none: that of the bucket where it is public,
or of a content delivery network before it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from builder.errors import UsageError
from builder.offsite.web import confirm, is_public
from builder.remote.address import is_loopback
from builder.storage import open_cloud
from builder.storage.cloud import CloudStorage
from builder.storage.local import blob_path, open_regular
from builder.storage.objects import parse_bucket

_ADDRESS = re.compile(r"https?://[^\s\"'<>@?#]+")


@dataclass(frozen=True, slots=True)
class Bucket:
    """The bucket `place`, whose blobs clients get from below `address`."""

    place: str
    address: str

    @classmethod
    def parse(cls, place: str, address: str) -> Self:
        """Return the bucket for its URL and its public address; raises UsageError."""
        parse_bucket(place)
        if not address:
            hint = "set registry.blobs_url, such as https://BUCKET.s3.REGION.amazonaws.com/PREFIX"
            raise UsageError(f"{place}: its public address is not known", hint)
        parts = urlsplit(address)
        plain = parts.scheme == "http" and not is_loopback(parts.hostname or "")
        if not _ADDRESS.fullmatch(address) or plain:
            hint = "write the https:// address that has blobs/<algorithm>/<hex>"
            raise UsageError(f"registry.blobs_url: {address!r} is not a public address", hint)
        return cls(place, address.rstrip("/"))

    def storage(self) -> CloudStorage:
        """Return the bucket itself, as whoever may write there sees it."""
        return open_cloud(self.place)

    def url(self, digest: str) -> str:
        """Return where clients get a blob."""
        return f"{self.address}/{blob_path(digest)}"

    def holds(self, digest: str, size: int) -> bool:
        """Tell whether a blob can be had."""
        return is_public(self.url(digest), digest, size)

    def put(self, digest: str, size: int, file: Path) -> None:
        """Upload a file; what is there under its name is replaced."""
        with open_regular(file, str(file)) as stream:
            self.storage().upload(digest, stream, size)
        confirm(self.url(digest), digest, size, lambda number: time.sleep(0.5 * number))
