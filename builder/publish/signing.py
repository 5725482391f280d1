"""Ed25519 keys (RFC 8032): reading, making, signing and checking.

A private key is PEM (PKCS 8) or the base64 of its 32 bytes; a public key is
PEM or the base64 of its 32 bytes. This file must not know what is signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from builder.errors import ContentError, LocalError, conceal
from builder.storage.local import open_regular

VARIABLE = "BUILDER_SIGNING_KEY"
_MAX_KEY = 64 << 10  # bytes of a file that is read as a key
_RAW = 32  # bytes of either half of a key
_HINT = "make one with 'builder keygen FILE'"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half that checks. `text` is the base64 of its 32 bytes."""

    text: str

    @classmethod
    def parse(cls, text: str, label: str) -> Self:
        """Read PEM or base64; raises ContentError naming `label`."""
        if "-----BEGIN" in text:
            return cls(_encoded(_public_pem(text, label)))
        raw = _decoded(text)
        if raw is None:
            raise ContentError.at(label, "is not an Ed25519 public key: 32 bytes in base64", _HINT)
        return cls(_encoded(raw))

    @property
    def id(self) -> str:
        """A short name: 16 hex characters of the key's SHA-256."""
        return hashlib.sha256(base64.b64decode(self.text)).hexdigest()[:16]

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Tell whether `signature` is this key's, of exactly `data`."""
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.text))
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """The half that signs; it is never shown."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes_raw()
        self.public = PublicKey(_encoded(raw))

    @classmethod
    def make(cls) -> Self:
        """Return a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str, label: str) -> Self:
        """Read PEM or base64; raises ContentError naming `label`, never showing the text."""
        conceal(text.strip())
        if "-----BEGIN" in text:
            return cls(_private_pem(text, label))
        raw = _decoded(text)
        if raw is None:
            message = "is not an Ed25519 key: neither PEM nor 32 bytes in base64"
            raise ContentError.at(label, message, _HINT)
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def sign(self, data: bytes) -> bytes:
        """Return the signature of `data`, 64 bytes; equal for equal data."""
        return self._key.sign(data)

    def to_pem(self) -> bytes:
        """Return the private key as PEM, not encrypted."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def load_signing_key(path: str) -> SigningKey:
    """Return the key in a file.

    Raises ContentError for what is no key, LocalError for a file that cannot be read.
    """
    return SigningKey.parse(_read(path), path)


def find_signing_key(path: str, environment: Mapping[str, str] | None = None) -> SigningKey | None:
    """Return the key in the file `path`, else the one in `BUILDER_SIGNING_KEY`, else None.

    Raises as `load_signing_key` does.
    """
    if path:
        return load_signing_key(path)
    text = (os.environ if environment is None else environment).get(VARIABLE, "")
    return SigningKey.parse(text, VARIABLE) if text.strip() else None


def find_public_key(text: str) -> PublicKey:
    """Return the public key that a flag gives: base64, or the path of a file.

    Raises ContentError for what is neither, LocalError for a file that cannot be read.
    """
    if _decoded(text) is not None:
        return PublicKey.parse(text, "--public-key")
    if not Path(text).exists():
        hint = "'builder keygen --show FILE' prints the public key of a private one"
        raise LocalError(f"--public-key {text}: is neither a key nor a file here", hint)
    return PublicKey.parse(_read(text), text)


def _read(path: str) -> str:
    try:
        with open_regular(Path(path), path) as stream:
            return stream.read(_MAX_KEY).decode("ascii", "replace")
    except FileNotFoundError:
        raise LocalError(f"{path}: there is no such key", _HINT) from None


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _RAW else None


def _private_pem(text: str, label: str) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise ContentError.at(label, "the key is encrypted", "give one that is not") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ContentError.at(label, "is not a private key in PEM", _HINT) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ContentError.at(label, "is a key of another kind than Ed25519", _HINT)
    return key


def _public_pem(text: str, label: str) -> bytes:
    if "PRIVATE" in text:
        hint = "give the public key: 'builder keygen --show FILE' prints it"
        raise ContentError.at(label, "is a private key, which nobody else should see", hint)
    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ContentError.at(label, "is not a public key in PEM", _HINT) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ContentError.at(label, "is a key of another kind than Ed25519", _HINT)
    return key.public_bytes_raw()
