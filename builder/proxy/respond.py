"""The answers of a proxied site: a registry's, with what is wrong far away told as its errors."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import BinaryIO

from builder.errors import BuilderError, RemoteError
from builder.output import Capabilities, Entry
from builder.preview.respond import Request, Responder, Response, error_answer
from builder.proxy.lookup import ProxiedSite

log = logging.getLogger(__name__)


class ProxyResponder:
    """Answers requests from a site, as a host of `capabilities` would if the site were on it."""

    def __init__(self, site: ProxiedSite, capabilities: Capabilities) -> None:
        self._site = site
        self._inner = Responder(site, capabilities)

    def respond(self, request: Request) -> Response:
        """Return the answer to one request; its body, if any, has begun to come."""
        try:
            return self._answer(request)
        except FileNotFoundError:
            return error_answer(404, "BLOB_UNKNOWN", "it has gone from the site")
        except BuilderError as error:
            log.warning("%s", error)
            status = 502 if isinstance(error, RemoteError) else 500
            return error_answer(status, "UNAVAILABLE", str(error))

    def _answer(self, request: Request) -> Response:
        response = self._inner.respond(request)
        if response.entry is None or request.method == "HEAD":
            return response
        # A part has no end at which its bytes could be known to be right.
        stream = self._site.open(response.entry, whole=response.status == 206)
        return replace(response, stream=stream)

    def open(self, entry: Entry) -> BinaryIO:
        """Open the bytes of an entry that an answer named."""
        return self._site.open(entry)
