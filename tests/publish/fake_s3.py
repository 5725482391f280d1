"""A small S3 that can misbehave: what its documentation says, and what servers do."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEPT = ("content-type", "cache-control", "content-disposition", "content-encoding",
        "x-amz-website-redirect-location")  # fmt: skip


@dataclass(frozen=True)
class Stored:
    body: bytes
    headers: Mapping[str, str]
    modified: datetime

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body).hexdigest()}"'  # noqa: S324 - S3's own choice


# What a request gets instead of its answer: a status with an error's code, or None.
Fault = Callable[[str, str], tuple[int, str] | None]


@dataclass
class FakeS3:
    """The bucket's objects, what was asked, and how it misbehaves."""

    objects: dict[str, Stored] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    fault: Fault = lambda method, key: None  # noqa: ARG005
    lies: Callable[[str], bool] = lambda key: False  # noqa: ARG005 - says it kept, and did not
    resets: dict[str, int] = field(default_factory=dict)  # parts of keys: how often to hang up
    complete_fails: bool = False
    bare_etags: bool = False  # as Ceph's gateway expects them in conditions
    clock: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    address: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    waiting: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)

    def names(self, method: str) -> list[str]:
        return [key for seen, key in self.log if seen == method]

    def store(self, key: str, body: bytes, headers: Mapping[str, str]) -> Stored:
        kept = {name.lower(): value for name, value in headers.items()}
        kept = {k: v for k, v in kept.items() if k in KEPT or k.startswith("x-amz-meta-")}
        self.clock += timedelta(seconds=1)
        made = Stored(body, kept, self.clock)
        if not self.lies(key):
            self.objects[key] = made
        return made


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        fake = self.server.fake
        parts = urlsplit(self.path)
        key = unquote(parts.path).removeprefix("/bucket").removeprefix("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, True).items()}
        size = int(self.headers.get("Content-Length") or 0)
        for part in fake.resets:
            if self.command == "PUT" and part in key and fake.resets[part]:
                fake.resets[part] -= 1
                self.rfile.read(size // 2)
                self.close_connection = True
                self.connection.close()
                return
        body = self.rfile.read(size)
        with fake.lock:
            fake.log.append((self.command, key))
            if said := fake.fault(self.command, key):
                self._error(*said)
            else:
                getattr(self, f"_{self.command.lower()}")(key, query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - its names

    def _head(self, key: str, query: Mapping[str, str], body: bytes) -> None:
        self._get(key, query, body)

    def _get(self, key: str, query: Mapping[str, str], _: bytes) -> None:
        fake = self.server.fake
        if "list-type" in query:
            self._list(query)
            return
        found = fake.objects.get(key)
        if found is None:
            self._error(404, "NoSuchKey")
            return
        headers = {
            **found.headers, "ETag": found.etag,
            "Last-Modified": format_datetime(found.modified, usegmt=True),
        }  # fmt: skip
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted:
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(found.body) - 1}/{len(found.body)}"
            self._answer(206, found.body[start:], headers)
        else:
            self._answer(200, found.body, headers)

    def _list(self, query: Mapping[str, str]) -> None:
        fake, prefix = self.server.fake, query.get("prefix", "")
        after, most = query.get("continuation-token", ""), int(query.get("max-keys", 1000))
        keys = sorted(key for key in fake.objects if key.startswith(prefix) and key > after)
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(fake.objects[key].body)}</Size>"
            f"<ETag>{escape(fake.objects[key].etag)}</ETag>"
            f"<LastModified>{fake.objects[key].modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            "</Contents>"
            for key in keys[:most]
        )
        more = len(keys) > most
        last = escape(keys[most - 1]) if more else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>" if more else ""
        text = (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{token}{rows}</ListBucketResult>"
        )
        self._answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _put(self, key: str, query: Mapping[str, str], body: bytes) -> None:
        fake = self.server.fake
        if "partNumber" in query:
            fake.parts[query["uploadId"]][int(query["partNumber"])] = body
            self._answer(200, b"", {"ETag": f'"{query["partNumber"]}"'})
            return
        known = fake.objects.get(key)
        expected = self.headers.get("If-Match")
        taken = self.headers.get("If-None-Match") == "*" and known is not None
        if taken or (expected and (known is None or self._etag(known) != expected)):
            self._error(412, "PreconditionFailed")
        else:
            self._answer(200, b"", {"ETag": fake.store(key, body, dict(self.headers)).etag})

    def _etag(self, stored: Stored) -> str:
        return stored.etag.strip('"') if self.server.fake.bare_etags else stored.etag

    def _post(self, key: str, query: Mapping[str, str], _: bytes) -> None:
        fake = self.server.fake
        if "uploads" in query:
            upload = f"u{len(fake.waiting)}"
            fake.parts[upload], fake.waiting[upload] = {}, (key, dict(self.headers))
            text = (
                "<InitiateMultipartUploadResult><Bucket>bucket</Bucket>"
                f"<Key>{escape(key)}</Key><UploadId>{upload}</UploadId>"
                "</InitiateMultipartUploadResult>"
            )
            self._answer(200, text.encode(), {})
        elif fake.complete_fails:
            text = "<Error><Code>InternalError</Code><Message>try again</Message></Error>"
            self._answer(200, text.encode(), {})
        else:
            pieces = fake.parts.pop(query["uploadId"])
            made = fake.store(
                key, b"".join(pieces[n] for n in sorted(pieces)), fake.waiting[query["uploadId"]][1]
            )
            text = (
                "<CompleteMultipartUploadResult><Bucket>bucket</Bucket>"
                f"<Key>{escape(key)}</Key><ETag>{escape(made.etag)}</ETag>"
                "</CompleteMultipartUploadResult>"
            )
            self._answer(200, text.encode(), {})

    def _delete(self, key: str, query: Mapping[str, str], _: bytes) -> None:
        fake = self.server.fake
        if "uploadId" in query:
            fake.parts.pop(query["uploadId"], None)
        else:
            fake.objects.pop(key, None)
        self._answer(204, b"", {})

    def _error(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>"
        self._answer(status, text.encode(), {"Content-Type": "application/xml"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeS3

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


@contextmanager
def fake_s3() -> Iterator[FakeS3]:
    """Run one on loopback; its only bucket is called `bucket`."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.fake = FakeS3(address=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
