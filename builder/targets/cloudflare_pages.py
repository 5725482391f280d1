"""Cloudflare Pages: at most 100 header rules and 2,000 redirects.

A rule's path may have one `*` and any number of `:placeholders`; a colon
starts a placeholder wherever it stands, also inside of a digest. All rules
that match are applied and their values joined, so a rule takes away first
what it sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from builder.output import MARKER, Capabilities, Data, Entry, Output
from builder.targets.base import Address, RootHost, SideFile
from builder.targets.rules import (
    BRIEF,
    COMMON,
    DIGEST_HEADER,
    IMMUTABLE,
    Plan,
    check_count,
    header,
    plan,
)

_HEADER_RULES, _REDIRECTS = 100, 2000
# What stands for each kind; `*` is the repository's name.
_PATHS = {
    "tag": "/v2/*/manifests/:reference",
    "manifest": "/v2/*/manifests/sha256:hex",
    "blob": "/v2/*/blobs/sha256:hex",
    "referrers": "/v2/*/referrers/sha256:hex",
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
        headers = list(_rules(found, {entry.path: entry for entry in (*found.odd, *found.names)}))
        if len(headers) > _HEADER_RULES:
            headers = list(_rules(found, {entry.path: entry for entry in found.odd}))
        check_count(len(headers), _HEADER_RULES, self.capabilities.title, "header rules")
        check_count(len(found.moved) + 1, _REDIRECTS, self.capabilities.title, "redirects")
        lines = [f"/{_literal(each.path)} {each.location} 307\n" for each in found.moved]
        lines.append(f"/{MARKER} /404.html 302\n")
        yield SideFile("_headers", "".join(headers).encode(), in_site=True)
        yield SideFile("_redirects", "".join(lines).encode(), in_site=True)


def _rules(found: Plan, own: Mapping[str, Entry]) -> Iterator[str]:
    """Yield the patterns, and a rule for each path in `own`; of two for one path the last counts.

    A digest's rule captures its colon too: `:hex` stands for all from there on.
    """
    yield _rule("/v2/*", {**COMMON, "Cache-Control": BRIEF}, ())
    yield _rule("/v2/_catalog", {"Content-Type": "application/json"})
    for kind in _ORDER:
        if kind not in found.usual:
            continue
        headers = {"Content-Type": found.usual[kind]}
        if kind in ("manifest", "blob"):
            headers |= {DIGEST_HEADER: "sha256:hex", "Cache-Control": IMMUTABLE}
        yield _rule(_PATHS[kind], headers)
    for path, entry in sorted(own.items()):
        headers = {"Content-Type": entry.media_type}
        if digest := header(entry, DIGEST_HEADER):
            # The length too: Pages leaves it out of its answers to HEAD.
            headers |= {DIGEST_HEADER: digest, "Content-Length": str(entry.size)}
        yield _rule(f"/{_literal(path)}", headers)


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
            "Deploy with `wrangler pages deploy _site`.",
            "Files are limited to 25 MiB: put larger layers into registry.blobs.",
            "`tags/list?n=&last=` answers with the whole list.",
        ),
    )
)
