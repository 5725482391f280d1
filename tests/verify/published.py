"""A small site, built and released into a folder, as `publish` would leave it there."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.cli import run
from builder.oci.digest import Digest
from builder.output import Entry
from builder.publish.release import Release, make_release
from builder.publish.signing import SigningKey

NAME = "vanessa/greeting"


def build(registry: Path, *arguments: str) -> Path:
    """Build a registry; return its site."""
    assert run(["build", "-q", "-s", str(registry), *arguments]) == 0
    return registry / "_site"


def release(
    site: Path,
    *,
    key: SigningKey | None = None,
    previous: Release | None = None,
    time: str = "2024-05-01T12:00:00Z",
    name: str = "https://example.org",
    expires: str = "",
    generation: int = 0,
) -> Release:
    """Write the release of all files that are in a folder."""
    (site / ".builder-site").unlink(missing_ok=True)
    shutil.rmtree(site / "api/release", ignore_errors=True)
    (site / "release.json").unlink(missing_ok=True)
    paths = sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file())
    entries = [
        Entry(path, "", (), Digest.of((site / path).read_bytes()), (site / path).stat().st_size)
        for path in paths
    ]

    def keep(path: str, data: bytes) -> None:
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)

    generation = generation or (previous.generation + 1 if previous else 1)
    made = make_release(entries, generation, key, time, name=name, expires=expires, keep=keep)
    (site / "release.json").write_bytes(made.to_bytes())
    return made


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Files as they are, and a status or another place for some of them."""

    protocol_version = "HTTP/1.1"
    answers: dict[str, int | str] = {}  # noqa: RUF012 - each server has a class of its own

    def do_GET(self) -> None:
        answer = self.answers.get(self.path, 200)
        if isinstance(answer, str):
            self.send_response(307)
            self.send_header("Location", answer)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif answer != 200:
            self.send_error(answer)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path, answers: dict[str, int | str] | None = None) -> Iterator[str]:
    """Serve a folder as any file server does; yields its URL."""
    kind = type("Handler", (_Quiet,), {"answers": answers or {}})
    handler = functools.partial(kind, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
