"""An origin for each repository: the script of one app must not read another's files.

All that `serve --from` shows is fetched with the user's own login. A browser
keeps apart what has different hosts, and knows every name below `localhost`
to be this machine; so the address of an app in a browser is
`http://LABEL.localhost:PORT/NAME/VERSION/`, where LABEL is made from NAME.
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO
from urllib.parse import unquote

from builder.apps.source import RegistryApps
from builder.output import Capabilities, Entry
from builder.preview.respond import Request, Responder, Response

BELOW = ".localhost"
_FORBIDDEN = Response(403, (("Content-Type", "text/plain"),), b"each app is at a host of its own\n")
_NOT_LABEL = re.compile(r"[^a-z0-9]+")


def label(name: str) -> str:
    """Return the label of a repository's host: 63 characters at most, one for each name."""
    readable = _NOT_LABEL.sub("-", name.lower()).strip("-")[:40].rstrip("-")
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


class OwnOrigins:
    """Answers from `apps`, and gives each app's pages to its own host alone.

    Programs that are no browsers are answered at any host: they run nothing.
    """

    def __init__(self, apps: RegistryApps, capabilities: Capabilities) -> None:
        self._apps = apps
        self._inner = Responder(apps, capabilities)

    def respond(self, request: Request) -> Response:
        """Return the answer to one request."""
        host, colon, port = request.headers.get("host", "").partition(":")
        path = unquote(request.target.partition("?")[0]).strip("/")
        owner = self._apps.owner(path)
        if host.endswith(BELOW):
            own = host == f"{label(owner or path)}{BELOW}"
            return self._inner.respond(request) if own else _FORBIDDEN
        if not owner or not _is_browser(request):
            return self._inner.respond(request)
        if request.headers.get("sec-fetch-mode", "navigate") != "navigate":
            return _FORBIDDEN
        where = f"http://{label(owner)}{BELOW}{colon}{port}{request.target}"
        return Response(302, (("Location", where), ("Cache-Control", "no-store")))

    def open(self, entry: Entry) -> BinaryIO:
        """Open the bytes of an entry that an answer named."""
        return self._inner.open(entry)


def _is_browser(request: Request) -> bool:
    """Tell whether what is answered could be run: browsers say that they want a page."""
    headers = request.headers
    return "sec-fetch-mode" in headers or "text/html" in headers.get("accept", "")
