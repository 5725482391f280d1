"""Layers as assets of a GitHub release, `github-release://OWNER/REPO/TAG`.

Source: GitHub's REST API, "Releases" and "Release assets": files below 2 GiB,
a thousand for each release, whose addresses need no login where the
repository is public.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from builder.errors import RemoteError, UsageError, conceal, redacted
from builder.oci import mediatype, strictjson
from builder.offsite.web import confirm, is_public
from builder.remote.faults import host_of
from builder.remote.http import Answer, Body, Http, Request
from builder.remote.options import RemoteOptions

_PLACE = re.compile(r"([A-Za-z0-9-]{1,39})/([A-Za-z0-9_-][A-Za-z0-9._-]{0,99})/([\w.+-]{1,100})")
_MAX_ASSET = (2 << 30) - 1
_PAGE = 100
_PAGES = 11
_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")


@dataclass(frozen=True, slots=True)
class GitHubRelease:
    """A release; `api` and `server` are the addresses of the GitHub it is on."""

    repository: str
    tag: str
    api: str = "https://api.github.com"
    server: str = "https://github.com"

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str]) -> Self:
        """Return the release for `OWNER/REPO/TAG`; raises UsageError."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise UsageError(f"{text!r} is not a release", "write github-release://OWNER/REPO/TAG")
        given = {"api": "GITHUB_API_URL", "server": "GITHUB_SERVER_URL"}
        addresses = {key: environment.get(name, "").rstrip("/") for key, name in given.items()}
        return cls(f"{found[1]}/{found[2]}", found[3], **{k: v for k, v in addresses.items() if v})

    def url(self, digest: str) -> str:
        """Return where clients get a blob."""
        return f"{self.server}/{self.repository}/releases/download/{self.tag}/{_name(digest)}"

    def holds(self, digest: str, size: int) -> bool:
        """Tell whether a blob can be had."""
        return is_public(self.url(digest), digest, size)

    def put(self, digest: str, size: int, file: Path) -> None:
        """Upload a file; a broken asset of its name is replaced."""
        if size > _MAX_ASSET:
            message = f"{digest} is {size} bytes; GitHub takes assets below 2 GiB"
            raise RemoteError(f"{self.repository}: {message}", "use another registry.blobs")
        api = _Api(self)
        release = api.release()
        for asset in api.assets(release):
            if asset.get("name") != _name(digest):
                continue
            if asset.get("state") == "uploaded" and self.holds(digest, size):
                return  # another run built it first
            api.delete(asset)
        api.upload(release, _name(digest), size, file)
        confirm(self.url(digest), digest, size, api.http.back_off)


class _Api:
    """The requests that are needed, with the token of the environment."""

    def __init__(self, place: GitHubRelease) -> None:
        token = next((os.environ[name] for name in _TOKENS if os.environ.get(name)), "")
        if not token:
            hint = f"set {_TOKENS[0]} to a token with 'contents: write'"
            raise RemoteError(f"{place.repository}: uploading to a release needs a token", hint)
        conceal(token)
        self.http = Http(RemoteOptions())
        self.http.trust(place.api)
        self._place = place
        self._base = f"{place.api}/repos/{place.repository}/releases"
        self._secrets = {"Authorization": f"Bearer {token}"}

    def release(self) -> dict[str, Any]:
        """Return the release; raises RemoteError when there is none."""
        tag = quote(self._place.tag, safe="")
        found = self._json("GET", f"{self._base}/tags/{tag}")
        if not isinstance(found, dict) or not isinstance(found.get("id"), int):
            raise RemoteError(f"{host_of(self._base)}: its answer is not a release")
        return found

    def assets(self, release: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the release's assets."""
        for number in range(1, _PAGES + 1):
            query = f"per_page={_PAGE}&page={number}"
            found = self._json("GET", f"{self._base}/{release['id']}/assets?{query}")
            if not isinstance(found, list):
                raise RemoteError(f"{host_of(self._base)}: its answer is not a list of assets")
            yield from (item for item in found if isinstance(item, dict))
            if len(found) < _PAGE:
                return

    def delete(self, asset: Mapping[str, Any]) -> None:
        """Remove an asset; one that is gone is no error."""
        if isinstance(asset.get("id"), int):
            self._ask("DELETE", f"{self._base}/assets/{asset['id']}", (204, 404)).close()

    def upload(self, release: Mapping[str, Any], name: str, size: int, file: Path) -> None:
        """Send a file as an asset; one that another run has sent meanwhile is no error."""
        template = str(release.get("upload_url"))
        address = template.partition("{")[0]
        host = urlsplit(self._base).netloc
        # The token goes where the API says only if that is GitHub's own host for uploads.
        allowed = {host, re.sub(r"^api\.", "uploads.", host)}
        parts = urlsplit(address)
        if parts.netloc not in allowed or parts.scheme != urlsplit(self._base).scheme:
            raise RemoteError(f"{host}: sends uploads to {address[:200]!r}, which is refused")
        self.http.trust(address)
        headers = {"Content-Type": mediatype.OCTET_STREAM, "Content-Length": str(size)}
        self._ask(
            "POST", f"{address}?name={quote(name)}", (201, 422), headers, lambda: file.open("rb")
        ).close()  # fmt: skip

    def _json(self, method: str, url: str) -> Any:
        with self._ask(method, url, (200,)) as answer:
            raw = answer.text(strictjson.MAX_BYTES)
        try:
            return strictjson.loads(raw, what="answer")
        except ValueError as error:
            raise RemoteError(f"{host_of(url)}: {error}") from None

    def _ask(
        self,
        method: str,
        url: str,
        expect: tuple[int, ...],
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Answer:
        fixed = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        request = Request(
            method, url, {**fixed, **(headers or {})}, self._secrets, body, again=body is None
        )
        answer = self.http.send(request)
        if answer.status in expect:
            return answer
        with answer:
            said = _words_of(answer.text())
        hints = {
            401: "is GITHUB_TOKEN right, and still valid?",
            403: "the token must have 'contents: write' for this repository",
            404: f"make the release first: gh release create {self._place.tag}",
        }
        message = f"{host_of(url)}: {method} {urlsplit(url).path}: {answer.status}: {said}"
        raise RemoteError(message.rstrip(": "), hints.get(answer.status, ""))


def _words_of(raw: bytes) -> str:
    """Return what the body of an error says: GitHub has a message, and codes for details."""
    try:
        found = json.loads(raw)
        codes = [str(item["code"]) for item in found.get("errors", ())]
        said = " ".join([str(found["message"]), *codes])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        said = raw.decode("utf-8", "replace")
    return redacted(said)[:300]


def _name(digest: str) -> str:
    return digest.replace(":", "-")
