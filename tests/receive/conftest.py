"""A registry that is pushed to without sockets: the receiver, and what it shows over a site."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

import pytest

from builder.build.judge import judge_of
from builder.config import load_config
from builder.config.flags import Flags
from builder.output import Entry
from builder.preview.respond import Request, Responder, Response
from builder.receive.receiver import Receiver, Rules
from builder.targets import open_target
from tests.images import MANIFEST, Image, sha256

NAME = "team/tool"
PIECE = 100  # bytes that a small body comes in


class NoSite:
    """A site that was built when there was nothing: what is seen was pushed."""

    kept: Mapping[str, bytes] = {"v2/index.json": b"{}", "v2/_catalog": b'{"repositories":[]}'}

    def find(self, path: str) -> Entry | None:
        if (data := self.kept.get(path)) is None:
            return None
        return Entry(path, "application/json", (), sha256(data), len(data), folder_answer=True)

    def open(self, entry: Entry) -> BinaryIO:
        return io.BytesIO(self.kept[entry.path])

    def under(self, prefix: str) -> Iterator[Entry]:  # noqa: ARG002 - the protocol's shape
        return iter(())


class Client:
    """Speaks to a receiver as a server would, for the registry in the folder `source`."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.config = load_config(Flags(str(source)))
        self.restart()

    def restart(self) -> None:
        """Forget all that is in memory."""
        rules = Rules(self.config.registry, judge_of(self.config))
        self.receiver = Receiver(self.source / ".builder-cache/receive", lambda: rules)
        capable = open_target("preview").capabilities
        self._responder = Responder(self.receiver.over(NoSite()), capable)

    def ask(
        self, method: str, target: str, body: bytes = b"", *, cut: bool = False, **headers: str
    ) -> Response:
        """Send a request, its body in pieces; with `cut` the connection ends after those."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        if body or method in ("PUT", "POST", "PATCH"):
            named.setdefault("content-length", str(len(body)))
        request = Request(method, target, named)
        if not self.receiver.takes(request):
            return self._responder.respond(request)
        transfer = self.receiver.begin(request)
        size = max(PIECE, len(body) // 100)
        for at in range(0, len(body), size):
            transfer.write(body[at : at + size])
        if cut:
            transfer.abort()
            return Response(0)
        return transfer.answer or transfer.finish()

    def body(self, answer: Response) -> bytes:
        """Return the body of an answer."""
        if answer.entry is None:
            return answer.data
        with self._responder.open(answer.entry) as stream:
            return stream.read()

    def json(self, answer: Response) -> Any:
        """Return the JSON of an answer."""
        return json.loads(self.body(answer))

    def upload(self, name: str, data: bytes, digest: str = "") -> Response:
        """Push a blob in one request."""
        query = urlencode({"digest": digest or sha256(data)})
        return self.ask("POST", f"/v2/{name}/blobs/uploads/?{query}", data)

    def begin(self, name: str = NAME) -> str:
        """Begin an upload; return where it goes on."""
        answer = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        assert answer.status == 202
        return answer.header("Location")

    def push(self, image: Image, name: str = NAME, tag: str = "1.0") -> Response:
        """Push an image, its content first."""
        for data in image.blobs.values():
            document = json.loads(data) if data.startswith(b"{") else {}
            if document.get("schemaVersion"):
                self.manifest(data, name, sha256(data), document["mediaType"])
            else:
                assert self.upload(name, data).status == 201
        return self.manifest(image.manifest, name, tag, image.media_type)

    def manifest(
        self, raw: bytes, name: str = NAME, reference: str = "1.0", kind: str = MANIFEST
    ) -> Response:
        """Push a manifest alone."""
        target = f"/v2/{name}/manifests/{reference}"
        return self.ask("PUT", target, raw, content_type=kind)

    def error(self, answer: Response) -> str:
        """Return the code of an error."""
        return str(json.loads(answer.data)["errors"][0]["code"])


@pytest.fixture
def client(registry: Path) -> Client:
    return Client(registry)
