"""Cloudflare Pages: at most 100 header rules, 2,000 redirects and 100 more with patterns.

A rule's path may have one `*` and any number of `:placeholders`; a colon and
a letter start a placeholder wherever they stand, also inside of a digest. All
rules that match are applied and their values joined, so a rule takes away
first what it sets. A file `X.html` is answered at `X`, where `X` is no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from builder.oci.digest import DIGEST_HEADER
from builder.output import MARKER, Capabilities, Data, Entry, Output
from builder.targets.base import Address, RootHost, SideFile
from builder.targets.rules import (
    BRIEF,
    COMMON,
    IMMUTABLE,
    Plan,
    check_count,
    check_left_out,
    header,
    plan,
)

_HEADER_RULES, _REDIRECTS, _PATTERNS = 100, 2000, 100
_LEFT_OUT = frozenset({"node_modules"})  # wherever it is in a site, it is not uploaded
_PLACEHOLDER = re.compile(r":[A-Za-z]")
# What stands for each kind; `*` is the repository's name, and a digest's own colon is the first.
_PATHS = {
    "tag": "/v2/*/manifests/:reference",
    "manifest": "/v2/*/manifests/{}::hex",
    "blob": "/v2/*/blobs/{}::hex",
    "referrers": "/v2/*/referrers/{}::hex",
    "tags": "/v2/*/tags/list",
}
_ORDER = ("tag", "manifest", "blob", "referrers", "tags")


class CloudflarePages(RootHost):
    """Patterns for the many, a rule for each exception, digests of tags while rules last."""

    def adapt(self, output: Output) -> Iterator[Output]:
        """Yield the files that stand for `output`; only blobs are redirected by rules.

        What is missing below `/v2/` is answered with the nearest `404.html`.
        """
        yield from super().adapt(output)
        if output.path == "v2/404.json" and isinstance(output.body, Data):
            yield output.at("v2/404.html", "text/html")

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield `_headers` and `_redirects`; raises ContentError where rules are too many."""
        del address
        found = plan(entries)
        title = self.capabilities.title
        check_left_out(found, _LEFT_OUT, title)
        headers = list(_rules(found, (*found.odd, *found.names)))
        if len(headers) > _HEADER_RULES:
            headers = list(_rules(found, found.odd))
        check_count(len(headers), _HEADER_RULES, title, "header rules")
        fixed, patterns = _redirects(found.moved)
        check_count(len(fixed), _REDIRECTS, title, "redirects")
        check_count(
            len(patterns), _PATTERNS, title, "redirects of digests that begin with a letter"
        )
        yield SideFile("_headers", "".join(headers).encode(), in_site=True)
        yield SideFile("_redirects", "".join([*fixed, *patterns]).encode(), in_site=True)


def _redirects(moved: Iterable[Entry]) -> tuple[list[str], list[str]]:
    """Return the lines of `_redirects`: those of one path each, which come first, and patterns.

    A digest that begins with a letter would be a placeholder. Its pattern
    stands for that digest in every repository: the content is the same.
    """
    fixed = [f"/{MARKER} /404.html 302\n"]
    patterns: dict[str, str] = {}
    for entry in moved:
        if _PLACEHOLDER.search(entry.path):
            path = f"/v2/*{entry.path.rpartition(':')[2]}"
            patterns.setdefault(path, f"{path} {entry.location} 307\n")
        else:
            fixed.append(f"/{entry.path} {entry.location} 307\n")
    return fixed, list(patterns.values())


def _rules(found: Plan, own: Iterable[Entry]) -> Iterator[str]:
    """Yield the patterns, and a rule for each path in `own`."""
    yield _rule("/v2/*", {**COMMON, "Cache-Control": BRIEF}, ())
    yield _rule("/v2/_catalog", {"Content-Type": "application/json"})
    for kind in _ORDER:
        if kind in found.usual:
            yield from _kind(kind, found.usual[kind], sorted(found.algorithms))
    tags = {entry.path for entry in found.names}
    for path, entry in sorted({entry.path: entry for entry in own}.items()):
        headers = {"Content-Type": entry.media_type}
        if digest := header(entry, DIGEST_HEADER):
            # The length too: Pages leaves it out of its answers to HEAD.
            headers |= {DIGEST_HEADER: digest, "Content-Length": str(entry.size)}
        plain = path.removesuffix(".html")
        yield _rule(f"/{_literal(path if plain in tags else plain)}", headers)


def _kind(kind: str, media_type: str, algorithms: Iterable[str]) -> Iterator[str]:
    """Yield the rules of a kind; a digest's path has its algorithm written out."""
    pattern = _PATHS[kind]
    for algorithm in algorithms if "{}" in pattern else [""]:
        headers = {"Content-Type": media_type}
        if kind in ("manifest", "blob"):
            headers |= {DIGEST_HEADER: f"{algorithm}::hex", "Cache-Control": IMMUTABLE}
        yield _rule(pattern.format(algorithm), headers)


def _rule(path: str, headers: Mapping[str, str], taken: Iterable[str] | None = None) -> str:
    taken = headers if taken is None else taken
    lines = [path, *(f"  ! {name}" for name in taken)]
    return "\n".join([*lines, *(f"  {name}: {value}" for name, value in headers.items()), ""])


def _literal(path: str) -> str:
    """Return a path in which no colon starts a placeholder."""
    return path.replace(":", "*")


TARGET = CloudflarePages(
    Capabilities(
        name="cloudflare-pages",
        title="Cloudflare Pages",
        media_types=True,
        redirects=True,
        json_errors=True,
        max_file=25 << 20,
        max_files=20_000,
        notes=(
            "Files are limited to 25 MiB: store larger layers in `registry.blobs`.",
            "`tags/list?n=&last=` returns the whole list.",
        ),
    )
)
