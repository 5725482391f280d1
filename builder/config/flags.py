"""What the command line says of a run's configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; empty texts and None mean: not said."""

    source: str = "."
    destination: str = ""
    configs: tuple[str, ...] = ()
    url: str | None = None
    baseurl: str | None = None
    target: str = ""
    drafts: bool = False
    allow_missing: bool = False
