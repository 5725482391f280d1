"""Every key of `_config.yml` that is known, with what it must be.

A test holds them against docs/reference/config.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# The kinds of values, in the words of messages.
TEXT, FLAG, LIST, MAP, SIZE, FLAG_OR_MAP = (
    "a text",
    "true or false",
    "a list",
    "a mapping",
    "a size such as '8 MiB'",
    "true, false or a mapping",
)

# Every key that is known, with what it must be; documented in docs/reference/config.md.
KEYS: Mapping[str, str] = {
    "title": TEXT,
    "description": TEXT,
    "url": TEXT,
    "baseurl": TEXT,
    "lang": TEXT,
    "permalink": TEXT,
    "defaults": LIST,
    "include": LIST,
    "exclude": LIST,
    "collections": MAP,
    "timezone": TEXT,
    "source": TEXT,
    "destination": TEXT,
    "future": FLAG,
    "unpublished": FLAG,
    "show_drafts": FLAG,
    "markdown": TEXT,
    "accent": TEXT,
    "logo": TEXT,
    "nav": LIST,
    "repository": TEXT,
    "branch": TEXT,
    "registry": MAP,
}
REGISTRY_KEYS: Mapping[str, str] = {
    "target": TEXT,
    "host": TEXT,
    "blobs": TEXT,
    "blobs_url": TEXT,
    "commit_below": SIZE,
    "immutable": LIST,
    "redirects": MAP,
    "apps": LIST,
    "keys": LIST,
    "schema1": FLAG_OR_MAP,
    "platform_tags": FLAG,
    "archives": FLAG,
    "engines": LIST,
    "sync": LIST,
}
_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
          "kb": 10**3, "mb": 10**6, "gb": 10**9}  # fmt: skip


def parse_size(value: Any) -> int | None:
    """Return `8 MiB` or a number as bytes, or None for what is no size."""
    found = re.fullmatch(r"(\d{1,15})\s*([A-Za-z]{0,3})", str(value).strip())
    if found is None or found[2].lower() not in _UNITS:
        return None
    return int(found[1]) * _UNITS[found[2].lower()]
