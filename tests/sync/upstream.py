"""A registry to mirror: images put into a real one by its own API, a request at a time."""

from __future__ import annotations

import http.client
from urllib.parse import quote, urlsplit

from tests.images import MANIFEST, Image


class Upstream:
    """Writes to the repository `name` of the registry at `host`."""

    def __init__(self, host: str, name: str) -> None:
        self.place = f"{host}/{name}"
        self._base = f"/v2/{name}"
        self._connection = http.client.HTTPConnection(host, timeout=30)
        self._there: set[str] = set()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def push(self, image: Image, *tags: str) -> None:
        """Put an image with all that it needs, and let tags name it."""
        for digest, data in image.blobs.items():
            if digest not in self._there:
                self._put_blob(digest, data)
                self._there.add(digest)
                if b'"schemaVersion"' in data:
                    self._put_manifest(data, MANIFEST, digest)
        for tag in tags:
            self._put_manifest(image.manifest, image.media_type, tag)

    def delete(self, image: Image) -> None:
        """Remove an image, and with it all tags that name it."""
        self._ask("DELETE", f"{self._base}/manifests/{image.digest}", b"", 202)

    def _put_blob(self, digest: str, data: bytes) -> None:
        place = urlsplit(self._ask("POST", f"{self._base}/blobs/uploads/", b"", 202))
        query = f"{place.query}&digest={quote(digest)}"
        self._ask("PUT", f"{place.path}?{query}", data, 201)

    def _put_manifest(self, raw: bytes, kind: str, reference: str) -> None:
        self._ask("PUT", f"{self._base}/manifests/{reference}", raw, 201, kind)

    def _ask(self, method: str, path: str, data: bytes, status: int, kind: str = "") -> str:
        self._connection.request(method, path, data, {"Content-Type": kind or "application/x"})
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == status, (method, path, answer.status, said)
        return answer.headers.get("Location", "")
