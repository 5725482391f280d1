"""JSON from outside, read so that every reader agrees on what it says.

Go's decoder folds the case of keys and takes the last of two equal ones,
Python's takes floats for integers: a document that two readers could
understand differently is refused here.
"""

from __future__ import annotations

import json
from typing import Any

from builder.errors import BuilderError

MAX_BYTES = 4 << 20  # what registries accept for a manifest, at the least
MAX_DEPTH = 64
_MAX_INTEGER = 2**63 - 1


class StrictJSONError(BuilderError):
    """The bytes are not JSON that every reader understands alike."""


def loads(raw: bytes, *, what: str = "document", limit: int = MAX_BYTES) -> Any:
    """Return the value of `raw`, UTF-8 JSON of at most `limit` bytes.

    Raises StrictJSONError for: another encoding, a byte order mark, trailing
    bytes, duplicate keys (also when they differ only by case), NaN, integers
    beyond 64 bits, lone surrogates, nesting deeper than 64.
    """
    if len(raw) > limit:
        raise StrictJSONError(f"{what} is {len(raw)} bytes, over the limit of {limit}")
    try:
        text = raw.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
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
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len({key.casefold() for key in result}) == len(pairs):
        return result
    seen: dict[str, str] = {}
    for key, _ in pairs:
        other = seen.setdefault(key.casefold(), key)
        if other != key:
            raise StrictJSONError(f"keys {other!r} and {key!r} differ only by case")
    keys = [key for key, _ in pairs]
    twice = next(key for key in keys if keys.count(key) > 1)
    raise StrictJSONError(f"duplicate key {twice!r}")


def _refuse_constant(name: str) -> Any:
    raise StrictJSONError(f"{name} is not JSON")


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
