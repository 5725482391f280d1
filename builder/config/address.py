"""Where the site is served: from the command line, the configuration or the CI's variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from builder.config.flags import Flags
from builder.config.reader import Reader
from builder.targets.base import Address


def read_address(
    flags: Flags,
    keys: Mapping[str, Any],
    source: Path,
    environment: Mapping[str, str],
    reader: Reader,
    *,
    target: str,
) -> Address:
    """Return where the site is served, wrong addresses having become problems of `reader`.

    Only `target`s that a CI serves itself are where its variables say.
    """
    guess = Address()
    if target in ("github-pages", "plain"):
        guess = _github_address(source, environment)
    elif target == "gitlab-pages":
        guess = _gitlab_address(environment)
    said_url = flags.url if flags.url is not None else keys.get("url")
    said_base = flags.baseurl if flags.baseurl is not None else keys.get("baseurl")
    url = str(said_url or "").rstrip("/")
    base = str(said_base) if said_base is not None else ("" if url else guess.baseurl)
    url = url or guess.url
    if url and not _is_site_url(url):
        message = "url must be http(s)://HOST without a user, password, path or query"
        reader.problem(("url",), message, "put a path into baseurl")
        url = ""
    base = "/" + base.strip("/") if base.strip("/") else ""
    if re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", base) is None or {".", ".."} & set(base.split("/")):
        reader.problem(("baseurl",), "baseurl must be a path such as /registry")
        base = ""
    elif f"{base}/".startswith("/v2/"):
        message = "baseurl is where the registry answers clients, at the root of its host"
        reader.problem(("baseurl",), message, "choose another path for the pages")
        base = ""
    return Address(url, base)


def _is_site_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    name = re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?", parts.netloc)
    return parts.scheme in ("http", "https") and plain and name is not None


def _github_address(source: Path, environment: Mapping[str, str]) -> Address:
    """Return where GitHub Pages serves this repository, as the CI's variables tell it."""
    owner, slash, name = environment.get("GITHUB_REPOSITORY", "").partition("/")
    if not slash or re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", f"{owner}/{name}") is None:
        return Address()
    cname = source / "CNAME"
    if cname.is_file():
        domain = cname.read_text("utf-8", "replace").strip()
        if re.fullmatch(r"[A-Za-z0-9.-]+", domain):
            return Address(f"https://{domain}", "")
    host = f"{owner.lower()}.github.io"
    return Address(f"https://{host}", "" if name.lower() == host else f"/{name}")


def _gitlab_address(environment: Mapping[str, str]) -> Address:
    """Return where GitLab Pages serves this project."""
    url = environment.get("CI_PAGES_URL", "")
    found = re.fullmatch(r"(https?://[A-Za-z0-9.-]+)((?:/[A-Za-z0-9._~-]+)*)/?", url)
    return Address(found[1], found[2]) if found else Address()
