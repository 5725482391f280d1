"""Addresses in a README: which are allowed, and where relative ones lead on the site.

What a relative one means is decided on text alone, against `Addresses`: a link
to `../../etc/passwd` is an address that leaves the site and nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from builder.text.addresses import SAFE_PATH, Addresses, Answer

ID_PREFIX = "user-content-"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ALLOWED = frozenset({"http:", "https:", "mailto:"})
_IGNORED = re.compile(r"[\x00-\x1f\x7f]")  # browsers drop these before they look for a scheme
_CANDIDATE = re.compile(r"[\s,]*(\S*[^\s,])(\s+[0-9.]+[wx])?\s*(?:,|$)")
_SAFE_REST = SAFE_PATH + "?%"

Warn = Callable[[str, str], None]


class Links:
    """Rewrites the addresses of one page, and keeps what it asked.

    `source` is the path of the file that holds them, `address` that of its
    page; without `addresses` links are taken as they are. `warn` is called
    with an address as it is written and what is wrong with it.
    """

    def __init__(
        self, baseurl: str, source: str, address: str, addresses: Addresses | None, warn: Warn
    ) -> None:
        self._baseurl = baseurl.rstrip("/")
        self._folder = source.split("/")[:-1]
        self._address = address.split("/")[1:-1]
        self._addresses = addresses
        self._warn = warn
        self.answers: list[Answer] = []
        self.fragments: list[str] = []  # of this page, as they are written
        self.onward: list[tuple[str, str, str]] = []  # of others: as written, address, id

    def href(self, raw: str) -> str | None:
        """Return where a link leads, or None when it must lead nowhere."""
        address = _clean(raw)
        if address.startswith("#"):
            self.fragments += [address[1:]] * (len(address) > 1)
            return f"#{prefixed(_rest(address[1:]))}" if len(address) > 1 else "#"
        if absolute := _absolute(address):
            return absolute
        if _SCHEME.match(address):
            return None
        path, rest = _split(address)
        where = self._find(raw, path, "link")
        if not where or is_external(where):
            return where + _rest(rest) if where else None
        query, _, fragment = rest.partition("#")
        if fragment and (self._addresses is None or self._addresses.is_text(where)):
            self.onward.append((raw, where, unquote(fragment)))
            rest = f"{query}#{prefixed(fragment)}"
        return self._published(where) + _rest(rest)

    def src(self, raw: str) -> str | None:
        """Return where an image is, or None when it is nowhere on this site."""
        address = _clean(raw)
        if absolute := _absolute(address):
            return None if absolute.startswith("mailto:") else absolute
        if _SCHEME.match(address) or not address:
            return None
        path, rest = _split(address)
        where = self._find(raw, path, "image")
        if not where:
            return None
        if is_external(where) or where.endswith("/"):
            self._warn(raw, f"the image {raw!r} is not published")
            return None
        return self._published(where) + _rest(rest)

    def srcset(self, raw: str) -> str | None:
        """Return those of an image's candidates that are on this site, or None."""
        found = ((self.src(address), size) for address, size in _CANDIDATE.findall(raw))
        own = [f"{src}{size}" for src, size in found if src and not is_external(src)]
        return ", ".join(own) or None

    def _published(self, where: str) -> str:
        return f"{self._baseurl}{quote(where, safe=SAFE_PATH)}"

    def _find(self, raw: str, path: str, what: str) -> str:
        """Return where `path` is published, an empty text after a warning when it is not."""
        rooted = path.startswith("/")
        if rooted and self._baseurl and f"{path}/".startswith(f"{self._baseurl}/"):
            path = path[len(self._baseurl) :]
        parts = path.split("/")
        file = _joined([] if rooted else self._folder, parts)
        page = _joined([] if rooted else self._address, parts)
        if file is None and page is None:
            self._warn(raw, f"the {what} {raw!r} leaves the site")
            return ""
        at = "" if page is None else f"/{page}/" if page and not parts[-1] else f"/{page}"
        if self._addresses is None:
            return at
        answer = self._addresses.answer(file, at)
        self.answers.append(answer)
        if answer.why:
            self._warn(raw, f"the {what} {raw!r} {answer.why}")
        return answer.where


def _joined(folder: list[str], parts: list[str]) -> str | None:
    """Return the path that `parts` mean in `folder`, or None when it leaves the root."""
    result = list(folder)
    for part in parts:
        if part == "..":
            if not result:
                return None
            result.pop()
        elif part not in {"", "."}:
            result.append(part)
    return "/".join(result)


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
    rest = quote(address[scheme.end() :].lstrip("/\\"), safe=_SAFE_REST + "#[]")
    if scheme[0].lower() == "mailto:":
        return f"mailto:{rest}"
    # Whether `https:/x` is a host or a path depends on the page's own scheme: here it is a host.
    return f"{scheme[0].lower()}//{rest}" if rest else ""


def _split(address: str) -> tuple[str, str]:
    """Return the decoded path of a relative address, and its query and fragment."""
    end = min((address.find(mark) for mark in "?#" if mark in address), default=len(address))
    path = _IGNORED.sub("", unquote(address[:end], errors="replace"))
    return path.replace("\\", "/"), address[end:]


def _rest(text: str) -> str:
    return quote(text, safe=_SAFE_REST + "#")
