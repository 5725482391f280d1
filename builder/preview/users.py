"""Who may come in: the users of an htpasswd file, known by name and password.

Only bcrypt's hashes are taken, as docker-registry does: what else htpasswd
writes is guessed in no time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from pathlib import Path

import bcrypt

from builder.errors import ContentError, LocalError, Problem

_HASH = re.compile(rb"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}")
_MOST = 1 << 20  # bytes of a file
_REMEMBERED = 1000  # logins that are not hashed again: bcrypt is slow on purpose


class Users:
    """Names and the bcrypt hashes of their passwords."""

    def __init__(self, hashes: dict[str, bytes]) -> None:
        self._hashes = hashes
        self._key = secrets.token_bytes(32)
        self._seen: dict[bytes, str] = {}

    @classmethod
    def read(cls, path: Path) -> Users:
        """Return the users of an htpasswd file.

        Raises ContentError for each line that cannot be used, LocalError for
        a file that cannot be read.
        """
        try:
            with path.open("rb") as stream:
                raw = stream.read(_MOST)
        except OSError as error:
            raise LocalError.of(error, path, "see --htpasswd") from None
        hashes: dict[str, bytes] = {}
        problems = []
        for number, line in enumerate(raw.splitlines(), 1):
            name, colon, hashed = line.strip().partition(b":")
            if not line.strip() or line.startswith(b"#"):
                continue
            if not (colon and name and _HASH.fullmatch(hashed)):
                hint = "write it with: htpasswd -B FILE USER"
                message = "is no user with a bcrypt hash"
                problems.append(Problem(str(path), number, message, hint))
            hashes[name.decode("utf-8", "replace")] = hashed
        if not hashes:
            problems.append(Problem(str(path), 0, "has no users", "htpasswd -B FILE USER"))
        if problems:
            raise ContentError(problems)
        return cls(hashes)

    def name_of(self, authorization: str) -> str | None:
        """Return who an Authorization header is from, or None; takes a moment at first."""
        kind, _, text = authorization.partition(" ")
        if kind.lower() != "basic" or len(text) > 4096:
            return None
        mark = hmac.digest(self._key, text.encode(), hashlib.sha256)
        if (known := self._seen.get(mark)) is not None:
            return known
        try:
            name, colon, password = base64.b64decode(text, validate=True).partition(b":")
            user = name.decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not colon or not self._is_right(user, password):
            return None
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[mark] = user
        return user

    def _is_right(self, user: str, password: bytes) -> bool:
        # A name that nobody has takes as long as one with a wrong password.
        hashed = self._hashes.get(user) or next(iter(self._hashes.values()))
        try:
            same = bcrypt.checkpw(password, hashed)
        except ValueError:  # longer than bcrypt reads
            return False
        return same and user in self._hashes
