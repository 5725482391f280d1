"""Logins that docker and podman have kept: where they are found, and what is wrong with some."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from builder.errors import LocalError
from builder.remote.credentials import DOCKER_HUB, NOBODY, Credentials, find_credentials

ME = Credentials("me", "secret")
HOST = "registry.example"


def login(user: str = "me", word: str = "secret") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{word}".encode()).decode()}


def found(folder: Path, document: Any, host: str = HOST, name: str = "team/app") -> Credentials:
    path = folder / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return find_credentials(host, name, {"DOCKER_CONFIG": str(folder)})


@pytest.mark.parametrize(
    ("auths", "expected"),
    [
        ({HOST: login()}, ME),
        ({HOST: {"username": "me", "password": "secret"}}, ME),
        ({HOST: login(word="a:b")}, Credentials("me", "a:b")),
        ({HOST: login(word="secret\0\0")}, ME),
        ({f"https://{HOST}/v1/": login()}, ME),
        ({f"https://{HOST}": login()}, ME),
        ({HOST: login("x"), f"{HOST}/team": login()}, ME),
        ({f"{HOST}/team": login("x"), f"{HOST}/team/app": login()}, ME),
        ({f"{HOST}/tea": login("x"), f"{HOST}/team/app/more": login("x"), HOST: login()}, ME),
        ({HOST: {**login("me", ""), "identitytoken": "it"}}, Credentials("me", "", "it")),
        ({HOST: {}}, NOBODY),
        ({HOST: 7}, NOBODY),
        ({f"x{HOST}": login()}, NOBODY),
        ({f"{HOST}:5000": login()}, NOBODY),
        ([], NOBODY),
    ],
)
def test_auths(auths: Any, expected: Credentials, tmp_path: Path) -> None:
    assert found(tmp_path, {"auths": auths}) == expected


@pytest.mark.parametrize("key", ["docker.io", DOCKER_HUB, "index.docker.io", "docker.io/library"])
def test_the_default_registry(key: str, tmp_path: Path) -> None:
    assert found(tmp_path, {"auths": {key: login()}}, "docker.io", "library/alpine") == ME


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("[" * 100_000, "is not JSON"),
        (json.dumps({"auths": {HOST: {"auth": "%%%"}}}), "is damaged"),
        (json.dumps({"credHelpers": {HOST: "../evil"}}), "is not a name of a credential helper"),
        (json.dumps({"credHelpers": {HOST: "absent-here"}}), "is not installed"),
    ],
)
def test_files_that_are_wrong(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=message):
        found(tmp_path, text)


def test_the_first_file_with_a_login_counts(tmp_path: Path) -> None:
    places = {
        "REGISTRY_AUTH_FILE": "given.json",
        "XDG_RUNTIME_DIR": "run/containers/auth.json",
        "HOME": ".config/containers/auth.json",
        "DOCKER_CONFIG": "docker/config.json",
    }
    environment = {
        "REGISTRY_AUTH_FILE": str(tmp_path / "given.json"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "HOME": str(tmp_path),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }
    for name, place in reversed(places.items()):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"auths": {HOST: login(name)}}))
        assert find_credentials(HOST, "x", environment).user == name
    assert find_credentials(HOST, "x", {}) == NOBODY


def helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


ANSWER = """test "$1" = get && read key && printf '{"Username":"%s","Secret":"secret"}' "$key" """


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (ANSWER, Credentials(HOST, "secret")),
        ("""echo '{"Username":"<token>","Secret":"it"}'""", Credentials("", "", "it")),
        ("echo 'credentials not found in native keychain'; exit 1", NOBODY),
    ],
)
@pytest.mark.parametrize("by", ["credHelpers", "credsStore"])
def test_helpers(
    by: str, script: str, expected: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, f"cat > {tmp_path}/key; echo >> {tmp_path}/key\n"
           f"exec < {tmp_path}/key\n{script}")  # fmt: skip
    document: dict[str, Any] = {"auths": {HOST: {}}, by: "test"}
    if by == "credHelpers":
        document[by] = {HOST: "test"}
    assert found(tmp_path, document) == expected


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo the keychain is locked; exit 1", "the keychain is locked"),
        ("echo nonsense", "not a login"),
        ("echo '[]'", "not a login"),
        ("exit 3", "failed"),
    ],
)
def test_helpers_that_fail(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, f"cat > /dev/null; {script}")
    with pytest.raises(LocalError, match=message):
        found(tmp_path, {"credsStore": "test"})


def test_a_helper_that_is_gone_is_no_login(tmp_path: Path) -> None:
    assert found(tmp_path, {"auths": {HOST: {}}, "credsStore": "absent-here"}) == NOBODY


def test_no_secret_is_shown_by_mistake() -> None:
    login = Credentials("me", "secret-word", "identity")
    assert {"secret-word", "identity", login.basic[6:]} == set(login.secrets())
