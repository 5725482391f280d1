"""The image config: what a container runs, and how the image came to be.

Source: image-spec `config.md`. Read for pages and listings only; the bytes
stay what they are. Whatever can be read at all is taken: registries hold
configs of artifacts that are `{}`, and of builders that knew no better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from builder.oci import mediatype
from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.oci.platform import Platform
from builder.oci.secrets import is_secret
from builder.oci.shapes import CONFIG
from builder.oci.strictjson import StrictJSONError, loads
from builder.oci.validate import Fault, ManifestError

_DIFF_ID = re.compile(r"[a-z0-9]+:[a-fA-F0-9]{32,}")
_NOWHERE = Platform("", "")


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step of an image's history; `empty` steps made no layer."""

    created_by: str = ""
    comment: str = ""
    empty: bool = False


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The parts of an image config that people want to see.

    `warnings` say what in it clients or readers may stumble on.
    """

    platform: Platform = _NOWHERE
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
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any], warnings: tuple[str, ...] = ()) -> ImageConfig:
        """Return the config of a JSON object; wrong types are left out, not raised."""
        run = _mapping(document.get("config"))
        return cls(
            Platform.from_json(document) or _NOWHERE,
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
            tuple(map(_history, _list(document.get("history")))),
            warnings,
        )

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """What identifies the first layer unpacked, the first two, ... and all of them.

        Source: image-spec config.md, "Layer ChainID".
        """
        ids: list[str] = []
        for diff_id in self.diff_ids:
            ids.append(Digest.of(f"{ids[-1]} {diff_id}".encode()) if ids else diff_id)
        return tuple(ids)

    @property
    def built(self) -> str:
        """The creation time as `2025-03-01T10:00:00Z`; empty for none or a build tool's zero.

        That is any before 1980. A time without a zone is one of UTC.
        """
        try:
            moment = datetime.fromisoformat(_trim_fraction(self.created))
            moment = moment.astimezone(UTC) if moment.tzinfo else moment
        except (ValueError, OverflowError):
            return ""
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment.year >= 1980 else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of variables whose values look like secrets that everyone can read."""
        names = (item.partition("=")[0] for item in self.env)
        return tuple(name for name in names if is_secret(name))


def parse_config(raw: bytes, manifest: Manifest) -> ImageConfig:
    """Return the image config of `manifest`, with what is odd about it.

    Raises ManifestError: not the JSON of an object, a key that clients could
    take for another, or another number of diff IDs than an image has layers.
    """
    if not raw.strip():
        return ImageConfig(warnings=("its config is empty: it does not say how to run the image",))
    try:
        document = loads(raw, what="the image config", shape=CONFIG)
    except StrictJSONError as error:
        hint = "rebuild the image with a current tool"
        raise ManifestError([Fault("/config", error.message, hint)]) from None
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ManifestError([Fault("/config", "the image config is not a JSON object")])
    return ImageConfig.from_json(document, tuple(_oddities(document, manifest)))


def _oddities(document: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    """Yield what clients may stumble on; raises ManifestError for what they refuse."""
    yield from _diff_id_oddities(_mapping(document.get("rootfs")), manifest)
    kinds: dict[str, type] = {"config": dict, "history": list, "rootfs": dict, "created": str}
    for key, kind in kinds.items():
        value = document.get(key)
        if value is not None and not isinstance(value, kind):
            yield f"its config says {key}: {str(value)[:40]}, which clients do not understand"


def _diff_id_oddities(rootfs: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    ids = rootfs.get("diff_ids")
    if rootfs.get("type", "layers") != "layers":
        yield f"its config says rootfs.type: {str(rootfs['type'])[:40]}; clients know 'layers'"
    if not isinstance(ids, list) or not all(
        isinstance(item, str) and _DIFF_ID.fullmatch(item) for item in ids
    ):
        if manifest.layers or ids is not None:
            yield "its config has no list of diff_ids, so Docker and Podman cannot unpack it"
    elif len(ids) != len(manifest.layers):
        text = f"diff_ids names {len(ids)} layers, the manifest has {len(manifest.layers)}"
        if all(mediatype.is_filesystem_layer(layer.media_type) for layer in manifest.layers):
            hint = "no client can unpack it: rebuild the image"
            raise ManifestError([Fault("/rootfs/diff_ids", text, hint)])
        yield text


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


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
