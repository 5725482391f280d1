"""The identity of a value: what is made from equal values need not be made again.

The whole value is walked, every field of every dataclass in it: nothing that a
page is given can be left out by mistake, and a value of a type that is not
known here is refused instead of being identified by its address or its `repr`.
Two values share an identity only when their types and all their parts are
equal; it is the same in every process, on every machine and with every hash
seed. The order of a mapping counts, as templates see it; that of a set does not.
What makes a part of a page later says with `made_from()` what it will make it of.
"""

from __future__ import annotations

import marshal
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache, partial
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path, PurePath
from types import FunctionType, MappingProxyType
from typing import Any

KEPT = "_identity"  # a field of values that stand in many others: their identity, once known
_LEAVES = frozenset({str, int, bool, float, bytes, type(None)})
_VERSION = 2  # of marshal's format: the last in which equal values always have equal bytes

_Walk = Callable[[Any], Any]


@cache
def code_key() -> str:
    """Return an identity of this code: what it makes of equal values may change with it.

    The number of the version is no part: in a registry that was forked, each commit has another.
    """
    total = blake2b(digest_size=12)
    package = Path(__file__).parent
    for path in sorted({*package.rglob("*.py")} - {package / "_version.py"}):
        total.update(path.read_bytes())
    return total.hexdigest()


@cache
def software_key() -> str:
    """Return an identity of this code and of all that it runs on, for machines that work together.

    That is Python's version, and those of the libraries that the package needs.
    """
    from importlib import metadata  # noqa: PLC0415 - 30 ms, and one machine alone has no use for it

    found = []
    with suppress(metadata.PackageNotFoundError):
        for text in metadata.requires("static-container-registry") or ():
            name = re.split(r"[^\w.-]", text)[0]
            if "extra ==" not in text:
                with suppress(metadata.PackageNotFoundError):
                    found.append((name, metadata.version(name)))
    return fingerprint(code_key(), sys.version_info[:2], found)


def fingerprint(*parts: object) -> str:
    """Return the identity of `parts`: 32 hexadecimal digits.

    Raises TypeError for a value, anywhere inside, that has no identity.
    """
    return _digest(parts).hex()


def _digest(value: object) -> bytes:
    return blake2b(marshal.dumps(_plain(value), _VERSION), digest_size=16).digest()


def _plain(value: Any) -> Any:
    """Return `value` in types that marshal writes, each other type marked by `...` and its name."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    walk = _WALKS.get(kind)
    if walk is None:
        walk = _WALKS[kind] = _walk_of(kind)
    return walk(value)


def _list(value: Any) -> Any:
    if _LEAVES.issuperset(map(type, value)):
        return value
    return [item if type(item) in _LEAVES else _plain(item) for item in value]


def _tuple(value: Any) -> Any:
    if type(value) is tuple and _LEAVES.issuperset(map(type, value)):
        return value
    return tuple([item if type(item) in _LEAVES else _plain(item) for item in value])


def _dict(value: Any) -> Any:
    return {
        key if type(key) is str else _plain(key): item if type(item) in _LEAVES else _plain(item)
        for key, item in value.items()
    }


def _set(value: Any) -> Any:
    return (..., "set", *sorted(map(_digest, value)))


def _call(value: Any) -> Any:
    return (..., "call", _plain(value.func), _tuple(value.args), _dict(value.keywords))


def _function(value: Any) -> Any:
    if value.__closure__ is not None:
        raise TypeError(f"{value.__qualname__} has no identity: it carries values of its own")
    return (..., "function", value.__module__, value.__qualname__)


_WALKS: dict[type, _Walk] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    MappingProxyType: _dict,
    set: _set,
    frozenset: _set,
    partial: _call,
    FunctionType: _function,
}


def _walk_of(kind: type) -> _Walk:
    """Return how values of a type that was not met before are walked."""
    mark = (..., f"{kind.__module__}.{kind.__qualname__}")
    for base, take in _KINDS.items():
        if issubclass(kind, base):
            return lambda value: (*mark, take(value))
    if hasattr(kind, "made_from"):
        return lambda value: (*mark, _plain(value.made_from()))
    if not is_dataclass(kind):
        raise TypeError(f"a value of {mark[1]} has no identity")
    names = tuple(item.name for item in fields(kind) if item.name != KEPT)

    one = attrgetter(*names)
    parts = one if len(names) > 1 else lambda value: (one(value),)
    whole = _LEAVES.issuperset

    def walk(value: Any) -> Any:
        found = parts(value)
        if whole(map(type, found)):
            return (*mark, *found)
        return (*mark, *[item if type(item) in _LEAVES else _plain(item) for item in found])

    def kept(value: Any) -> Any:
        known = getattr(value, KEPT)
        if not known:
            known = blake2b(marshal.dumps(walk(value), _VERSION), digest_size=16).digest()
            object.__setattr__(value, KEPT, known)
        return (*mark, known)

    return kept if hasattr(kind, KEPT) else walk


_KINDS: dict[type, _Walk] = {
    Enum: attrgetter("name"),
    str: str.__str__,
    tuple: _tuple,
    PurePath: str,
    datetime: datetime.isoformat,
    date: date.isoformat,
}
