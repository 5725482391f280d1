"""Putting content into another registry.

Source: distribution-spec, "Push": existence, mount, monolithic and chunked
upload, manifests, and the referrers tag for registries without the endpoint.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from builder.errors import RemoteError
from builder.oci import mediatype
from builder.oci.descriptor import Descriptor
from builder.oci.digest import DIGEST_HEADER, Digest
from builder.oci.manifest import Manifest
from builder.oci.validate import ManifestError, parse_manifest
from builder.remote.faults import CutError
from builder.remote.http import TRIES, Answer
from builder.remote.registry import NotFoundError, Repository

CHUNK = 64 << 20  # bytes; larger blobs go up in pieces of this size
_ACTIONS = "pull,push"
_OCTETS = {"Content-Type": mediatype.OCTET_STREAM}
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class Content(Protocol):
    """The bytes of a blob, read from their start."""

    def read(self, count: int = ..., /) -> bytes:
        """Return up to `count` bytes; empty at the end."""

    def close(self) -> None:
        """Read no more."""


class Uploader:
    """Writes to one repository; safe to use from several threads.

    `mount_from` are repositories of the same registry whose blobs may be
    taken over without sending them.
    """

    def __init__(self, repository: Repository, mount_from: Sequence[str] = ()) -> None:
        self._repository = repository
        self._mount_from = tuple(mount_from)

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether the repository has a blob."""
        path = f"blobs/{digest}"
        with self._ask("HEAD", path, expect=(200, 404)) as answer:
            return answer.status == 200

    def mount(self, digest: Digest) -> bool:
        """Take a blob over from another repository; tell whether one had it."""
        for name in self._mount_from:
            path = f"blobs/uploads/?mount={quote(digest)}&from={quote(name, safe='')}"
            scopes = (f"repository:{name}:pull",)
            with self._ask("POST", path, scopes=scopes, expect=(201, 202)) as answer:
                if answer.status == 201:
                    return True
                location = self._location(answer)
            # The registry has begun an upload instead, which nobody will go on with.
            self._ask("DELETE", location, expect=(200, 204, 202, 404, 405)).close()
        return False

    def put_blob(self, descriptor: Descriptor, opener: Callable[[], Content]) -> None:
        """Send a blob; `opener` opens its bytes from the start, as often as asked.

        Raises RemoteError when the registry does not take it.
        """
        source = _Pieces(opener)
        try:
            for number in range(TRIES):
                try:
                    self._upload(descriptor, source)
                except _LostError:
                    if number == TRIES - 1:
                        raise
                else:
                    return
        finally:
            source.close()

    def _upload(self, descriptor: Descriptor, source: _Pieces) -> None:
        with self._ask("POST", "blobs/uploads/", expect=(202,)) as answer:
            location = self._location(answer)
            least = answer.number("OCI-Chunk-Min-Length")
        chunk = max(CHUNK, least or 0)
        if descriptor.size > chunk:
            location = self._chunks(location, descriptor.size, chunk, source)
            self._finish(location, descriptor.digest, b"", 0)
        else:
            body = source.body(0, descriptor.size)
            self._finish(location, descriptor.digest, body, descriptor.size)

    def _chunks(self, location: str, size: int, chunk: int, source: _Pieces) -> str:
        """Send a blob in pieces; return where its end is told."""
        at, stumbles = 0, 0
        while at < size:
            count = min(chunk, size - at)
            following = self._chunk(location, at, count, source)
            if following:
                location, at, stumbles = following, at + count, 0
                continue
            stumbles += 1
            if stumbles >= TRIES:
                message = f"{self._repository.label}: an upload broke {stumbles} times"
                raise RemoteError(message, "try again")
            location, at = self._status(location)
        return location

    def _chunk(self, location: str, at: int, count: int, source: _Pieces) -> str:
        """Send one piece; return where the next one goes, empty when this one got lost."""
        span = {"Content-Range": f"{at}-{at + count - 1}", "Content-Length": str(count)}
        try:
            answer = self._ask(
                "PATCH", location, headers={**_OCTETS, **span}, body=source.body(at, count),
                again=False, expect=(202, 416),
            )  # fmt: skip
        except CutError:
            return ""
        with answer:
            return self._location(answer) if answer.status == 202 else ""

    def _status(self, location: str) -> tuple[str, int]:
        """Return where an upload goes on, and how many bytes of it are there.

        Raises _LostError when the registry has forgotten it.
        """
        with self._ask("GET", location, expect=(204, 202, 200, 400, 404, 416)) as answer:
            if answer.status >= 400:
                message = f"{self._repository.label}: the registry has lost an upload"
                raise _LostError(message, "try again")
            found = _RANGE.fullmatch(answer.header("Range").strip())
            following = self._location(answer) if answer.header("Location") else location
        # `0-0` is said of an empty upload too. Sending its first byte once more
        # harms nothing: a registry that has it answers 416.
        return following, int(found[1]) + 1 if found and int(found[1]) else 0

    def _finish(self, location: str, digest: Digest, body: Any, size: int) -> None:
        joined = "&" if "?" in location else "?"
        headers = {**_OCTETS, "Content-Length": str(size)}
        self._ask(
            "PUT", f"{location}{joined}digest={quote(digest)}", headers=headers, body=body,
            expect=(201, 204),
        ).close()  # fmt: skip

    def put_manifest(self, manifest: Manifest, reference: str = "") -> None:
        """Send a manifest under a tag, or under its digest.

        Where the registry does not say that it has noted the subject, the
        list of referrers is kept for it. Raises RemoteError, also when the
        registry says that it took something else.
        """
        path = f"manifests/{quote(reference or manifest.digest, safe=':')}"
        kind = {"Content-Type": manifest.media_type}
        with self._ask("PUT", path, headers=kind, body=manifest.raw, expect=(201,)) as answer:
            said = answer.header(DIGEST_HEADER)
            noted = answer.header("OCI-Subject")
        if said and said != manifest.digest:
            message = f"{self._repository.label}: the registry says it has {said}"
            raise RemoteError(f"{message}, which is not what was sent: {manifest.digest}")
        if manifest.subject is not None and not noted:
            self._note_referrer(manifest.subject.digest, manifest.descriptor)

    def _note_referrer(self, subject: Digest, referrer: Descriptor) -> None:
        """Add to the list under the subject's tag, until it is seen there.

        Two that write at the same time can overwrite each other; whoever does
        not find its own entry afterwards writes again.
        """
        for _ in range(TRIES):
            known = self._referrers(subject)
            if any(item.digest == referrer.digest for item in known):
                return
            entries = [item.to_json() for item in (*known, referrer)]
            document = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": entries}
            raw = json.dumps(document, separators=(",", ":")).encode()
            kind = {"Content-Type": mediatype.OCI_INDEX}
            path = f"manifests/{subject.referrers_tag}"
            self._ask("PUT", path, headers=kind, body=raw, expect=(201,)).close()
        raise RemoteError(
            f"{self._repository.label}: the list of referrers does not keep its entry"
        )

    def _referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        try:
            _, raw = self._repository.manifest(subject.referrers_tag)
            return parse_manifest(raw, mediatype.OCI_INDEX, allow_foreign=True).manifests
        except NotFoundError:
            return ()
        except ManifestError as error:
            raise RemoteError(f"{self._repository.label}: {error.message}") from None

    def _ask(self, method: str, path: str, **more: Any) -> Answer:
        return self._repository.request(method, path, actions=_ACTIONS, **more)

    def _location(self, answer: Answer) -> str:
        location = answer.header("Location")
        if not location:
            raise RemoteError(f"{self._repository.label}: an upload without a Location header")
        return self._repository.client.http.resolve(answer.url, location)


class _LostError(RemoteError):
    """An upload cannot go on; it can begin anew."""


class _Pieces:
    """Pieces of one stream, in order where that is possible, from the start where not."""

    def __init__(self, opener: Callable[[], Content]) -> None:
        self._opener = opener
        self._stream: Content | None = None
        self._at = 0

    def body(self, start: int, count: int) -> Callable[[], BinaryIO]:
        """Return what opens `count` bytes from `start`."""

        def opened() -> BinaryIO:
            self._go_to(start)
            return io.BufferedReader(_Piece(self, count), 1 << 20)

        return opened

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes from where the stream is."""
        chunk = self._stream.read(count) if self._stream is not None else b""
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        """Close the stream."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _go_to(self, start: int) -> None:
        if self._stream is None or self._at > start:
            self.close()
            self._stream, self._at = self._opener(), 0
        while self._at < start and self.read(min(1 << 20, start - self._at)):
            pass


class _Piece(io.RawIOBase):
    """One piece; its end is not the stream's."""

    def __init__(self, pieces: _Pieces, count: int) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:  # a verified stream takes reading nothing for its end
            return 0
        chunk = self._pieces.read(min(len(buffer), self._left))
        buffer[: len(chunk)] = chunk
        self._left -= len(chunk)
        return len(chunk)
