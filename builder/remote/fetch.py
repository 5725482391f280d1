"""Plain downloads, under the rules that registries are held to."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import BinaryIO
from urllib.parse import urlsplit

from builder.errors import RemoteError, UsageError
from builder.remote.blob import BlobStream
from builder.remote.faults import host_of
from builder.remote.http import Answer, Http, Request
from builder.remote.options import RemoteOptions
from builder.remote.registry import NotFoundError

BUFFER = 256 << 10


def open_url(
    url: str, options: RemoteOptions, *, size: int | None = None, named: bool = False
) -> BinaryIO:
    """Open what a URL leads to; it goes on where it was when the connection breaks.

    `size` is how many bytes it must have, where that is known; `named` says
    that the user vouches for the URL, so that its host may be a near one. Raises
    NotFoundError for a 404 or 410, RemoteError for all else that goes wrong,
    UsageError for what is no http(s) URL.
    """
    client = Http(options)
    if named:
        client.trust(url)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise UsageError(f"{url}: is not an http(s) address without a password")
    return io.BufferedReader(open_stream(client, url, size), BUFFER)


def open_stream(
    client: Http, url: str, size: int | None, *, missing: Collection[int] = (404, 410)
) -> BlobStream:
    """Open what a URL leads to, by a client that may be asked for more.

    `missing` are the statuses that say that nothing is there. Raises as
    `open_url` does.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and not client.allows_plain(parts.hostname or ""):
        raise RemoteError(f"{host_of(url)}: plain http", "use https, or --insecure")

    def opener(offset: int) -> Answer:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        answer = client.send(Request("GET", url, headers, {}))
        if answer.status == 200 or (offset and answer.status in (206, 416)):
            return answer
        with answer:
            kind = NotFoundError if answer.status in missing else RemoteError
            raise kind(f"{url}: the server answered {answer.status}")

    return BlobStream(opener, size, client.back_off)


def site_address(url: str, http: Http) -> str:
    """Return the address of a site as a user wrote it, without a last slash and `/v2`.

    Raises UsageError for what names no site, or one that may not be asked.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError(f"{url}: is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url}: is not a site", "write https://HOST or https://HOST/PATH")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"{host_of(url)}: write its address without a password, query or #")
    if parts.scheme == "http" and not http.allows_plain(parts.hostname):
        raise UsageError(f"{url}: plain http", "use https, or --insecure")
    return url.rstrip("/").removesuffix("/v2")
