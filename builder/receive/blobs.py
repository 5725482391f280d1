"""Blobs from clients: uploads in one piece or many, mounts, deletes.

Source: distribution-spec, "Pushing blobs", "Mounting a blob from another
repository", "Deleting Blobs".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from builder.oci.digest import DIGEST_HEADER, Digest, DigestError
from builder.preview.respond import Request, Response
from builder.receive.answers import Refused, Transfer, done
from builder.receive.repository import Repository
from builder.receive.shown import Journal
from builder.receive.spool import Spool
from builder.receive.uploads import TakenOver, TooMany, Upload
from builder.storage.local import ALGORITHMS

_CONTENT_RANGE = re.compile(r"(?:bytes )?([0-9]{1,18})-([0-9]{1,18})(?:/.*)?")
_LOOK_EVERY = 64 << 20  # bytes between two looks at what the disk has left


def parse_digest(text: str) -> Digest:
    """Return a client's digest; raises Refused."""
    try:
        return Digest(text)
    except DigestError as error:
        raise Refused(400, "DIGEST_INVALID", error.message) from None


@dataclass(frozen=True, slots=True)
class Blobs:
    """The blobs of one repository, as clients write them."""

    repository: Repository
    spool: Spool
    journal: Journal

    @property
    def _name(self) -> str:
        return self.repository.label

    def begin(self, request: Request, query: Mapping[str, str]) -> Transfer:
        """Begin an upload, which a digest makes a whole one."""
        algorithm = query.get("digest-algorithm") or query.get("digest", "").partition(":")[0]
        if query.get("digest-algorithm", "sha256") not in ALGORITHMS:
            raise Refused(400, "UNSUPPORTED", "digests here are sha256 or sha512")
        digest = parse_digest(query["digest"]) if "digest" in query else None
        upload = self._new(algorithm if algorithm in ALGORITHMS else "sha256")
        if digest is None:
            return Transfer(lambda: self._status(upload, 202))
        # Nobody else knows of it: what a client that has gone sent of it is of no use.
        return self._receive(request, upload, digest, lambda: self.spool.uploads.end(upload))

    def mount(self, digest: Digest, other: Repository) -> Response | None:
        """Take a blob over from another repository; None where that does not have it."""
        found = other.open_blob(digest)
        if found is None:
            return None
        stream, trusted = found
        with stream:
            try:
                self.spool.share(self._name, digest, stream, trusted=trusted)
            except DigestError:  # damaged there: the client has the right one
                return None
        return self._created(digest)

    def status(self, identifier: str) -> Transfer:
        """Say how much of an upload is here."""
        upload = self._find(identifier)
        return Transfer(lambda: self._status(upload, 204))

    def cancel(self, identifier: str) -> Transfer:
        """Forget an upload."""
        upload = self._find(identifier)

        def end() -> Response:
            self.spool.uploads.end(upload)
            return done(204)

        return Transfer(end)

    def append(self, identifier: str, request: Request) -> Transfer:
        """Take the next piece of an upload."""
        return self._receive(request, self._find(identifier), None)

    def complete(self, identifier: str, request: Request, query: Mapping[str, str]) -> Transfer:
        """Take the last piece of an upload, and let it be a blob."""
        upload = self._find(identifier)
        if "digest" not in query:
            raise Refused(400, "DIGEST_INVALID", "an upload ends with ?digest=")
        return self._receive(request, upload, parse_digest(query["digest"]))

    def delete(self, digest: Digest) -> Response:
        """Remove a blob that no manifest needs; call with the registry's lock held."""
        if digest in self.repository.needed():
            message = f"a manifest of {self._name} needs {digest}: delete that first"
            raise Refused(405, "DENIED", message)
        folder = self.repository.folder
        was_there = self.repository.waiting.drop(digest)
        if folder.blobs.size(digest) is not None:
            folder.blobs.delete(digest)
            folder.prune()
            folder.keep_name()
            was_there = True
        if not was_there:
            raise Refused(404, "BLOB_UNKNOWN", f"{digest} is not in {self._name}")
        self.journal.note_gone(self._name, [self._path(digest)])
        return done(202)

    def _new(self, algorithm: str) -> Upload:
        try:
            return self.spool.uploads.begin(self._name, algorithm)
        except TooMany:
            message = "too many uploads are open"
            raise Refused(429, "TOOMANYREQUESTS", message, ("Retry-After", "60")) from None

    def _find(self, identifier: str) -> Upload:
        upload = self.spool.uploads.find(self._name, identifier)
        if upload is None:
            message = f"{self._name} has no such upload: it has ended, or was never begun"
            raise Refused(404, "BLOB_UPLOAD_UNKNOWN", message)
        return upload

    def _receive(
        self,
        request: Request,
        upload: Upload,
        digest: Digest | None,
        abort: Callable[[], None] = lambda: None,
    ) -> Transfer:
        """Return what takes a piece of an upload, the last one where its digest is given."""
        with self._in_turn():
            turn, start = upload.take_turn(), upload.size
        length = _length(request)
        expected = self._expected(request, upload, length)
        self.spool.check_space(length or 0)
        looked = start

        def write(data: bytes) -> None:
            nonlocal looked
            if expected is not None and upload.size + len(data) - start > expected:
                self._cut(upload, turn, start)
                raise Refused(400, "SIZE_INVALID", f"more bytes than the {expected} announced")
            if upload.size - looked > _LOOK_EVERY:
                self.spool.check_space(len(data))
                looked = upload.size
            with self._in_turn():
                upload.append(turn, data)

        def end() -> Response:
            if expected is not None and upload.size - start != expected:
                self._cut(upload, turn, start)
                raise Refused(400, "SIZE_INVALID", f"fewer bytes than the {expected} announced")
            if digest is None:
                return self._status(upload, 202)
            return self._keep(upload, turn, digest)

        return Transfer(end, write, abort)

    def _expected(self, request: Request, upload: Upload, length: int | None) -> int | None:
        """Return how many bytes have to come; raises Refused for a piece out of order."""
        text = request.headers.get("content-range", "").strip()
        if not text:
            return length
        found = _CONTENT_RANGE.fullmatch(text)
        if found is None or int(found[2]) < int(found[1]):
            raise Refused(416, "BLOB_UPLOAD_INVALID", f"Content-Range {text[:60]!r} is not "
                          "START-END", *self._where(upload))  # fmt: skip
        start, count = int(found[1]), int(found[2]) - int(found[1]) + 1
        if start != upload.size:
            message = f"the next byte is {upload.size}, and these begin at {start}"
            raise Refused(416, "BLOB_UPLOAD_INVALID", message, *self._where(upload))
        if length is not None and length != count:
            message = f"Content-Range says {count} bytes, Content-Length {length}"
            raise Refused(400, "SIZE_INVALID", message, *self._where(upload))
        return count

    def _cut(self, upload: Upload, turn: int, size: int) -> None:
        with self._in_turn():
            upload.cut(turn, size)

    def _keep(self, upload: Upload, turn: int, digest: Digest) -> Response:
        with self._in_turn():
            found = upload.finish(turn, digest.algorithm)
        if found != digest:
            self.spool.uploads.end(upload)
            raise Refused(400, "DIGEST_INVALID", f"the bytes have the digest {found}")
        self.spool.keep(self._name, upload, digest)
        return self._created(digest)

    def _created(self, digest: Digest) -> Response:
        self.journal.note_back(self._name, self._path(digest))
        return done(201, ("Location", f"/{self._path(digest)}"), (DIGEST_HEADER, digest))

    def _path(self, digest: Digest) -> str:
        return f"v2/{self._name}/blobs/{digest}"

    def _status(self, upload: Upload, status: int) -> Response:
        return done(status, *self._where(upload))

    def _where(self, upload: Upload) -> tuple[tuple[str, str], ...]:
        return (
            ("Location", f"/v2/{self._name}/blobs/uploads/{upload.id}"),
            ("Range", f"0-{max(upload.size - 1, 0)}"),
            ("Docker-Upload-UUID", upload.id),
        )

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        try:
            yield
        except TakenOver:
            message = "another request goes on with this upload"
            raise Refused(409, "BLOB_UPLOAD_INVALID", message) from None
        except FileNotFoundError:
            raise Refused(404, "BLOB_UPLOAD_UNKNOWN", "the upload has ended") from None


def _length(request: Request) -> int | None:
    """Return the Content-Length; None where the body is sent in chunks."""
    text = request.headers.get("content-length", "")
    if not text and "transfer-encoding" not in request.headers:
        return 0
    return int(text) if text.isdecimal() and len(text) < 19 else None
