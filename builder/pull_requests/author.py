"""Who proposes: what the CI says, and never what the proposal says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

_MAX_EVENT = 32 << 20


def find_author(environment: Mapping[str, str]) -> str:
    """Return the login of a proposal's author, or the empty string.

    GitHub's event names who opened the pull request; GITHUB_ACTOR may be a
    maintainer who pressed a button on it, and is asked only where there is no
    such event. GITLAB_USER_LOGIN is who started the pipeline.
    """
    opened = _opened_by(environment.get("GITHUB_EVENT_PATH", ""))
    return opened or environment.get("GITHUB_ACTOR", "") or environment.get("GITLAB_USER_LOGIN", "")


def _opened_by(path: str) -> str:
    """Return the login that GitHub's description of an event names for a pull request."""
    if not path or not Path(path).is_file():
        return ""
    with Path(path).open("rb") as stream:
        raw = stream.read(_MAX_EVENT)
    try:
        event = json.loads(raw)
    except ValueError:
        return ""
    for key in ("pull_request", "user", "login"):
        event = event.get(key) if isinstance(event, dict) else None
    return event if isinstance(event, str) else ""
