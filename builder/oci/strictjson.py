"""JSON from outside, read so that every reader agrees on what it says.

Go's decoder folds the case of keys and takes the last of two equal ones,
Python's takes floats for integers: a document that two readers could
understand differently is refused here.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

from builder.errors import BuilderError

MAX_BYTES = 4 << 20  # what registries accept for a manifest, at the least
MAX_DEPTH = 64
_MAX_INTEGER = 2**63 - 1
# Objects whose keys are the author's own, which no reader folds.
_OWN_KEYS = frozenset({"annotations", "Labels", "ExposedPorts", "Volumes"})


class StrictJSONError(BuilderError):
    """The bytes are not JSON that every reader understands alike."""


class Shape:
    """The keys of an object that readers know; `inner` are those whose values have a shape.

    A list of objects has the shape of each.
    """

    def __init__(self, *keys: str, **inner: Shape) -> None:
        self.inner = inner
        self.keys = frozenset((*keys, *inner))
        self._folded = {key.casefold(): key for key in self.keys}

    def misspelt(self, value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
        """Yield the JSON pointers of keys that differ by case alone from a known one, with it."""
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from self.misspelt(item, f"{pointer}/{number}")
        elif isinstance(value, dict):
            for key in value.keys() - self.keys:
                if (known := self._folded.get(key.casefold())) is not None:
                    yield f"{pointer}/{key}", known
            for key in self.inner.keys() & value.keys():
                yield from self.inner[key].misspelt(value[key], f"{pointer}/{key}")


def loads(
    raw: bytes, *, what: str = "document", limit: int = MAX_BYTES, shape: Shape | None = None
) -> Any:
    """Return the value of `raw`, UTF-8 JSON of at most `limit` bytes.

    `shape` are the keys that readers know. Raises StrictJSONError for:
    another encoding, a byte order mark, trailing bytes, duplicate keys (also
    when they, or one of `shape`, differ only by case), numbers that JSON does
    not have, integers beyond 64 bits, lone surrogates, nesting deeper than 64.
    """
    if len(raw) > limit:
        raise StrictJSONError(f"{what} is {len(raw)} bytes, over the limit of {limit}")
    if raw.startswith(codecs.BOM_UTF8):
        raise StrictJSONError(f"{what} is not JSON: it begins with a byte order mark (line 1)")
    clashes: list[object] = []
    try:
        text = raw.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=partial(_object, clashes),
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        raise StrictJSONError(f"{what} is not UTF-8 JSON: byte {error.start}") from None
    except json.JSONDecodeError as error:
        kind = "extra data after the JSON value" if error.msg == "Extra data" else error.msg
        raise StrictJSONError(f"{what} is not JSON: {kind} (line {error.lineno})") from None
    except RecursionError:
        raise StrictJSONError(f"{what} is nested deeper than {MAX_DEPTH}") from None
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check_depth(value, what)
    if b"\\ud" in raw.lower():
        _check_surrogates(value, what)
    for one, other in _folding(value) if clashes else ():
        raise StrictJSONError(f"keys {one!r} and {other!r} differ only by case")
    for pointer, known in sorted(shape.misspelt(value)) if shape else ():
        raise StrictJSONError(
            f"{pointer}: differs only by case from {known!r}, which some clients take it for"
        )
    return value


def _object(clashes: list[object], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len({key.casefold() for key in result}) == len(pairs):
        return result
    if len(result) == len(pairs):  # whether it matters, only its place in the document tells
        clashes.append(result)
        return result
    keys = [key for key, _ in pairs]
    twice = next(key for key in keys if keys.count(key) > 1)
    raise StrictJSONError(f"duplicate key {twice!r}")


def _folding(value: Any) -> Iterator[tuple[str, str]]:
    """Yield two keys of one object that differ by case alone, where readers fold keys."""
    stack = [value]
    while stack:
        item = stack.pop()
        if not isinstance(item, dict):
            stack += item if isinstance(item, list) else ()
            continue
        if len({key.casefold() for key in item}) != len(item):
            seen: dict[str, str] = {}
            for key in item:
                if (other := seen.setdefault(key.casefold(), key)) != key:
                    yield other, key
        for key, child in item.items():
            if not (key in _OWN_KEYS and isinstance(child, dict)):
                stack.append(child)


def _refuse_constant(name: str) -> Any:
    raise StrictJSONError(f"{name} is not JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise StrictJSONError(f"the number {digits[:24]} is out of range")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > _MAX_INTEGER:
        raise StrictJSONError(f"integer {digits[:24]}... is out of range")
    return int(digits)


def _check_depth(value: Any, what: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise StrictJSONError(f"{what} is nested deeper than {MAX_DEPTH}")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_surrogates(value: Any, what: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise StrictJSONError(f"{what} holds half of a surrogate pair") from None
