"""The text of nginx's `http.conf`: maps from a path to what the locations need of it.

Knows nginx's syntax for maps and what must never get into one; what is in
them is the business of `nginx`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from builder.errors import ContentError
from builder.output import Entry

MAX_TEXT = 4000  # characters; nginx reads a configuration in pieces of 4,096

_VALUE = re.compile(r"[^\x00-\x1f\x7f-\uffff$\\]*")
_KEY = re.compile(r"/[^\x00-\x1f\x7f\"\\]*")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#&^_.+-]+/[A-Za-z0-9!#&^_.+-]+")


def media_type_text(media_type: str, where: str) -> str:
    """Return a media type that may stand bare in a configuration.

    Raises ContentError naming `where` when it has any character of its syntax.
    """
    if _MEDIA_TYPE.fullmatch(media_type) is None:
        raise ContentError.at(where, f"{media_type!r} cannot be a media type")
    return media_type


def root_map(folder: str) -> str:
    """Return a map that gives `$registry_root`, so that root and maps change in one moment.

    Raises ContentError for a folder that could be read as configuration.
    """
    if _VALUE.fullmatch(folder) is None or '"' in folder:
        message = "nginx cannot be told a path with such characters"
        raise ContentError.at(folder, message, "publish to a folder with a plain name")
    return f'\nmap "" $registry_root {{\n    default "{folder}";\n}}\n'


@dataclass(slots=True)
class Map:
    """One `map` block: exact lines win over patterns, patterns are tried in order."""

    variable: str
    source: str = "$uri"
    patterns: list[tuple[str, str]] = field(default_factory=list)
    exact: dict[str, str] = field(default_factory=dict)

    def add(self, entry: Entry, key: str, value: str) -> None:
        """Keep one exact line.

        Raises ContentError when key or value could be read as configuration.
        """
        fits = len(value) <= MAX_TEXT and not ("'" in value and '"' in value)
        if not fits or _KEY.fullmatch(key) is None or _VALUE.fullmatch(value) is None:
            message = f"{value!r} for {key!r} cannot be written in an nginx configuration"
            raise ContentError.at(entry.path, message, "rename the file, or correct the value")
        self.exact[key] = value

    def lines(self) -> Iterator[str]:
        """Yield the block, in byte order of its keys."""
        yield f'map "{self.source}" ${self.variable} {{'
        yield '    default "";'
        # nginx folds the case of plain keys: two that differ only in case must be patterns.
        folded = Counter(key.lower() for key in self.exact)
        for key, value in sorted(self.exact.items()):
            line = key if folded[key.lower()] == 1 else f"~^{re.escape(key)}$"
            yield f"    {_quoted(line)} {_quoted(value)};"
        for pattern, value in self.patterns:
            yield f"    {_quoted(f'~{pattern}')} {_quoted(value)};"
        yield "}"


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


def _hash_sizes(maps: Iterable[Map]) -> tuple[int, int]:
    """Return `map_hash_max_size` and `map_hash_bucket_size` that fit every map.

    A bucket holds sixteen of the longest keys: with as many buckets as keys
    the fullest one has about nine at a million, so nginx never searches long.
    """
    count, longest = 1, 1
    for each in maps:
        count = max(count, len(each.exact))
        longest = max(longest, max(map(len, each.exact), default=0))
    bucket = 256
    while bucket < 16 * (longest + 24) and bucket < 32768:
        bucket *= 2
    return max(2048, 2 * count), bucket


_FIXED = r"""
map $request_method $registry_write {
    default 1;
    GET "";
    HEAD "";
}

map $request_method $registry_methods {
    default "";
    OPTIONS "GET, HEAD, OPTIONS";
}

map $request_method $registry_allowed {
    default "";
    OPTIONS "Accept, Authorization, If-None-Match, Range";
}

map $request_method $registry_remembered {
    default "";
    OPTIONS 86400;
}

map $uri $registry_cache {
    default "no-cache";
    "~^/v2/.+/(?:blobs|manifests)/[a-z0-9]+:[a-f0-9]{64,128}$"
        "public, max-age=31536000, immutable, no-transform";
    "~^/v2/" "public, max-age=60, no-transform";
    "~^/assets/.*\.[0-9a-f]{8,}\.[a-z0-9]+$" "public, max-age=31536000, immutable";
}

map $uri $registry_origin {
    default "";
    "~\.json$" "*";
}

# Where the bytes are that are JSON for people too.
map $uri $registry_copied {
    default "";
    "~^/(?<registry_whose>[a-z0-9._/-]+)/manifests/(?<registry_which>[^/]+?)(?:/(?:index\.json)?)?$"
        "/v2/$registry_whose/manifests/$registry_which";
    "~^/(?<registry_whose>[a-z0-9._/-]+)/tags(?:/(?:index\.json)?)?$"
        "/v2/$registry_whose/_tags";
}

# What is known of a blob has no folder of its own.
map $uri $registry_facts {
    default /;
    "~^(?<registry_of_blob>/.+/blobs/[^/]+)/index\.json$" "$registry_of_blob.json";
}

# The manifest that the tag in a path is on. nginx folds the case of what it looks up in a map: a
# tag is the one that was found only where both are written alike.
map "$uri $registry_tag" $registry_by_digest {
    default /;
    "~/(?<registry_same>[^/ ]+) \k<registry_same> (?<registry_held>[^ ]+)$" "/$registry_held";
}

# What a query for referrers asks for: nothing, a type that is known here, or another one.
map $arg_artifactType $registry_referrers {
    default "/v2/$registry_name/referrers/by-type/$registry_filter/$registry_subject";
    "" "$uri";
}

map $arg_artifactType $registry_filters {
    default "artifactType";
    "" "";
}

map $uri $registry_filtered {
    default "";
    "~^/v2/.+/referrers/by-type/" "artifactType";
}

map $uri $registry_invalid {
    default '{"errors":[{"code":"DIGEST_INVALID","message":"this is not a digest"}]}';
    "~/(?:_catalog|tags/list)$"
        '{"errors":[{"code":"UNSUPPORTED","message":"n has to be a whole number"}]}';
}

map $uri $registry_error {
    default '{"errors":[{"code":"NAME_UNKNOWN","message":"there is nothing of this name"}]}';
    "~/manifests/[^/]*$" '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such manifest"}]}';
    "~/blobs/[^/]*$" '{"errors":[{"code":"BLOB_UNKNOWN","message":"no such blob"}]}';
}
"""


def http_config(maps: list[Map]) -> str:
    """Return `http.conf`: the maps, and hash tables large enough for them."""
    size, bucket = _hash_sizes(maps)
    lines = [
        "# Made by builder. Include inside http{}; server.conf goes inside server{}.",
        f"map_hash_max_size {size};",
        f"map_hash_bucket_size {bucket};",
    ]
    for each in maps:
        lines += ["", *each.lines()]
    return "\n".join(lines) + "\n" + _FIXED
