"""Functions that remember their last result: one who builds again and again asks for it anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def latest(function: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """Return what `function` returned, if its arguments equal those of the last call.

    That is for arguments that do not change, and are the same for all purposes when they are
    equal: no front matter or data, where 1 equals `true`.
    """
    known: list[Any] = []

    @wraps(function)
    def remembering(*given: _Given.args, **named: _Given.kwargs) -> _Found:
        if not known or known[0] != (given, named):
            known[:] = (given, named), function(*given, **named)
        found: _Found = known[1]
        return found

    return remembering
