"""How long a busy server is left alone, by all the headers that say it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from builder.remote.http import Http, Request
from builder.remote.options import RemoteOptions
from builder.remote.pace import Pace
from tests.remote.hostile import NAME, Behaviour, hostile


@pytest.mark.parametrize(
    ("headers", "is_busy", "expected"),
    [
        ({"Retry-After": "7"}, True, 7),
        ({"Retry-After": "7"}, False, None),
        ({"Retry-After": "999999999999"}, True, 60),
        ({"Retry-After": "soon"}, True, None),
        ({"Retry-After": "7", "RateLimit-Reset": "30"}, True, 7),
        ({"RateLimit-Reset": "30"}, True, 30),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, False, 30),
        ({"RateLimit-Remaining": "1", "RateLimit-Reset": "30"}, False, None),
        ({"RateLimit-Remaining": "0;w=21600"}, False, None),
        ({"RateLimit": "limit=100, remaining=0, reset=50"}, False, 50),
        ({"RateLimit": '"default";r=0;t=20'}, False, 20),
        ({"RateLimit": '"default";r=3;t=20'}, False, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"}, False, 60),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(10**9)}, False, 0),
        ({"RateLimit": "remaining=-1, reset=x" * 1000}, True, None),
        ({}, True, None),
    ],
)  # fmt: skip
def test_what_an_answer_says(
    headers: Mapping[str, str], *, is_busy: bool, expected: float | None
) -> None:
    pauses: list[float] = []
    pace = Pace(pauses.append)
    said = pace.learn("host", lambda name: headers.get(name, ""), is_busy=is_busy)
    assert said == (expected is not None)
    pace.wait("host")
    pace.wait("other")
    assert pauses == pytest.approx([expected] if expected else [], abs=2)


def test_all_who_ask_wait() -> None:
    pauses: list[float] = []
    with hostile(Behaviour(statuses=[429], retry_after="9")) as server:
        http = Http(RemoteOptions(), pause=pauses.append)
        url = f"http://127.0.0.1:{server.server_address[1]}/v2/{NAME}/manifests/latest"
        http.trust(url)
        for _ in range(2):
            with http.send(Request("GET", url, {}, {})) as answer:
                assert answer.status == 200
    assert pauses == pytest.approx([9, 9], abs=2)
