"""The repository that a pull request is for: its address, and where people open the request."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from builder.errors import UsageError, conceal
from builder.git import Repository, is_bare

_SCHEMES = ("https", "http", "ssh", "file")
_SCP = re.compile(r"(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9.-]+):([^:].*)")  # user@host:path
_PATH = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True, slots=True)
class Origin:
    """A repository: `text` is what git is given, `folder` the local clone's top if it is one."""

    text: str
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Return the repository that a user named by a folder or a URL; raises UsageError.

        What the URL holds of secrets is concealed from then on.
        """
        if os.path.isdir(text):
            if is_bare(Path(text)):
                hint = f"give it by its URL, with --push: file://{quote(os.path.abspath(text))}"
                raise UsageError(f"--registry {text}: has no work tree", hint)
            top = Repository(Path(text)).top
            return cls(os.fspath(top), top)
        parts = urlsplit(text)
        if parts.scheme in _SCHEMES and "://" in text:
            token = parts.password or (parts.username if parts.scheme != "ssh" else "") or ""
            for shown in {token, unquote(token)}:
                conceal(shown)
            return cls(text)
        if not text.startswith("-") and "://" not in text and _SCP.fullmatch(text):
            return cls(text)
        hint = "use a folder, https://HOST/PATH, ssh://HOST/PATH or git@HOST:PATH"
        if _PATH.fullmatch(text) is not None:
            hint = f"there is no such folder; a repository elsewhere is https://HOST/{text}"
        raise UsageError(f"--registry {text}: is neither a folder nor a git URL", hint)


@dataclass(frozen=True, slots=True)
class Request:
    """Where a pull request is opened: a page, and a command; empty where the host is not known."""

    page: str = ""
    command: str = ""


def request_for(
    url: str, base: str, branch: str, title: str, environment: Mapping[str, str]
) -> Request:
    """Return where the branch `branch` of the repository at `url` is proposed to `base`.

    Hosts are known by name, or because `environment` says that the job runs there.
    """
    host, path = _place(url)
    if not host or _PATH.fullmatch(path) is None:
        return Request()
    server = urlsplit(environment.get("GITHUB_SERVER_URL", "")).netloc
    if host in ("github.com", server):
        page = f"https://{host}/{path}/compare/{quote(base)}...{quote(branch)}?expand=1"
        name = path if host == "github.com" else f"{host}/{path}"
        words = ("gh", "pr", "create", "--repo", name, "--base", base, "--head", branch,
                 "--title", title, "--body", "")  # fmt: skip
        return Request(page, shlex.join(words))
    if host.startswith("gitlab.") or host == environment.get("CI_SERVER_HOST"):
        query = f"merge_request[source_branch]={quote(branch, safe='')}"
        query += f"&merge_request[target_branch]={quote(base, safe='')}"
        return Request(f"https://{host}/{path}/-/merge_requests/new?{query}")
    return Request()


def _place(url: str) -> tuple[str, str]:
    """Return the host and the repository's path of a git URL, without user and `.git`."""
    parts = urlsplit(url)
    if parts.scheme in ("https", "http", "ssh") and "://" in url:
        host, path = parts.netloc.rpartition("@")[2], parts.path
        if parts.scheme == "ssh":
            host = host.partition(":")[0]
    elif (found := _SCP.fullmatch(url)) is not None and "://" not in url:
        host, path = found[2], found[3]
    else:
        return "", ""
    return host.lower(), path.strip("/").removesuffix(".git")
