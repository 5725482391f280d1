"""Addresses in a README: which are allowed, and where relative ones lead on the site.

Only text is looked at, never the disk: a link to `../../etc/passwd` is an
address that leaves the site and nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import quote, unquote

ID_PREFIX = "user-content-"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ALLOWED = frozenset({"http:", "https:", "mailto:"})
_IGNORED = re.compile(r"[\x00-\x1f\x7f]")  # browsers drop these before they look for a scheme
_FOLDER_FILES = frozenset({"readme.md", "index.md", "index.html"})
_SAFE_PATH = "/!$&'()*+,;=:@-._~"
_SAFE_REST = _SAFE_PATH + "?%"

Warn = Callable[[str, str], None]


class Links:
    """Rewrites the addresses of one page.

    `base` is the page's output folder (`vanessa/greeting/`), `files` are the
    names published in it; `warn` is called with an address and what is wrong
    with it.
    """

    def __init__(self, baseurl: str, base: str, files: Collection[str], warn: Warn) -> None:
        self._baseurl = baseurl.rstrip("/")
        self._base = base
        self._files = files
        self._warn = warn

    def href(self, raw: str) -> str | None:
        """Return where a link leads, or None when it must lead nowhere."""
        address = _clean(raw)
        if address.startswith("#"):
            return f"#{prefixed(_rest(address[1:]))}" if len(address) > 1 else "#"
        if absolute := _absolute(address):
            return absolute
        if _SCHEME.match(address):
            return None
        path, rest = _split(address)
        found = self._resolve(raw, path)
        if found is None:
            return None
        target, is_readme = found
        if is_readme and rest.startswith("#"):
            rest = f"#{prefixed(rest[1:])}"
        return self._published(target) + _rest(rest)

    def src(self, raw: str) -> str | None:
        """Return where an image is, or None when it is nowhere on this site."""
        address = _clean(raw)
        if absolute := _absolute(address):
            return None if absolute.startswith("mailto:") else absolute
        if _SCHEME.match(address) or not address:
            return None
        path, rest = _split(address)
        found = self._resolve(raw, path)
        if found is None:
            return None
        target = found[0]
        if target.startswith(self._base) and target[len(self._base) :] not in self._files:
            self._warn(raw, f"the image {raw!r} is not published beside this page")
            return None
        return self._published(target) + _rest(rest)

    def _published(self, target: str) -> str:
        return f"{self._baseurl}/{quote(target, safe=_SAFE_PATH)}"

    def _resolve(self, raw: str, path: str) -> tuple[str, bool] | None:
        """Return the output path that `path` means, and whether it names a folder's README."""
        rooted = path.startswith("/")
        if rooted and self._baseurl and f"{path}/".startswith(f"{self._baseurl}/"):
            path = path[len(self._baseurl) :]
        parts = [] if rooted else self._base.split("/")[:-1]
        wanted = path.split("/")
        for part in wanted:
            if part == "..":
                if not parts:
                    self._warn(raw, f"the link {raw!r} leaves the site")
                    return None
                parts.pop()
            elif part not in {"", "."}:
                parts.append(part)
        if wanted[-1].lower() in _FOLDER_FILES and parts:
            return _folder(parts[:-1]), True
        if wanted[-1] in {"", ".", ".."}:
            return _folder(parts), False
        return "/".join(parts), False


def _folder(parts: list[str]) -> str:
    # A tag's README is in manifests/<tag>/ and its page in tags/<tag>/.
    if len(parts) > 2 and parts[-2] == "manifests":
        parts = [*parts[:-2], "tags", parts[-1]]
    return "".join(f"{part}/" for part in parts)


def prefixed(identifier: str) -> str:
    """Return an id or name from content that cannot be one of the theme's."""
    return identifier if identifier.startswith(ID_PREFIX) else ID_PREFIX + identifier


def is_external(address: str) -> bool:
    """Tell whether a rewritten address is on another host."""
    return address.startswith(("http://", "https://"))


def _clean(raw: str) -> str:
    return _IGNORED.sub("", raw).strip()


def _absolute(address: str) -> str:
    """Return an allowed absolute address, `//host/` made `https://host/`; else nothing."""
    if address[:2].replace("\\", "/") == "//":
        address = f"https://{address[2:]}"
    scheme = _SCHEME.match(address)
    if scheme is None or scheme[0].lower() not in _ALLOWED:
        return ""
    rest = quote(address[scheme.end() :], safe=_SAFE_REST + "#[]")
    return scheme[0].lower() + rest


def _split(address: str) -> tuple[str, str]:
    """Return the decoded path of a relative address, and its query and fragment."""
    end = min((address.find(mark) for mark in "?#" if mark in address), default=len(address))
    path = _IGNORED.sub("", unquote(address[:end], errors="replace"))
    return path.replace("\\", "/"), address[end:]


def _rest(text: str) -> str:
    return quote(text, safe=_SAFE_REST + "#")
