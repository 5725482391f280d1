"""What a user decides about other machines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How far another machine is trusted.

    `insecure` allows plain http off this machine, and certificates nobody
    vouches for; `ca` is a file of further certificate authorities.
    """

    insecure: bool = False
    ca: str = ""
