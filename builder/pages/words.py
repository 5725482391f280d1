"""The words that a collection can be found by, beside those that every list shows."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MAX_WORDS, _MAX_WORD = 100, 32  # of one collection, and characters of one
_MAX_READ = 64 << 10  # characters
_URL = re.compile(r"\b\w+://\S+|\]\([^)\s]*")
_WORD = re.compile(r"[^\W_]+(?:[-_][^\W_]+)*")
_DASH = re.compile("[-_]")
_MAX_NAMES, _MAX_NAME = 30, 80  # of labels, and characters of one
_USUAL_NAMES = ("org.opencontainers.image.", "org.label-schema.")  # search.js leaves them away, too
# What says nothing of what it stands in.
_COMMON = frozenset({
    "an", "and", "any", "are", "as", "at", "be", "but", "by", "can", "do", "for", "from", "has",
    "have", "how", "if", "in", "into", "is", "it", "its", "more", "no", "not", "of", "on", "one",
    "only", "or", "our", "so", "such", "than", "that", "the", "their", "then", "there", "these",
    "they", "this", "to", "up", "use", "used", "uses", "using", "was", "we", "what", "when",
    "where", "which", "will", "with", "you", "your",
})  # fmt: skip


def plain(text: str) -> str:
    """Return `text` as it is compared: `My-Tool`, `my_tool` and `mytool` are equal."""
    return _DASH.sub("", text.lower())


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, ended after a whole word."""
    if len(text) <= limit:
        return text
    start, space, _ = text[:limit].rpartition(" ")
    return f"{(start if space else text[: limit - 1]).rstrip(' ,;:.')}…"


def search_words(texts: Iterable[str], known: str) -> tuple[str, ...]:
    """Return the first words of `texts`, each once, without those that `known` has."""
    seen = _COMMON.union(_words(known))
    found: dict[str, None] = {}
    for text in texts:
        for word in _words(_URL.sub(" ", text[:_MAX_READ])):
            if word not in seen:
                found[word] = None
        if len(found) >= _MAX_WORDS:
            break
    return tuple(found)[:_MAX_WORDS]


def whole_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the first of the dotted names of labels as they are compared.

    But for those that most images have: of these the last part is a word like others.
    """
    found = (plain(name) for name in labels if "." in name and not name.startswith(_USUAL_NAMES))
    return tuple(dict.fromkeys(name for name in found if len(name) <= _MAX_NAME))[:_MAX_NAMES]


def _words(text: str) -> list[str]:
    """Return the words of a text as they are compared, those with a dash also part by part."""
    found: list[str] = []
    for word in dict.fromkeys(_WORD.findall(text.lower())):
        if "-" in word or "_" in word:
            parts = _DASH.split(word)
            found += ("".join(parts), *parts)
        else:
            found.append(word)
    return [word for word in found if 1 < len(word) <= _MAX_WORD]
