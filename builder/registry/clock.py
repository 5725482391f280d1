"""The one moment that editing a registry writes down."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from builder.errors import UsageError


def now() -> str:
    """Return the time in UTC as ISO 8601, from SOURCE_DATE_EPOCH where that is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        moment = datetime.now(UTC)
    else:
        try:
            moment = datetime.fromtimestamp(int(epoch), UTC)
        except (ValueError, OverflowError, OSError):
            raise UsageError(f"SOURCE_DATE_EPOCH={epoch}: is not a number of seconds") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
