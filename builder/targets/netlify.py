"""Netlify: rules in `_headers` and `_redirects`, one for each manifest.

Rules that match the same path are merged there, so no two of ours may say the
same header for one path: manifests have a rule each, and patterns say only
what no other rule says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from builder.oci.digest import DIGEST_HEADER
from builder.output import MARKER, Capabilities, Entry
from builder.targets.base import Address, RootHost, SideFile
from builder.targets.rules import COMMON, cache_control, header, kind_of, stored_below

_MANIFESTS = ("tag", "manifest", "referrers", "tags")


class Netlify(RootHost):
    """Types and digests for each path; redirects that are 302 at best."""

    def side_files(self, entries: Iterable[Entry], address: Address) -> Iterator[SideFile]:
        """Yield `_headers` and `_redirects`."""
        del address
        headers = [_block("/v2/*", COMMON), _block("/v2/_catalog", _JSON)]
        depths: set[int] = set()
        moved = []
        for entry in entries:
            kind = kind_of(entry.path)
            if entry.path.startswith("v2/") and entry.location:
                moved.append(entry)
            elif kind in _MANIFESTS:
                headers.append(_block(f"/{entry.path}", _headers(entry)))
            elif kind == "blob":
                depths.add(entry.path.count("/") - 2)
        headers += [_block(f"/v2/{_names(depth)}/blobs/*", _BLOB) for depth in sorted(depths)]
        yield SideFile("_headers", "\n".join(headers).encode(), in_site=True)
        yield SideFile("_redirects", "".join(_redirects(moved)).encode(), in_site=True)


_JSON = {"Content-Type": "application/json", "Cache-Control": cache_control("v2/_catalog")}
_BLOB = {
    "Content-Type": "application/octet-stream",
    "Cache-Control": cache_control("v2/name/blobs/sha256:0"),
}


def _headers(entry: Entry) -> dict[str, str]:
    found = {"Content-Type": entry.media_type, "Cache-Control": cache_control(entry.path)}
    if digest := header(entry, DIGEST_HEADER):
        found[DIGEST_HEADER] = digest
    return found


def _block(path: str, headers: dict[str, str]) -> str:
    return "\n".join([path, *(f"  {name}: {value}" for name, value in headers.items()), ""])


def _names(depth: int) -> str:
    return "/".join(f":part{number}" for number in range(1, depth + 1))


def _redirects(moved: list[Entry]) -> Iterator[str]:
    """Yield the lines of `_redirects`.

    A file that is there is served before a redirect is looked at, so one
    pattern for each depth of names is enough where all blobs are in one place.
    """
    places = {(entry.path.count("/") - 2, stored_below(entry)) for entry in moved}
    bases = {base for _, base in places}
    if len(bases) == 1 and None not in bases:
        for depth, base in sorted(places, key=str):
            yield f"/v2/{_names(depth)}/blobs/sha256\\::hex {base}/sha256/:hex 302\n"
    else:
        for entry in moved:
            yield f"/{entry.path} {entry.location} 302\n"
    yield f"/{MARKER} /404.html 404!\n"
    yield "/v2/* /v2/404.json 404\n"


TARGET = Netlify(
    Capabilities(
        name="netlify",
        title="Netlify",
        media_types=True,
        headers=True,
        redirects=True,
        json_errors=True,
        notes=(
            "Netlify asks you to keep large files elsewhere: store layers in `registry.blobs`.",
            "`tags/list?n=&last=` returns the whole list.",
        ),
    )
)
