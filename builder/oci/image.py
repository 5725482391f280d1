"""The image config: what a container runs, and how the image came to be.

Source: image-spec `config.md`. Read for pages and listings only; the bytes
stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from builder.oci.descriptor import Platform


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step of an image's history; `empty` steps made no layer."""

    created_by: str = ""
    comment: str = ""
    empty: bool = False


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The parts of an image config that people want to see."""

    platform: Platform
    created: str = ""
    author: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    diff_ids: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ImageConfig:
        """Return the config of a JSON object; wrong types are left out, not raised."""
        run = _mapping(document.get("config"))
        return cls(
            Platform(
                _text(document.get("os")),
                _text(document.get("architecture")),
                _text(document.get("variant")),
                _text(document.get("os.version")),
            ),
            _text(document.get("created")),
            _text(document.get("author")),
            _texts(run.get("Entrypoint")),
            _texts(run.get("Cmd")),
            _texts(run.get("Env")),
            _text(run.get("User")),
            _text(run.get("WorkingDir")),
            _text(run.get("StopSignal")),
            tuple(sorted(_mapping(run.get("ExposedPorts")))),
            tuple(sorted(_mapping(run.get("Volumes")))),
            {key: _text(value) for key, value in _mapping(run.get("Labels")).items()},
            _texts(_mapping(document.get("rootfs")).get("diff_ids")),
            tuple(_history(item) for item in document.get("history") or ()),
        )

    @property
    def created_date(self) -> datetime | None:
        """The creation time, unless it is absent or a build tool's zero (before 1980)."""
        try:
            moment = datetime.fromisoformat(_trim_fraction(self.created))
        except ValueError:
            return None
        return moment if moment.year >= 1980 else None


def _history(item: object) -> HistoryEntry:
    entry = _mapping(item)
    return HistoryEntry(
        _text(entry.get("created_by")),
        _text(entry.get("comment")),
        entry.get("empty_layer") is True,
    )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def _trim_fraction(text: str) -> str:
    """Cut RFC 3339 fractions of nine digits to the six that Python reads."""
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    return f"{head}.{digits[:6]}{tail[len(digits) :]}"
