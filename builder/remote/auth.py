"""Being authorised: challenges, tokens and their scopes.

Sources: RFC 9110, section 11; the distribution project's token
specification (`auth/token.md`, `auth/oauth.md`).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from builder.errors import RemoteError, conceal, redacted
from builder.oci import strictjson
from builder.remote.credentials import Credentials
from builder.remote.faults import host_of
from builder.remote.http import Http, Request

_MAX_CHALLENGE = 8 << 10
_USUAL_LIFE = 60  # seconds a token lives unless it says otherwise
_LONGEST_LIFE = 86_400  # seconds that we believe
_ESCAPED = re.compile(r"\\(.)")
_MARGIN = 10  # seconds before its end that a token is no longer used
_TOKEN_CHARACTERS = frozenset(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to be authorised that a server offers; `scheme` in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(text: str) -> list[Challenge]:
    """Return the challenges of a WWW-Authenticate header; what makes no sense is left out.

    One pass over the text. Raises RemoteError for a header of unreasonable length.
    """
    if len(text) > _MAX_CHALLENGE:
        raise RemoteError(f"the WWW-Authenticate header is {len(text)} characters long")
    found: list[Challenge] = []
    for item in _items(text):
        word, equals, value = item.partition("=")
        scheme, space, key = word.strip().partition(" ")
        if not equals or space:
            found.append(Challenge(scheme.lower(), {}))
            word = key
        if equals and found and word.strip():
            found[-1].parameters.setdefault(word.strip().lower(), _unquoted(value.strip()))
    return found


def _items(text: str) -> list[str]:
    """Split at commas outside quotes; an open quote swallows the rest."""
    items, start, quoted, position = [], 0, False, 0
    while position < len(text):
        char = text[position]
        if char == "\\" and quoted:
            position += 1
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            items.append(text[start:position])
            start = position + 1
        position += 1
    return [item.strip() for item in (*items, text[start:]) if item.strip()]


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPED.sub(r"\1", text[1:].removesuffix('"'))


class Authoriser:
    """Keeps what one registry gave us to be let in; safe to use from several threads."""

    def __init__(self, http: Http, credentials: Credentials) -> None:
        self._http = http
        self._credentials = credentials
        self._basic = False
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        self._lock = threading.Lock()
        for secret in credentials.secrets():
            conceal(secret)

    def header(self, scopes: Sequence[str]) -> dict[str, str]:
        """Return the Authorization header that is known to let us in, if any is."""
        if self._basic:
            return {"Authorization": self._credentials.basic}
        token, until = self._tokens.get(tuple(scopes), ("", 0.0))
        return {"Authorization": f"Bearer {token}"} if time.monotonic() < until else {}

    def answer(self, url: str, headers: Sequence[str], scopes: Sequence[str], used: str) -> bool:
        """Get what a challenge of `url` asks for; tell whether there is something new to try.

        `used` is the Authorization header that was refused. Raises
        RemoteError for a realm that may not be asked, or that gives no token.
        """
        with self._lock:
            if self.header(scopes).get("Authorization", "") not in ("", used):
                return True  # another thread was faster
            self._tokens.pop(tuple(scopes), None)
            for challenge in parse_challenges(", ".join(headers)):
                if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                    self._tokens[tuple(scopes)] = self._token(url, challenge.parameters, scopes)
                    return True
                if challenge.scheme == "basic" and self._credentials.basic and not self._basic:
                    self._basic = True
                    return True
        return False

    def _token(
        self, url: str, parameters: dict[str, str], scopes: Sequence[str]
    ) -> tuple[str, float]:
        realm = self._realm(url, parameters["realm"])
        # A registry may know the repository by another name than its clients do.
        asked = parameters.get("scope", "").split()
        query = [("scope", scope) for scope in dict.fromkeys((*scopes, *asked))]
        if service := parameters.get("service"):
            query.insert(0, ("service", service))
        try:
            answer = self._http.send(self._request(realm, query))
        except RemoteError as error:
            raise RemoteError(f"the realm of {host_of(url)}: {error.message}", error.hint) from None
        with answer:
            if answer.status != 200:
                message = f"{host_of(url)}: the realm {host_of(realm)} gave no token"
                raise RemoteError(f"{message}: {answer.status}", "log in, or check the name")
            try:
                raw = answer.text()
            except RemoteError as error:
                raise RemoteError(f"the token of {host_of(url)}: {error.message}") from None
        return self._parsed(url, raw)

    def _request(self, realm: str, query: list[tuple[str, str]]) -> Request:
        """Return the request for a token: by OAuth2 with an identity token, else by GET."""
        login = self._credentials
        if login.identity_token:
            scope = " ".join(value for key, value in query if key == "scope")
            form = [
                ("grant_type", "refresh_token"),
                ("client_id", "static-container-registry"),
                ("refresh_token", login.identity_token),
                *((key, value) for key, value in query if key != "scope"),
                ("scope", scope),
            ]
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return Request("POST", realm, kind, {}, urlencode(form).encode())
        if login.basic:
            query = [*query, ("account", login.user)]
        joined = "&" if urlsplit(realm).query else "?"
        secrets = {"Authorization": login.basic} if login.basic else {}
        return Request("GET", f"{realm}{joined}{urlencode(query)}", {}, secrets)

    def _realm(self, url: str, realm: str) -> str:
        """Return a realm that may be asked."""
        if not realm.lower().startswith(("http://", "https://")):
            shown = redacted(realm)[:200]
            raise RemoteError(f"{host_of(url)}: its realm {shown!r} is not an address")
        try:
            return self._http.resolve(url, realm)
        except RemoteError as error:
            raise RemoteError(f"the realm of {error.message}", error.hint) from None

    def _parsed(self, url: str, raw: bytes) -> tuple[str, float]:
        try:
            document: Any = strictjson.loads(raw)
        except strictjson.StrictJSONError:
            document = None
        found = document if isinstance(document, dict) else {}
        token = found.get("token") or found.get("access_token")
        if not isinstance(token, str) or not token or not _TOKEN_CHARACTERS.issuperset(token):
            raise RemoteError(f"{host_of(url)}: its realm answered without a token")
        conceal(token)
        life = found.get("expires_in")
        seconds = life if isinstance(life, int) and life > 0 else _USUAL_LIFE
        return token, time.monotonic() + max(min(seconds, _LONGEST_LIFE) - _MARGIN, 1)
