"""User names and passwords that docker's and podman's logins have kept.

Sources: docker's `config.json` (auths, credsStore, credHelpers) and its
credential helpers' protocol; containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import LocalError

DOCKER_HUB = "https://index.docker.io/v1/"
_HELPER_SECONDS = 30
_MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name with its password, or an identity token, which stands for both."""

    user: str = ""
    password: str = ""
    identity_token: str = ""

    @property
    def basic(self) -> str:
        """The value of an Authorization header, or empty where there is no password."""
        if not self.user and not self.password:
            return ""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def secrets(self) -> Iterator[str]:
        """Yield the texts that no message may show."""
        for text in (self.password, self.identity_token, self.basic.removeprefix("Basic ")):
            if len(text) > 3:
                yield text


NOBODY = Credentials()


def find_credentials(
    host: str, name: str, environment: Mapping[str, str] | None = None
) -> Credentials:
    """Return the credentials for a repository, the most specific first; `NOBODY` for none.

    `host` is what clients write, `docker.io` for the default registry.
    Raises LocalError for a file that is not what it should be, and for a
    credential helper that fails.
    """
    environment = os.environ if environment is None else environment
    for path in _files(environment):
        document = _read(path)
        if document is None:
            continue
        found = _in_file(document, host, name, path)
        if found is not None:
            return found
    return NOBODY


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield where logins are kept, in the order that podman and docker look."""
    if given := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(given)
    home = Path(environment.get("HOME") or "/nonexistent")
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers/auth.json")
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "containers/auth.json")
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker", "config.json")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_FILE)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError as error:
        raise LocalError.of(error, path) from None
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise LocalError(f"{path}: is not JSON", "log in again, or remove the file") from None
    if not isinstance(document, dict):
        raise LocalError(f"{path}: is not a JSON object", "log in again, or remove the file")
    return document


def _in_file(document: Mapping[str, Any], host: str, name: str, path: Path) -> Credentials | None:
    helpers, auths = _mapping(document, "credHelpers"), _mapping(document, "auths")
    for key in _keys(host, name):
        if isinstance(helper := helpers.get(key), str):
            return _ask_helper(helper, key)
        if isinstance(entry := auths.get(key), dict) and (found := _entry(entry, path, key)):
            return found
    for key, entry in auths.items():
        same = key.partition("://")[2].rstrip("/").removesuffix("/v1").removesuffix("/v2")
        if same == host and isinstance(entry, dict) and (found := _entry(entry, path, key)):
            return found
    if isinstance(store := document.get("credsStore"), str) and store:
        key = DOCKER_HUB if host == "docker.io" else host
        return _ask_helper(store, key, missing_is_fine=True)
    return None


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _keys(host: str, name: str) -> Iterator[str]:
    """Yield what a repository's login can be kept under: `host/a/b`, `host/a`, `host`."""
    parts = name.split("/")
    for count in range(len(parts), -1, -1):
        yield "/".join((host, *parts[:count]))
    if host == "docker.io":
        yield from (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")


def _entry(entry: Mapping[str, Any], path: Path, key: str) -> Credentials | None:
    token = entry.get("identitytoken")
    user, password = entry.get("username"), entry.get("password")
    if isinstance(auth := entry.get("auth"), str) and auth:
        try:
            plain = base64.b64decode(auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise LocalError(f"{path}: the login for {key} is damaged", "log in again") from None
        user, _, password = plain.partition(":")
        password = password.rstrip("\0")
    if isinstance(token, str) and token:
        return Credentials(str(user or ""), "", token)
    if isinstance(user, str) and isinstance(password, str) and (user or password):
        return Credentials(user, password)
    return None


def _ask_helper(helper: str, key: str, *, missing_is_fine: bool = False) -> Credentials | None:
    """Ask a credential helper for a login; None where it has none."""
    if not helper.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise LocalError(f"{helper[:60]!r} is not a name of a credential helper")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"], input=key.encode(), capture_output=True, check=False,
            timeout=_HELPER_SECONDS,
        )  # fmt: skip
    except FileNotFoundError:
        if missing_is_fine:
            return None
        raise LocalError(f"{program} is not installed", f"it keeps the login for {key}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalError(f"{program}: {type(error).__name__}", "log in again") from None
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        if "not found" in said.lower():
            return None
        raise LocalError(f"{program}: {said.strip()[:200] or 'failed'}", "log in again")
    try:
        answer = json.loads(said)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise LocalError(f"{program}: its answer is not a login") from None
    return Credentials("", "", secret) if user == "<token>" else Credentials(user, secret)
