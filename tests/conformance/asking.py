"""Asking a host over HTTP as a client would."""

from __future__ import annotations

import json
from typing import Any, Self

import requests

_TIMEOUT = 20  # seconds


class Asker:
    """One host, asked over one connection; nothing of what it answers is remembered."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._session = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request for a path below `/v2/`; redirects are followed."""
        headers = {"Accept-Encoding": "identity", **more.pop("headers", {})}
        url = f"http://{self.address}/v2/{path}"
        return self._session.request(
            method, url, headers=headers, timeout=_TIMEOUT, allow_redirects=True, **more
        )

    def get(self, path: str, **headers: str) -> requests.Response:
        """GET a path below `/v2/`; a header is written with `_` for `-`."""
        return self.send("GET", path, headers=_named(headers))

    def head(self, path: str, **headers: str) -> requests.Response:
        """HEAD a path below `/v2/`."""
        return self.send("HEAD", path, headers=_named(headers))

    def list(self, name: str, **query: str | int) -> requests.Response:
        """GET a page of a repository's tags, or of all repositories when the name is empty."""
        path = f"{name}/tags/list" if name else "_catalog"
        return self.send("GET", path, params=query)

    def follow(self, link: str) -> requests.Response:
        """GET what a `Link` header leads to."""
        target = link[link.index("<") + 1 : link.index(">")]
        assert target.startswith("/v2/"), link
        return self.get(target.removeprefix("/v2/"))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def json_of(answer: requests.Response) -> Any:
    """Return the JSON of a body that has to be JSON."""
    try:
        return json.loads(answer.content)
    except ValueError:
        message = f"not JSON: {answer.content[:80]!r}"
        raise AssertionError(message) from None


def error_of(answer: requests.Response) -> str:
    """Return the code of the first error in a body of the specification's shape."""
    errors = json_of(answer).get("errors")
    assert isinstance(errors, list), errors
    assert errors, "an empty list of errors"
    code = errors[0].get("code")
    assert isinstance(code, str), errors[0]
    return code
