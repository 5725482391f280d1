"""The lists for programs: the search index and `collections.json`.

The search index is one file in columns, because that packs to half of what
rows do; position N of every column belongs to collection N.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from builder.pages.feeds import absolute
from builder.pages.model import PageOptions
from builder.registry.model import Row

_MAX_TAGS = 12
_MAX_TEXT = 140


def as_json(value: Any) -> bytes:
    """Return compact UTF-8 JSON that is harmless even when it is read as HTML."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace") + b"\n"


def search_index(rows: Sequence[Row]) -> bytes:
    """Return `search.json`: names, titles, descriptions, keywords, tags, digests, facts."""
    platforms = sorted({platform for row in rows for platform in row.platforms})
    number = {platform: n for n, platform in enumerate(platforms)}
    return as_json(
        {
            "version": 1,
            "platforms": platforms,
            "name": [row.name for row in rows],
            "title": [row.title if row.title != row.name else "" for row in rows],
            "description": [row.description[:_MAX_TEXT] for row in rows],
            "keywords": [" ".join(row.keywords) for row in rows],
            "tags": [" ".join(row.tags[:_MAX_TAGS]) for row in rows],
            "digest": [row.digest.partition(":")[2][:12] for row in rows],
            "kind": [row.kind for row in rows],
            "on": [[number[platform] for platform in row.platforms] for row in rows],
            "size": [row.size for row in rows],
            "updated": [row.updated for row in rows],
        }
    )


def collections_json(rows: Sequence[Row], options: PageOptions) -> bytes:
    """Return `collections.json`: every visible collection with what is known of it."""
    return as_json(
        {
            "title": options.title,
            "url": absolute(options, "/"),
            "collections": [row_json(row, options) for row in rows],
        }
    )


def row_json(row: Row, options: PageOptions) -> dict[str, Any]:
    """Return one collection for lists; what is not known is left out."""
    facts = {
        "name": row.name,
        "title": row.title,
        "url": absolute(options, row.url),
        "description": row.description,
        "kind": row.kind,
        "keywords": list(row.keywords),
        "license": row.license,
        "maintainers": list(row.maintainers),
        "platforms": list(row.platforms),
        "tags": list(row.tags),
        "newest": row.newest,
        "digest": row.digest,
        "size": row.size,
        "updated": row.updated,
        "deprecated": row.deprecated,
    }
    return {key: value for key, value in facts.items() if value or key == "tags"}
