"""Where a published site is read from: a folder, or the server that people reach.

Paths are those of the output tree, relative and `/`-separated. Both kinds of
place raise FileNotFoundError for what is not there, ContentError for what may
not be read, RemoteError for what cannot be reached.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Hashable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote, urlsplit

from builder.errors import ContentError, LocalError, UsageError, redacted
from builder.oci import strictjson
from builder.oci.digest import looks_like_digest
from builder.registry.places import place_of
from builder.remote.fetch import BUFFER, open_stream
from builder.remote.http import Http
from builder.remote.registry import NotFoundError
from builder.storage.local import open_inside

_TAG = re.compile(r"v2/(?P<name>.+)/manifests/(?P<tag>[^/:]+)")
_SAFE = "/:@!$&'()*+,;=~"  # what a path may hold as it is. Source: RFC 3986, section 3.3
_PIECE = 64 << 10
# A bucket whose list is not public answers 403 for what it has not.
MISSING = (403, 404, 410)


class Place(Protocol):
    """A published site; `address` is what its state is kept under, and names it."""

    address: str

    def open(self, path: str, size: int | None = None) -> BinaryIO:
        """Open a file of the site; `size` is how many bytes it must have, where that is known."""

    def identity(self, path: str) -> Hashable:
        """Return something equal for paths that are the same file."""

    def files(self) -> Iterator[str] | None:
        """Yield the path of every file in byte order; None where nobody can tell."""


class FolderPlace:
    """A built site, or a release that was published to a folder."""

    def __init__(self, folder: str) -> None:
        root = Path(folder)
        if not (root / "v2").exists() and (root / "current").exists():
            root = root / "current"
        if not root.is_dir():
            hint = "give the folder of a built or published site, or an address: https://HOST"
            raise LocalError(f"{folder}: there is no such folder", hint)
        # Resolved once: the pointer to the current release may move in the meantime.
        self._root = root.resolve()
        self.address = os.path.abspath(folder)

    def open(self, path: str, size: int | None = None) -> BinaryIO:
        """Open a file; no link is followed.

        In a site for a server that answers by rules some lie elsewhere, and tags
        have none, on neither face: what a tag points to, the JSON of its page says.
        """
        del size
        try:
            return open_inside(self._root, path, path)
        except FileNotFoundError:
            if (place := place_of(path)) != path:
                return open_inside(self._root, place, path)
            tag = _TAG.fullmatch(path)
            if tag is None or (self._root / path.removeprefix("v2/") / "index.json").exists():
                raise
            return open_inside(self._root, self._by_digest(tag["name"], tag["tag"], path), path)

    def _by_digest(self, name: str, tag: str, path: str) -> str:
        """Return the path of what a tag points to; raises FileNotFoundError for `path`."""
        page = f"{name}/tags/{tag}/index.json"
        with suppress(FileNotFoundError, strictjson.StrictJSONError):
            with open_inside(self._root, page, page) as file:
                document = strictjson.loads(file.read(strictjson.MAX_BYTES), what="the tag's page")
            digest = document.get("digest") if isinstance(document, dict) else None
            if isinstance(digest, str) and looks_like_digest(digest):
                return f"v2/{name}/manifests/{digest}"
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def identity(self, path: str) -> Hashable:
        """Return the inode: one blob may have many names."""
        try:
            found = os.lstat(self._root / path)
        except NotADirectoryError as error:
            raise FileNotFoundError(error.errno, error.strerror, path) from None
        return found.st_dev, found.st_ino

    def files(self) -> Iterator[str]:
        """Yield the path of every file but the builder's own mark."""
        for path in self._below(""):
            if path != ".builder-site":
                yield path

    def _below(self, folder: str) -> Iterator[str]:
        with os.scandir(self._root / folder) as entries:
            # A folder sorts as what is in it does: with its slash.
            names = sorted(
                f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
                for entry in entries
            )
        for name in names:
            if name.endswith("/"):
                yield from self._below(folder + name)
            else:
                yield folder + name


class _UrlPlace:
    """A site on a server. `/v2/` is below the URL, or at the root of its host."""

    def __init__(self, url: str, http: Http) -> None:
        parts = urlsplit(url)
        if parts.query or parts.fragment or not parts.hostname or "@" in parts.netloc:
            hint = "write http(s)://HOST/PATH, without a password or a query"
            raise UsageError(f"{redacted(url)}: is not the address of a site", hint)
        self._http = http
        self._http.trust(url)
        self.address = url.rstrip("/")
        root = f"{parts.scheme}://{parts.netloc}"
        self._bases = [self.address] if self.address == root else [self.address, root]

    def open(self, path: str, size: int | None = None) -> BinaryIO:
        """Open what the server answers with."""
        if not path.startswith("v2/"):
            return self._open(self.address, path, size)
        if len(self._bases) > 1:
            self._bases = [self._find_v2()]
        return self._open(self._bases[0], path, size)

    def identity(self, path: str) -> Hashable:
        """Return the path: two URLs are two answers."""
        return path

    def files(self) -> None:
        """Return None: a server does not tell."""

    def _find_v2(self) -> str:
        for base in self._bases:
            try:
                self._open(base, "v2/_catalog", None).close()
            except FileNotFoundError:
                continue
            return base
        return self.address

    def _open(self, base: str, path: str, size: int | None) -> BinaryIO:
        url = f"{base}/{quote(path, safe=_SAFE)}"
        try:
            stream = open_stream(self._http, url, size, missing=MISSING)
        except NotFoundError as error:
            raise FileNotFoundError(error.message) from None
        return io.BufferedReader(stream, BUFFER)


def read_small(
    place: Place, path: str, size: int | None = None, limit: int = strictjson.MAX_BYTES
) -> bytes:
    """Return the bytes of a small file; raises ContentError over `limit`, and what `open` does."""
    data = bytearray()
    with place.open(path, size) as stream:
        # Not at once: a reader makes room for all that it is asked for.
        while chunk := stream.read(min(_PIECE, limit + 1 - len(data))):
            data += chunk
    if len(data) > limit:
        raise ContentError.at(path, f"is over {limit} bytes long")
    return bytes(data)


def open_place(text: str, http: Http) -> Place:
    """Return the place that a user names: a folder, or an http(s) URL.

    Raises UsageError for another scheme, LocalError for a folder that is not there.
    """
    scheme, colon, _ = text.partition("://")
    if not colon:
        return FolderPlace(text)
    if scheme not in ("http", "https"):
        hint = "give the http(s) address that clients pull from"
        raise UsageError(f"{text}: is neither a folder nor an http(s) address", hint)
    return _UrlPlace(text, http)
