"""Which builder the CI of a new registry installs: the one that made the registry.

It is named exactly, by a version of the package index it came from or by a
commit. A bare name is never written: whoever registered that name somewhere
could then run code in CI.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from builder.git import head, remote

_NAME = "static-container-registry"
# git@HOST:PATH, as git writes it for ssh
_SCP = re.compile(r"[\w.-]+@(?P<host>[\w.-]+):(?!//)(?P<path>[^\s]+)")


def requirement() -> str | None:
    """Return pip's line for the builder that is running; None where nothing tells which it is."""
    try:
        found = distribution(_NAME)
    except PackageNotFoundError:
        return None
    origin = found.read_text("direct_url.json")  # https://peps.python.org/pep-0610/
    if origin is None:
        return f"{_NAME}=={found.version}"
    return _from_origin(json.loads(origin))


def _from_origin(origin: dict[str, dict[str, str] | str]) -> str | None:
    url, vcs = str(origin["url"]), origin.get("vcs_info")
    if isinstance(vcs, dict):
        return _at(url, vcs["commit_id"]) if vcs["vcs"] == "git" else None
    if "dir_info" not in origin:
        return None
    folder = Path(unquote(urlsplit(url).path))
    return _at(remote(folder), head(folder))


def _at(url: str, commit: str) -> str | None:
    """Return the line for a commit of a public repository, without a login that its URL holds."""
    if scp := _SCP.fullmatch(url):
        url = f"ssh://{scp['host']}/{scp['path']}"
    parts = urlsplit(url)
    if parts.scheme not in ("https", "ssh") or not parts.hostname or not commit:
        return None
    port = f":{parts.port}" if parts.port and parts.scheme == "https" else ""
    return f"{_NAME} @ git+https://{parts.hostname}{port}{parts.path}@{commit}"
