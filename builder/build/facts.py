"""What is known of a collection that was loaded, and how the last build's record keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from builder.errors import Problem
from builder.fingerprint import KEPT, fingerprint
from builder.output import Claim
from builder.registry.model import Row
from builder.text.addresses import Anchors, Answer

COLLECTION = "collection "  # the bundle of a collection is this and its name


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rest of the site needs to know of a loaded collection.

    `elsewhere` holds digest and place of each blob that is not in the
    collection's own folder; `complete` is false when content was missing and
    the run allowed that; `stored` are the bytes of its blobs and archives on
    the site's host; `answers` are what its texts asked of the rest of the site, and
    `anchors` where links can lead in them; by `words`, each a line, a search finds it.
    """

    row: Row
    claims: tuple[Claim, ...]
    warnings: tuple[Problem, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()
    complete: bool = True
    stored: int = 0
    answers: tuple[Answer, ...] = ()
    anchors: tuple[Anchors, ...] = ()
    words: str = ""
    _text: str = field(default="", init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[Callable[[str], Facts], tuple[str]]:
        """Cross a pipe as the text that the record keeps, made once."""
        return Facts.from_text, (self.to_text(),)

    def to_text(self) -> str:
        """Return the text that the last build's record keeps: JSON, and its identity."""
        if not self._text:
            fingerprint(self.row)  # which is kept with it: lists ask for that of every row
            parts = [_values(self.row), getattr(self.row, KEPT).hex(), *_values(self)[1:]]
            text = json.dumps(parts, ensure_ascii=False)
            object.__setattr__(self, "_text", f"{fingerprint(text)} {text}")
        return self._text

    @classmethod
    def from_text(cls, text: str) -> Facts:
        """Return the facts of a record; the inverse of `to_text`.

        Raises ValueError for a text that a disk has altered.
        """
        mark, _, parts = text.partition(" ")
        if mark != fingerprint(parts):
            raise ValueError("the facts of a collection were altered")
        values, known, claims, warnings, elsewhere, complete, stored, *texts = json.loads(parts)
        answers, anchors, words = texts
        row = Row(*_frozen(values))
        object.__setattr__(row, KEPT, bytes.fromhex(known))
        facts = cls(
            row,
            tuple(Claim(*claim) for claim in claims),
            tuple(Problem(*warning) for warning in warnings),
            _frozen(elsewhere),
            complete,
            stored,
            tuple(Answer(*answer) for answer in answers),
            tuple(map(Anchors.of, anchors)),
            words,
        )
        object.__setattr__(facts, "_text", text)
        return facts


def _values(value: Any) -> list[Any]:
    items = [getattr(value, item.name) for item in fields(value) if item.init]
    return [
        [_values(part) for part in item]
        if isinstance(item, tuple) and item and isinstance(item[0], Problem)
        else item
        for item in items
    ]


def _frozen(value: list[Any]) -> tuple[Any, ...]:
    """Return a list of JSON with tuples for its lists."""
    return tuple([_frozen(item) if type(item) is list else item for item in value])


class Loaded(NamedTuple):
    """A collection as it was loaded last: its facts, and the identity of what was read."""

    facts: Facts
    load_key: str
