"""The endpoint reference: what can be fetched, told with a line to paste each.

The page `/api/` and `openapi.json` are made from one table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from builder.pages.address import PLACEHOLDER
from builder.pages.feeds import absolute
from builder.pages.model import PageOptions
from builder.registry.model import Row

_DIGEST = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of address: its template, what it answers, and how to ask with curl."""

    path: str
    summary: str
    answer: str
    curl: str
    group: str


@dataclass(frozen=True, slots=True)
class ApiView:
    """What the endpoint reference shows."""

    groups: tuple[tuple[str, tuple[Endpoint, ...]], ...]
    works: tuple[str, ...]
    lacks: tuple[str, ...]
    notes: tuple[str, ...]
    target: str
    example: str


_TABLE = (
    ("v2", "/v2/", "Confirms that this is a registry", "{}"),
    ("v2", "/v2/_catalog", "Every repository", '{"repositories": [...]}'),
    ("v2", "/v2/{name}/tags/list", "The tags of a repository", '{"name": ..., "tags": [...]}'),
    ("v2", "/v2/{name}/manifests/{tag}", "A manifest by tag", "an image manifest or an index"),
    ("v2", "/v2/{name}/manifests/{digest}", "A manifest by digest", "the exact bytes"),
    ("v2", "/v2/{name}/blobs/{digest}", "A layer or a config", "the bytes, or a redirect to them"),
    ("v2", "/v2/{name}/referrers/{digest}", "Signatures, SBOMs and other referrers", "an index"),
    ("friendly", "/{name}/tags/", "The tags of a collection", '{"name": ..., "tags": [...]}'),
    ("friendly", "/{name}/manifests/{tag}/", "A manifest by tag, for reading", "JSON"),
    ("friendly", "/{name}/manifests/{digest}/", "A manifest by digest, for reading", "JSON"),
    (
        "friendly",
        "/{name}/blobs/{digest}/index.json",
        "The size and location of a blob",
        '{"digest", "size", "url"}',
    ),
    ("site", "/collections.json", "All collections with their metadata", "JSON"),
    ("site", "/search.json", "The search index, in columns", "JSON"),
    ("site", "/{name}/index.json", "A collection's page as data", "JSON"),
    ("site", "/{name}/tags/{tag}/index.json", "A tag's page as data", "JSON"),
    ("site", "/feed.xml", "Recent changes; each collection has a feed too", "Atom"),
    ("site", "/sitemap.xml", "Every page", "XML"),
)

_GROUPS = {
    "v2": "For container clients",
    "friendly": "For scripts and people",
    "site": "The site as data",
}


def api_view(rows: Sequence[Row], options: PageOptions) -> ApiView:
    """Return the reference with examples taken from the first collection that has a tag."""
    example = next((row for row in rows if row.listed and row.digest and row.newest), None)
    endpoints = [_endpoint(line, example, options) for line in _lines(options)]
    return ApiView(
        tuple(
            (title, tuple(endpoint for endpoint in endpoints if endpoint.group == key))
            for key, title in _GROUPS.items()
        ),
        _works(options),
        _lacks(options),
        options.capabilities.notes,
        options.capabilities.title,
        example.name if example is not None else "",
    )


def _lines(options: PageOptions) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table; feeds and sitemaps are only there when the URL is known."""
    yield from (line for line in _TABLE if options.url or not line[1].endswith(".xml"))


def _endpoint(line: tuple[str, ...], example: Row | None, options: PageOptions) -> Endpoint:
    group, path, summary, answer = line
    base = absolute(options, "")
    root = options.api_url if group == "v2" else base
    root = root or f"https://{options.host or PLACEHOLDER}"
    name = example.name if example is not None else "NAME"
    tag = example.newest if example is not None else "TAG"
    digest = example.digest if example is not None else _DIGEST
    if "/blobs/" in path and example is not None and example.blobs:
        digest = example.blobs[0][0]
    address = path.replace("{name}", name).replace("{tag}", tag).replace("{digest}", digest)
    saved = " -o blob" if group == "v2" and "/blobs/" in path else ""
    return Endpoint(path, summary, answer, f"curl -fsSL{saved} {root}{address}", group)


def _works(options: PageOptions) -> tuple[str, ...]:
    if not options.by_name:
        return ("curl and other plain downloads",)
    if not options.typed:
        return (
            "crane, for images of one platform",
            "Apptainer 1.4 and later, for images of one platform",
            "ORAS for Python",
            "curl and other plain downloads",
        )
    return (
        "Docker, Podman, Buildah, containerd and Kubernetes",
        "Skopeo, crane and regctl",
        "Apptainer and SingularityCE",
        "ORAS and Helm",
        "curl and other plain downloads",
    )


def _lacks(options: PageOptions) -> tuple[str, ...]:
    lacks = [
        "Pushing: content is added to the site's source and published with it",
        "Users and permissions: anyone who can read the site can pull",
    ]
    if not options.capabilities.queries:
        lacks.append("Pagination and filters: every list is returned whole")
    if not options.capabilities.unknown_referrers:
        lacks.append("Referrers of an unknown digest: the answer is 404")
    if not options.capabilities.json_errors:
        lacks.append("JSON errors below /v2/: the host sends its own error page")
    return tuple(lacks)


def openapi(options: PageOptions) -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of every endpoint."""
    base = absolute(options, "")
    paths = {}
    for group, path, summary, answer in _lines(options):
        paths[path] = {
            "get": {
                "summary": summary,
                "tags": [_GROUPS[group]],
                "parameters": [
                    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                    for name in ("name", "tag", "digest")
                    if f"{{{name}}}" in path
                ],
                "responses": {"200": {"description": answer}, "404": {"description": "not here"}},
                "servers": [{"url": (options.api_url if group == "v2" else base) or "/"}],
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": options.title, "version": "1", "description": "A read-only registry."},
        "paths": paths,
    }
