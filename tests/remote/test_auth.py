"""Challenges, tokens, and who is told what we have to be let in."""

from __future__ import annotations

import base64
import json
import tracemalloc
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from builder.cli import run
from builder.errors import RemoteError
from builder.remote.auth import Challenge, parse_challenges
from builder.remote.options import RemoteOptions
from builder.remote.registry import RegistryClient, Repository
from tests.images import Image
from tests.remote.hostile import NAME, Behaviour, Server, big_image, hostile

REALM = 'Bearer realm="http://127.0.0.1:{port}/token"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ('Bearer realm="r",service="s"', [("bearer", {"realm": "r", "service": "s"})]),
        ("bearer REALM=r , Service = s", [("bearer", {"realm": "r", "service": "s"})]),
        ('Basic realm="a, b"', [("basic", {"realm": "a, b"})]),
        (r'Basic realm="a \"b\" \\ c"', [("basic", {"realm": 'a "b" \\ c'})]),
        ("Negotiate, Basic", [("negotiate", {}), ("basic", {})]),
        (
            'Basic realm="x", Bearer realm="y",scope="a:b:pull,push"',
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "scope": "a:b:pull,push"})],
        ),
        ('Bearer realm="open', [("bearer", {"realm": "open"})]),
        ("realm=x", []),
        ("Bearer realm=x, realm=y", [("bearer", {"realm": "x"})]),
        (",,,", []),
        ('"', [('"', {})]),
    ],
)
def test_challenges(text: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(text) == [Challenge(*item) for item in expected]


def test_a_challenge_of_a_megabyte_is_refused_unread() -> None:
    with pytest.raises(RemoteError, match="1000000 characters"):
        parse_challenges('Bearer realm="' + "a" * (1_000_000 - 14))


def log_in(home: Path, server: Server, **entry: str) -> None:
    (home / ".docker").mkdir()
    auths = {f"127.0.0.1:{server.server_address[1]}": entry}
    (home / ".docker/config.json").write_text(json.dumps({"auths": auths}))


def repository(server: Server) -> Repository:
    host = f"127.0.0.1:{server.server_address[1]}"
    return RegistryClient(host, RemoteOptions()).repository(NAME)


def token_requests(server: Server) -> list[dict[str, list[str]]]:
    paths = server.log.paths()
    return [parse_qs(path.partition("?")[2]) for path in paths if path.startswith("/token")]


def test_what_a_token_is_asked_with(home: Path) -> None:
    scope = "repository:mapped/name:pull"
    with hostile(Behaviour(auth=f'{REALM},service="s v",scope="{scope}"')) as server:
        log_in(home, server, username="me", password="hunter22")
        repository(server).manifest("latest")
        (asked,) = token_requests(server)
    assert asked == {"service": ["s v"], "scope": [f"repository:{NAME}:pull", scope],
                     "account": ["me"]}  # fmt: skip


def test_one_token_serves_all_that_it_allows() -> None:
    with hostile(Behaviour(auth=REALM)) as server:
        there = repository(server)
        descriptor, _ = there.manifest("latest")
        assert list(there.tags()) == ["latest"]
        assert there.head("latest") == descriptor
        assert len(token_requests(server)) == 1


@pytest.mark.parametrize(
    "token",
    [
        b'{"token": "%s"}',
        b'{"access_token": "%s"}',
        b'{"token": "", "access_token": "%s", "expires_in": "soon"}',
        b'{"token": "%s", "expires_in": 999999999999999999, "issued_at": "never"}',
        b'{"token": "%s", "expires_in": -5}',
    ],
)
def test_tokens(token: bytes) -> None:
    with hostile(Behaviour(auth=REALM, token=token)) as server:
        repository(server).manifest("latest")


def test_a_token_that_ends_on_the_way(greeting: Path) -> None:
    """Every third request finds that its token has just ended."""
    behaviour = Behaviour(auth=REALM, token_uses=3, cut_after=40_000, cuts=4)
    with hostile(behaviour) as server:
        there = f"docker://127.0.0.1:{server.server_address[1]}/{NAME}:latest"
        assert run(["add", "-q", "-s", str(greeting), there, "x/y:1"]) == 0
        assert len(token_requests(server)) > 1


def test_a_short_life_is_believed() -> None:
    """A token is not used once it must have ended, as far as we were told."""
    token = b'{"token": "%s", "expires_in": 1}'
    with hostile(Behaviour(auth=REALM, token=token)) as server:
        there = repository(server)
        there.manifest("latest")
        authoriser = there._authoriser
        scopes = (f"repository:{NAME}:pull",)
        text, _ = authoriser._tokens[scopes]
        authoriser._tokens[scopes] = text, 0.0
        assert authoriser.header(scopes) == {}
        there.manifest("latest")
        assert len(token_requests(server)) == 2


def test_an_identity_token_is_traded_in(home: Path) -> None:
    with hostile(Behaviour(auth=f"{REALM},service=s")) as server:
        auth = base64.b64encode(b"me:").decode()
        log_in(home, server, auth=auth, identitytoken="identity")
        repository(server).manifest("latest")
        (body,) = server.log.bodies
    form = parse_qs(body.decode())
    assert form["grant_type"] == ["refresh_token"]
    assert form["refresh_token"] == ["identity"]
    assert form["scope"] == [f"repository:{NAME}:pull"]
    assert form["service"] == ["s"]
    assert {auth for _, path, auth in server.log.requests if path == "/token"} == {""}


def test_an_identity_token_is_sent_nowhere_else(home: Path, other: Server) -> None:
    elsewhere = f"http://127.0.0.1:{other.server_address[1]}/token"
    with hostile(Behaviour(auth=REALM, token_redirect=elsewhere)) as server:
        log_in(home, server, identitytoken="identity")
        with pytest.raises(RemoteError, match="sends what is for it to"):
            repository(server).manifest("latest")
    assert other.log.requests == []


def test_only_the_registry_is_told_who_we_are(home: Path, other: Server) -> None:
    """Where it redirects to may ask for our login, and does not get it."""
    other.behaviour.auth = REALM
    elsewhere = f"http://127.0.0.1:{other.server_address[1]}/v2/{NAME}/manifests/latest"
    with hostile(Behaviour(manifest_redirect=elsewhere)) as server:
        log_in(home, server, username="me", password="hunter22")
        with pytest.raises(RemoteError, match="401"):
            repository(server).manifest("latest")
    assert token_requests(other) == []
    assert {auth for _, _, auth in other.log.requests} == {""}


@pytest.mark.parametrize("scheme", ["Basic realm=x", 'Bearer realm="http://127.0.0.1:{port}/no"'])
def test_refused_again_and_again(scheme: str, home: Path) -> None:
    with hostile(Behaviour(auth=scheme, token=b'{"token": "never-right"}')) as server:
        log_in(home, server, username="me", password="hunter22")
        with pytest.raises(RemoteError) as caught:
            repository(server).manifest("latest")
        assert len(server.log.requests) < 8
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("login", [{}, {"username": "me", "password": "hunter22"}])
def test_what_a_server_says_back_is_not_shown(login: dict[str, str], home: Path) -> None:
    with hostile(Behaviour(auth=REALM, echo=True)) as server:
        log_in(home, server, **login)
        with pytest.raises(RemoteError) as caught:
            repository(server).manifest("latest")
    assert "you are Bearer ***" in str(caught.value)
    assert "sesam" not in str(caught.value)


def test_a_huge_token_answer_is_not_kept() -> None:
    with hostile(Behaviour(auth=REALM, token_padding=50_000_000)) as server:
        there = repository(server)
        tracemalloc.start()
        with pytest.raises(RemoteError, match="token"):
            there.manifest("latest")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 10 << 20


def test_a_redirect_keeps_a_token_on_its_own_server() -> None:
    behaviour = Behaviour(auth=REALM, image=big_image(b"x" * 5000))
    behaviour.blob_redirect = "/elsewhere"
    with hostile(behaviour) as server:
        there = repository(server)
        there.manifest("latest")
        digest = max(behaviour.image.blobs, key=lambda key: len(behaviour.image.blobs[key]))
        with there.request("GET", f"blobs/{digest}") as answer:
            assert answer.read() == behaviour.image.blobs[digest]
    assert server.log.requests[-1][1:] == ("/elsewhere", "Bearer sesame")


def test_what_is_there_without_a_login() -> None:
    with hostile(Behaviour(image=Image.of("free"))) as server:
        _, raw = repository(server).manifest("latest")
        assert {auth for _, _, auth in server.log.requests} == {""}
    assert raw == Image.of("free").manifest
