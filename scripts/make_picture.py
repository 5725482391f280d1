"""Make `docs/collection.png`: a collection's page of the example registry, as a browser shows it.

    python scripts/make_picture.py [FILE]

Needs chromium. Fonts differ from machine to machine, and so do the bytes: run it when the pages
have changed, and look at the result.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import BUILDER

ROOT = Path(__file__).resolve().parent.parent
PAGE = "vanessa/greeting/"
_SIZE = "1200,880"
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def take(work: Path, picture: Path) -> None:
    """Build the example for nginx, serve it, and photograph its page."""
    site = work / "site"
    address = ("--url", "https://registry.example.org")
    build = [*BUILDER, "build", "-q", "-s", str(ROOT), "-d", str(site), "-t", "nginx", *address]
    subprocess.run(build, check=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/{PAGE}"
    command = ["chromium", *_FLAGS, f"--user-data-dir={work}/chromium", f"--window-size={_SIZE}",
               f"--screenshot={picture}", url]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    finally:
        server.shutdown()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        take(Path(folder), Path(*sys.argv[1:2] or (ROOT, "docs/collection.png")).absolute())
