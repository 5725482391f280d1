"""The clocks: the one moment that editing writes down, and the one that a build goes by."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from builder.errors import UsageError

_VARIABLE = "SOURCE_DATE_EPOCH"


def epoch() -> datetime | None:
    """Return SOURCE_DATE_EPOCH as a moment in UTC, if it is set; raises UsageError for a bad one.

    Only what depends on it may ask: a slip in it must not stop other commands.
    """
    text = os.environ.get(_VARIABLE)
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{_VARIABLE}={text}: is not a number of seconds") from None


def now() -> str:
    """Return the time in UTC as ISO 8601, from SOURCE_DATE_EPOCH where that is set."""
    return (epoch() or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
