"""The lists for programs: the search index and `collections.json`.

`search.json` has what a search looks at first, in columns, because that packs
to half of what rows do: position N of every column belongs to collection N.
What would make it large is below `search/words/`, by first letters, and read when
somebody types it: every digest, every further tag, words of READMEs and labels.
"""

from __future__ import annotations

import json
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from builder.fingerprint import fingerprint
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

_Shard = dict[str, dict[str, Any]]
Shards = dict[str, _Shard]


def as_json(value: Any) -> bytes:
    """Return compact UTF-8 JSON that is harmless even when it is read as HTML."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode("utf-8", "replace") + b"\n"


def index_paths(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the output paths of the parts of the index."""
    parts = range(2, -(-len(rows) // _PART) + 1)
    return ("search.json", *(f"search/{number}.json" for number in parts))


class Index:
    """The search index of one state of the site after another.

    While the rows are what they were, only files of words that came or went are made again.
    """

    def __init__(self) -> None:
        self._rows: Sequence[Row] = ()
        self._words: Sequence[str] = ()
        self._shards: Shards = {}
        self._files: dict[str, tuple[object, bytes, str]] = {}

    def files(self, rows: Sequence[Row], words: Sequence[str]) -> Iterator[tuple[str, bytes, str]]:
        """Yield output path, body and identity of each file; `words` are lines, for each row."""
        if rows == self._rows:
            for n, (old, new) in enumerate(zip(self._words, words, strict=True)):
                if old != new:
                    for word in {*old.splitlines()} ^ {*new.splitlines()}:
                        self._turn(word, n)
        else:
            self._shards, self._files = word_shards(rows, words), {}
        self._rows, self._words = rows, words
        paths, shards = index_paths(rows), sorted(self._shards)
        about = {"version": 2, "parts": paths, "shards": shards}
        for start, path in zip(range(0, _PART * len(paths), _PART), paths, strict=True):
            yield self._file(path, shards, _part, about, rows[start : start + _PART])
        for name in shards:
            yield self._file(f"{WORDS}{name}.json", None, _in_order, self._shards[name])

    def _turn(self, word: str, n: int) -> None:
        """Add a word to those of row `n`, or remove it."""
        name = shard_of(word, _depth(self._rows))
        self._files.pop(f"{WORDS}{name}.json", None)
        shard = self._shards.setdefault(name, _empty())
        rows = shard["words"].setdefault(word, [])
        if n in rows:
            rows.remove(n)
        else:
            insort(rows, n)
        if not rows:
            del shard["words"][word]
        if not any(shard.values()):
            del self._shards[name]

    def _file(
        self, path: str, made_from: object, make: Callable[..., Any], *arguments: Any
    ) -> tuple[str, bytes, str]:
        """Return a file as it was made last, if of the same, or as `make` makes it."""
        kept = self._files.get(path)
        if kept is None or kept[0] != made_from:
            body = as_json(make(*arguments))
            kept = self._files[path] = (made_from, body, fingerprint(body))
        return path, *kept[1:]


def _part(about: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    return {**about, **columns(rows)}


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


def word_shards(rows: Sequence[Row], words: Sequence[str]) -> Shards:
    """Return what is below `search/words/`, by file: who has a word, a further tag, a digest.

    Collections are numbers of rows; a digest also names the first of its tags.
    """
    depth = _depth(rows)
    shards: defaultdict[str, _Shard] = defaultdict(_empty)
    for n, (row, own) in enumerate(zip(rows, words, strict=True)):
        for word in {*own.splitlines()}:
            shards[shard_of(word, depth)]["words"].setdefault(word, []).append(n)
        for tag in row.tags[_MAX_TAGS:]:
            shards[shard_of(tag, depth)]["tags"].setdefault(tag, []).append(n)
        for tag, digest in zip(row.tags, row.tag_digests, strict=True):
            if digest:
                start = digest[:_DIGEST]
                shards[shard_of(start, depth)]["digests"].setdefault(start, [n, tag])
    return dict(shards)


def _empty() -> _Shard:
    return {"words": {}, "tags": {}, "digests": {}}


def _in_order(shard: _Shard) -> _Shard:
    """Return a file with its words in an order that no earlier state of the site has a part in."""
    return {**shard, "words": dict(sorted(shard["words"].items()))}


def _depth(rows: Sequence[Row]) -> int:
    """Return by how many first letters files are split."""
    return sum(len(rows) > most for most in _DEPTHS)


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
