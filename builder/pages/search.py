"""The lists for programs: the search index and `collections.json`.

`search.json` has what a search looks at first, in columns, because that packs
to half of what rows do: position N of every column belongs to collection N.
What would make it large is below `search/words/`, by first letters, and read when
somebody types it: every digest, every further tag, words of READMEs and labels.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from builder.pages import words
from builder.pages.feeds import absolute
from builder.pages.model import PageOptions
from builder.registry.model import Row

WORDS = "search/words/"
_MAX_TAGS = 12
_MAX_TEXT, _MIN_TEXT = 140, 40  # characters of a description
_ALL_TEXTS = 500_000  # characters of all descriptions together, about
_DEPTHS = (200, 2_000)  # up to how many collections words are one file, one a letter; else two
_DIGEST = 10  # of its hexadecimal digits
_PART = 20_000  # collections in a file

Shards = Mapping[str, Mapping[str, Mapping[str, Any]]]


def as_json(value: Any) -> bytes:
    """Return compact UTF-8 JSON that is harmless even when it is read as HTML."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace") + b"\n"


def more_paths(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the output paths of the parts of the index after the first."""
    yield from (f"search/{number}.json" for number in range(2, -(-len(rows) // _PART) + 1))


def search_index(rows: Sequence[Row]) -> Iterator[tuple[str, bytes]]:
    """Yield the output path and the body of each file of the search index."""
    shards = word_shards(rows)
    paths = ("search.json", *more_paths(rows))
    about = {"version": 2, "parts": paths, "shards": tuple(shards)}
    for start, path in zip(range(0, _PART * len(paths), _PART), paths, strict=True):
        yield path, as_json({**about, **columns(rows[start : start + _PART])})
    for name, shard in shards.items():
        yield f"{WORDS}{name}.json", as_json(shard)


def columns(rows: Sequence[Row]) -> dict[str, Any]:
    """Return names, titles, descriptions, keywords, tags and facts of some collections."""
    room = min(_MAX_TEXT, max(_MIN_TEXT, _ALL_TEXTS // max(len(rows), 1)))
    platforms = sorted({platform for row in rows for platform in row.platforms})
    number = {platform: n for n, platform in enumerate(platforms)}
    return {
        "platforms": platforms,
        "name": [row.name for row in rows],
        "title": [row.title if row.title != row.name else "" for row in rows],
        "description": [words.cut(row.description, room) for row in rows],
        "keywords": [" ".join(row.keywords) for row in rows],
        "license": [row.license for row in rows],
        "tags": [" ".join(row.tags[:_MAX_TAGS]) for row in rows],
        "newest": [row.newest for row in rows],
        "yanked": {n: " ".join(row.yanked) for n, row in enumerate(rows) if row.yanked},
        "deprecated": [n for n, row in enumerate(rows) if row.deprecated],
        "kind": [row.kind for row in rows],
        "on": [[number[platform] for platform in row.platforms] for row in rows],
        "size": [row.size for row in rows],
        "updated": [row.updated for row in rows],
    }


def word_shards(rows: Sequence[Row]) -> Shards:
    """Return what is below `search/words/`, by file: who has a word, a further tag, a digest.

    Collections are numbers of rows; a digest also names the first of its tags.
    """
    depth = sum(len(rows) > most for most in _DEPTHS)
    shards: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(
        lambda: {"words": {}, "tags": {}, "digests": {}}
    )
    for n, row in enumerate(rows):
        for word in row.words:
            shards[shard_of(word, depth)]["words"].setdefault(word, []).append(n)
        for tag in row.tags[_MAX_TAGS:]:
            shards[shard_of(tag, depth)]["tags"].setdefault(tag, []).append(n)
        for tag, digest in zip(row.tags, row.tag_digests, strict=True):
            if digest:
                start = digest[:_DIGEST]
                shards[shard_of(start, depth)]["digests"].setdefault(start, [n, tag])
    return dict(sorted(shards.items()))


def shard_of(term: str, depth: int) -> str:
    """Return the name of the file that has a term: its first `depth` letters."""
    start = term[:depth].lower()
    if not depth:
        return "all"
    return start if len(start) == depth and start.isascii() and start.isalnum() else "other"


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
        "yanked": list(row.yanked),
    }
    return {key: value for key, value in facts.items() if value or key == "tags"}
