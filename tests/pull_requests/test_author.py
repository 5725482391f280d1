"""Who proposes, by what the CI says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.pull_requests.author import find_author


@pytest.mark.parametrize(
    ("event", "author"),
    [
        (json.dumps({"pull_request": {"user": {"login": "opener"}}}), "opener"),
        (json.dumps({"pull_request": {"user": {"login": "dependabot[bot]"}}}), "dependabot[bot]"),
        (json.dumps({"pull_request": {"user": {"login": "opener,boss"}}}), "actor"),
        (json.dumps({"pull_request": {"user": {"login": 7}}}), "actor"),
        (json.dumps({"pull_request": None}), "actor"),
        (json.dumps([]), "actor"),
        ("{", "actor"),
    ],
)
def test_who_opened_it_counts_before_who_pressed_a_button(
    tmp_path: Path, event: str, author: str
) -> None:
    path = tmp_path / "event.json"
    path.write_text(event)
    environment = {"GITHUB_EVENT_PATH": str(path), "GITHUB_ACTOR": "actor"}
    assert find_author(environment) == author


def test_gitlab_and_nobody(tmp_path: Path) -> None:
    assert find_author({"GITLAB_USER_LOGIN": "anna"}) == "anna"
    assert find_author({"GITHUB_EVENT_PATH": str(tmp_path / "none")}) == ""


@contextmanager
def gitlab(body: str, token: str = "") -> Iterator[dict[str, str]]:
    """Answer for merge request 7 of project 3; yields what its pipeline's jobs are told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = not token or self.headers["Authorization"] == f"Bearer {token}"
            known = self.path == "/api/v4/projects/3/merge_requests/7"
            self.send_response(200 if allowed and known else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}/api/v4",
               "CI_MERGE_REQUEST_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "7",
               "GITLAB_USER_LOGIN": "boss"}  # fmt: skip
        server.shutdown()


@pytest.mark.parametrize(
    ("body", "author"),
    [
        ('{"author": {"username": "stranger"}}', "stranger"),
        ('{"author": {"username": "boss,association/owner"}}', ""),
        ('{"author": {"username": "x", "username": "boss"}}', ""),
        ('{"author": {"username": 7}}', ""),
        ('{"author": "boss"}', ""),
        ('{"message": "404 Not Found"}', ""),
        ("[]", ""), ("boss", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_merge_request_is_its_author_s_whoever_pressed_the_button(body: str, author: str) -> None:
    with gitlab(body) as told:
        assert find_author(told) == author


def test_a_private_project_wants_a_token() -> None:
    with gitlab('{"author": {"username": "stranger"}}', "a-secret-token") as told:
        assert find_author(told) == ""
        assert find_author({**told, "PROPOSALS_TOKEN": "another-token"}) == ""
        assert find_author({**told, "PROPOSALS_TOKEN": "a-secret-token"}) == "stranger"


@pytest.mark.parametrize(
    "told",
    [
        {"CI_API_V4_URL": "http://127.0.0.1:1/api/v4"},
        {"CI_API_V4_URL": ""},
        {"CI_API_V4_URL": "file:///etc"},
        {"CI_MERGE_REQUEST_PROJECT_ID": "3/../4"},
    ],
)
def test_nobody_proposes_what_gitlab_says_nothing_of(told: dict[str, str]) -> None:
    given = {"CI_MERGE_REQUEST_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "7",
             "CI_API_V4_URL": "", "GITLAB_USER_LOGIN": "boss", "GITHUB_ACTOR": "boss"}  # fmt: skip
    assert find_author({**given, **told}) == ""
