"""How fast machines may be asked: what a busy one says is kept by all threads that ask it.

Source: RFC 9110, section 10.2.3 (`Retry-After`); draft-ietf-httpapi-ratelimit-headers, in its
older form of three headers and its newer one of a single `RateLimit`, and the `X-` names before it.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable

LONGEST_PAUSE = 60.0
_EPOCH_FROM = 10**9  # a reset so large is a moment, not a number of seconds
_LEFT = re.compile(r"(?:^|[;,\s])(?:r|remaining)=(\d{1,12})")
_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)=(\d{1,12})")
_NUMBER = re.compile(r"\s*(\d{1,12})\s*(?:$|[;,.])")

Header = Callable[[str], str]  # given a header's name, returns its value or the empty string


class Pace:
    """Until when each host wants to be left alone; `pause` waits for some seconds."""

    def __init__(self, pause: Callable[[float], None]) -> None:
        self._pause = pause
        self._until: dict[str, float] = {}

    def wait(self, host: str) -> None:
        """Wait until a host may be asked."""
        left = self._until.get(host, 0.0) - time.monotonic()
        if left > 0:
            self._pause(left)

    def learn(self, host: str, header: Header, *, is_busy: bool) -> bool:
        """Note what an answer says; tell whether a busy host says how long it is that.

        One that is not busy yet counts when its limit is used up.
        """
        seconds = retry_after(header("Retry-After")) if is_busy else None
        left, reset = _limit(header)
        if seconds is None and (is_busy or left == 0):
            seconds = reset
        if seconds is not None:
            self._until[host] = time.monotonic() + seconds
        return seconds is not None


def retry_after(text: str) -> float | None:
    """Return the seconds a server asks us to wait, at most a minute; None when it does not say."""
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_PAUSE)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return _until(moment)


def _until(moment: float) -> float:
    return min(max(moment - time.time(), 0.0), LONGEST_PAUSE)


def _limit(header: Header) -> tuple[int | None, float | None]:
    """Return how many requests are left, and the seconds until there are more, where it says so."""
    said = header("RateLimit")
    left, reset = _LEFT.search(said), _RESET.search(said)
    for before in ("", "X-"):
        left = left or _NUMBER.match(header(f"{before}RateLimit-Remaining"))
        reset = reset or _NUMBER.match(header(f"{before}RateLimit-Reset"))
    seconds = int(reset[1]) if reset else None
    if seconds is not None and seconds >= _EPOCH_FROM:
        return (int(left[1]) if left else None), _until(seconds)
    return (
        int(left[1]) if left else None,
        None if seconds is None else min(float(seconds), LONGEST_PAUSE),
    )
