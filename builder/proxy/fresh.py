"""Values that are believed for a while, then asked for again.

Many that ask for one at once are one question. What cannot be asked for now
is what it was; that it failed is believed for a while too, so that a site
that is down does not keep everybody waiting in turn.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from builder.errors import RemoteError

FRESH = 5.0  # seconds
Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values that were used last, of so many `limit` units of weight together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._weight = 0
        self._guard = threading.Lock()

    def get(self, key: str) -> Value | None:
        """Return a value that is still here."""
        with self._guard:
            if (found := self._values.get(key)) is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: str, value: Value, weight: int = 1) -> None:
        """Keep a value, and forget those that were used longest ago."""
        with self._guard:
            self._weight += weight - self._values.pop(key, (value, 0))[1]
            self._values[key] = (value, weight)
            while self._weight > self._limit and len(self._values) > 1:
                self._weight -= self._values.popitem(last=False)[1][1]


@dataclass(frozen=True, slots=True)
class _Seen(Generic[Value]):
    until: float
    value: Value | None = None
    error: RemoteError | None = None


class Fresh(Generic[Value]):
    """Values by key. `ask` finds one, given the last; `weigh` says what keeping it costs."""

    def __init__(
        self,
        ask: Callable[[str, Value | None], Value | None],
        weigh: Callable[[Value], int],
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._weigh = weigh
        self._clock = clock
        self._seen: Recent[_Seen[Value]] = Recent(limit)
        self._locks = [threading.Lock() for _ in range(256)]

    def get(self, key: str) -> Value | None:
        """Return the value of a key; None when there is none. Raises RemoteError."""
        with self._locks[hash(key) % len(self._locks)]:
            seen = self._seen.get(key)
            if seen is None or self._clock() >= seen.until:
                seen = self._asked(key, seen.value if seen else None)
                weight = self._weigh(seen.value) if seen.value is not None else 0
                self._seen.put(key, seen, weight + 1000)
        if seen.error is not None:
            raise seen.error.with_traceback(None)
        return seen.value

    def _asked(self, key: str, last: Value | None) -> _Seen[Value]:
        value, failure = last, None
        try:
            value = self._ask(key, last)
        except RemoteError as error:
            failure = error if last is None else None
        return _Seen(self._clock() + FRESH, value, failure)
