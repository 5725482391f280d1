"""What a target is: one kind of host, told in capabilities and two functions.

A target knows paths, media types, headers and redirects; it knows nothing of
manifests or Markdown. Every target that writes rules is one module with a
value called `TARGET`; those that take files alone are in `files`. All are
found by name in `targets.open_target`. What the hosts have in common, how an
output becomes files, is `adapt` below.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from builder.errors import ContentError, UsageError
from builder.output import Body, Capabilities, Data, Entry, File, Made, Output, Redirect

_PLAIN_BASE = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the site lives: `https://example.org` and `/registry` (or empty).

    Pages are published below `baseurl`, `/v2/` always at the host's root.
    """

    url: str = ""
    baseurl: str = ""

    @property
    def plain_base(self) -> str:
        """The baseurl without a slash at its end, as it can stand in any server's configuration.

        Raises UsageError for what is no plain path.
        """
        base = self.baseurl.rstrip("/")
        if _PLAIN_BASE.fullmatch(base) is None:
            message = f"baseurl {self.baseurl!r} is not a plain path"
            raise UsageError(message, "write it like /registry")
        return base


@dataclass(frozen=True, slots=True)
class SideFile:
    """A file that a host needs beside the content: a rules file, a config to include.

    `in_site` files go into the destination (`_headers`, `.nojekyll`), the
    others to `<destination>.<target>/`.
    """

    path: str
    data: bytes
    in_site: bool = False


class Target(Protocol):
    """One kind of host."""

    @property
    def capabilities(self) -> Capabilities:
        """What the host can do at its best address."""

    def at(self, address: Address) -> Capabilities:
        """Return what the host can do at this address: some own no host root there."""

    def adapt(self, output: Output) -> Iterator[Output]:
        """Yield what must be published so that the host answers for `output`.

        A pure function of one output: a folder's answer may gain an
        `index.html` copy, a redirect may become a page.
        """

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield the rules that make the host answer as `entries` say.

        `entries` are all that is published, in byte order of their paths, and
        may be read once only. A pure function of the address and `Entry.ruled`.
        """


# What a server does whose rules say type, headers and redirects of each path.
SERVER = Capabilities(
    name="server",
    title="a server",
    media_types=True,
    headers=True,
    redirects=True,
    index_names=("index.html", "index.json"),
    unknown_referrers=True,
    copies=True,
    json_errors=True,
    fallbacks=True,
    releases=True,
)


@dataclass(frozen=True, slots=True)
class FileHost:
    """A target that is described by its capabilities, and takes no rules unless a subclass says."""

    capabilities: Capabilities

    def at(self, address: Address) -> Capabilities:
        """Return the same at every address."""
        del address
        return self.capabilities

    def adapt(self, output: Output) -> Iterator[Output]:
        """Yield the files that stand for `output`; see `adapt`."""
        return adapt(output, self.capabilities)

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield nothing."""
        del entries, address
        return iter(())


class RootHost(FileHost):
    """A host that serves a site at the root of a domain, and takes few rules."""

    def at(self, address: Address) -> Capabilities:
        """Return the same; raises UsageError for a baseurl, which the host cannot serve."""
        if address.baseurl.strip("/"):
            title = self.capabilities.title
            message = f"{title} serves a site at the root of its host, not at a baseurl"
            raise UsageError(message, f"take baseurl {address.baseurl!r} away, or use --baseurl ''")
        return self.capabilities

    def adapt(self, output: Output) -> Iterator[Output]:
        """Yield the files that stand for `output`; only below `v2/` is a redirect a rule."""
        capabilities = self.capabilities
        if not output.path.startswith("v2/"):
            capabilities = replace(capabilities, redirects=False)
        return adapt(output, capabilities)


def adapt(output: Output, capabilities: Capabilities) -> Iterator[Output]:
    """Yield what stands for `output` on a host of these capabilities.

    A folder's answer at `X/index.json` gains the copy `X/index.html` where
    only that name answers for a folder. Where the host cannot redirect, a
    redirect becomes a page, and below `v2/`, where clients cannot read pages,
    nothing. A copy becomes a file of its own unless the host answers from the
    other one. Raises ContentError for a redirect to anything but a path from
    the host's root or an http(s) URL.
    """
    if isinstance(output.body, Redirect):
        yield from _redirects(output, output.body, capabilities)
        return
    if output.copy_of and not capabilities.copies:
        output = output._replace(copy_of="")
    yield output
    folder, _, name = output.path.rpartition("/")
    if output.folder_answer and name == "index.json" and name not in capabilities.index_names:
        yield _html_copy(output, f"{folder}/index.html" if folder else "index.html")


def _redirects(output: Output, body: Redirect, capabilities: Capabilities) -> Iterator[Output]:
    _check_location(output, body.to)
    if capabilities.redirects:
        yield output
    elif not output.path.startswith("v2/"):
        page = Data(_redirect_page(body.to))
        yield output._replace(media_type="text/html", body=page, headers=())


def _check_location(output: Output, location: str) -> None:
    local = location.startswith("/") and not location.startswith("//")
    if not (local or location.startswith(("https://", "http://"))) or not location.isprintable():
        raise ContentError.at(
            output.origin or output.path,
            f"/{output.path} cannot redirect to {location!r}",
            "a redirect goes to an http(s) URL or to a path of this site that starts with '/'",
        )


def _html_copy(output: Output, path: str) -> Output:
    # Not the same bytes: a digest header of the original would be a lie here.
    copy = output.at(path, "text/html", _escaped_body(output.body))
    return copy._replace(headers=(), folder_answer=False, copy_of="")


def _escaped_body(body: Body) -> Body:
    if isinstance(body, Data):
        return Data(_escape_json(body.data))
    if isinstance(body, Made):
        return Made(partial(_make_escaped, body.make))
    if isinstance(body, File):
        return Made(partial(_read_escaped, body.path))
    return body


def _make_escaped(make: Callable[[], bytes]) -> bytes:
    return _escape_json(make())


def _read_escaped(path: Path) -> bytes:
    return _escape_json(path.read_bytes())


def _escape_json(data: bytes) -> bytes:
    r"""Return the same JSON with `<`, `>` and `&` as `\u003c`, `\u003e` and `\u0026`.

    Outside of strings JSON has none of the three, so that the bytes can be
    replaced blindly; a browser that takes the result for HTML finds no tag.
    """
    data = data.replace(b"&", rb"\u0026")
    return data.replace(b"<", rb"\u003c").replace(b">", rb"\u003e")


_REDIRECT_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>This has moved</title>
<meta http-equiv="refresh" content="0; url={to}">
<link rel="canonical" href="{to}">
</head>
<body>
<main>
<h1>This has moved</h1>
<p>Go on to <a href="{to}">{to}</a>.</p>
</main>
</body>
</html>
"""


def _redirect_page(to: str) -> bytes:
    """Return a page that sends a browser on to `to`, without script."""
    return _REDIRECT_PAGE.format(to=html.escape(to)).encode()
