"""A file server with the habits of GitHub Pages, for tests: `pages_server.py FOLDER PORT`.

Types go by extension, and a file without one is application/octet-stream; a
folder is answered by its index.html and never listed; what is missing gets
the site's 404.html. No header can be set, nothing redirects elsewhere.
"""

from __future__ import annotations

import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Pages(SimpleHTTPRequestHandler):
    """Answers from a folder."""

    protocol_version = "HTTP/1.1"
    extensions_map = {  # noqa: RUF012 - the base class has it so
        "": "application/octet-stream", ".html": "text/html; charset=utf-8",
        ".json": "application/json; charset=utf-8", ".css": "text/css; charset=utf-8",
        ".js": "application/javascript; charset=utf-8", ".svg": "image/svg+xml",
        ".tar": "application/x-tar", ".xml": "application/xml",
    }  # fmt: skip

    def guess_type(self, path: Any) -> str:
        """Return a type by the last extension, if it is a known one: `1.0` has none."""
        return self.extensions_map.get(Path(path).suffix, self.extensions_map[""])

    def list_directory(self, path: Any) -> None:
        """Answer for a folder without index.html as for what is missing."""
        del path
        self.send_error(HTTPStatus.NOT_FOUND)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with the site's page for what is missing."""
        page = Path(self.directory) / "404.html"
        if code != HTTPStatus.NOT_FOUND or not page.is_file():
            super().send_error(code, message, explain)
            return
        body = page.read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file; a client that leaves in the middle is no fault."""
        try:
            super().copyfile(source, outputfile)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    handler = partial(Pages, directory=sys.argv[1])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), handler).serve_forever()
