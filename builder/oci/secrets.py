"""Which names say that their value is a secret: variables, labels, build arguments.

Judged by whole words: `KEYCLOAK_VERSION`, `GPG_KEY` and `MONKEY` hide nothing,
and `DB_PASSWORD_FILE` is a path.
"""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET = frozenset(
    {"token", "secret", "secrets", "password", "passwords", "passwd", "passphrase", "credential",
     "credentials", "apikey", "apitoken", "authtoken"}
)  # fmt: skip
_KEYS = frozenset({"api", "access", "private", "secret", "signing", "encryption", "auth"})
_KNOWN = frozenset({"PGPASSWORD", "MYSQL_PWD", "REDISCLI_AUTH"})  # what clients read
_PLACES = frozenset({"file", "path", "dir", "url", "uri"})  # where the secret is, not what


def is_secret(name: str) -> bool:
    """Tell whether the name of a variable or label says that its value is a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _PLACES:
        return False
    keys = any(one in _KEYS and other == "key" for one, other in pairwise(words))
    return keys or not _SECRET.isdisjoint(words) or name.upper() in _KNOWN
