"""Who proposes: what the CI says, and never what the proposal says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from builder.errors import BuilderError, conceal
from builder.oci.strictjson import MAX_BYTES, StrictJSONError, loads
from builder.remote.http import Http, Request
from builder.remote.options import RemoteOptions

_MAX_EVENT = 32 << 20
_NUMBER = re.compile(r"[0-9]{1,20}")
_LOGIN = re.compile(r"[A-Za-z0-9_.-]{1,255}(\[bot\])?")  # a comma would make two of it


def find_author(environment: Mapping[str, str]) -> str:
    """Return the login of a proposal's author, or the empty string.

    GitHub's event names who opened the pull request; GITHUB_ACTOR may be a
    maintainer who pressed a button on it, and is asked only where there is no
    such event. GITLAB_USER_LOGIN is who started the pipeline; of a merge
    request GitLab's API names the author, or nobody does.
    """
    if environment.get("CI_MERGE_REQUEST_IID"):
        return _merge_request_author(environment)
    opened = _opened_by(environment.get("GITHUB_EVENT_PATH", ""))
    return opened or environment.get("GITHUB_ACTOR", "") or environment.get("GITLAB_USER_LOGIN", "")


def _merge_request_author(environment: Mapping[str, str]) -> str:
    """Ask GitLab's API whose a merge request is; a private project's wants PROPOSALS_TOKEN.

    Source: https://docs.gitlab.com/api/merge_requests/#get-single-mr
    """
    project, number = (
        environment.get(f"CI_MERGE_REQUEST_{key}", "") for key in ("PROJECT_ID", "IID")
    )
    if not (_NUMBER.fullmatch(project) and _NUMBER.fullmatch(number)):
        return ""
    url = f"{environment.get('CI_API_V4_URL', '')}/projects/{project}/merge_requests/{number}"
    token = environment.get("PROPOSALS_TOKEN", "")
    conceal(token)
    secrets = {"Authorization": f"Bearer {token}"} if token else {}
    client, parts = Http(RemoteOptions()), urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and client.allows_plain(parts.hostname or "")
    ):
        return ""
    client.trust(url)
    try:
        with client.send(Request("GET", url, {}, secrets)) as answer:
            found = loads(answer.read(MAX_BYTES), what=url) if answer.status == 200 else {}
        login = found["author"]["username"]
    except (BuilderError, StrictJSONError, KeyError, TypeError):
        return ""
    return _login(login)


def _login(value: object) -> str:
    return value if isinstance(value, str) and _LOGIN.fullmatch(value) else ""


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
    return _login(event)
