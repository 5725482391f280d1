"""Reads and merges the configuration's files, and remembers where each key was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder.config.keys import (
    FLAG,
    FLAG_OR_MAP,
    KEYS,
    LIST,
    MAP,
    REGISTRY_KEYS,
    SIZE,
    TEXT,
    parse_size,
)
from builder.errors import ContentError, Problem, did_you_mean
from builder.frontmatter import KeyPath, decode, load_yaml

CONFIG = "_config.yml"
MAX_CONFIG = 1 << 20


class Reader:
    """Reads and merges the files; remembers where each key was said."""

    def __init__(self, source: Path) -> None:
        self.problems: list[Problem] = []
        self.files: list[Path] = []
        self._source = source
        self._lines: dict[KeyPath, tuple[str, int]] = {}

    def read(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the merged keys; raises ContentError with every problem of every file."""
        texts: dict[str, bytes] = {}
        for name in names or (CONFIG,):
            path = self._source / name
            if path.is_file():
                self.files.append(path)
                texts[name] = path.read_bytes()
            elif names:
                hint = "files of --config lie in the registry's folder, which --source names"
                missing = Problem(name, message="there is no such file", hint=hint)
                self.problems.append(missing)
        return self.merge(texts)

    def merge(self, texts: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the merged keys of files' bytes by name; raises as `read` does."""
        merged: dict[str, Any] = {}
        for name, raw in texts.items():
            try:
                self._merge_file(raw, name, merged)
            except ContentError as error:
                self.problems.extend(error.problems)
        self._check(merged)
        self.stop_on_errors()
        return merged

    def _merge_file(self, raw: bytes, name: str, merged: dict[str, Any]) -> None:
        if len(raw) > MAX_CONFIG:
            raise ContentError.at(name, f"is too large: the limit is {MAX_CONFIG} bytes")
        document = load_yaml(decode(raw, name), name)
        if document.value is None:
            return
        if not isinstance(document.value, dict):
            raise ContentError.at(name, "must be a mapping of keys to values", line=1)
        self._lines.update({at: (name, line) for at, line in document.lines.items()})
        _deep_merge(merged, document.value)

    def registry(self, keys: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the keys of `registry:`."""
        value = keys.get("registry")
        return value if isinstance(value, dict) else {}

    def problem(self, at: KeyPath, message: str, hint: str = "", *, warning: bool = False) -> None:
        """Note what is wrong with the key at `at`, a path of keys and list positions."""
        place = self.place(at)
        self.problems.append(replace(place, message=message, hint=hint, warning=warning))

    def place(self, at: KeyPath) -> Problem:
        """Return a problem without words where a key was said."""
        return Problem(*self._lines.get(at, (CONFIG, 0)))

    def stop_on_errors(self) -> None:
        """Raise ContentError when any problem so far is more than a warning."""
        if any(not problem.warning for problem in self.problems):
            raise ContentError(self.problems)

    def _check(self, keys: Mapping[str, Any]) -> None:
        for key, value in keys.items():
            if key in KEYS:
                self._check_kind((key,), value, KEYS[key])
            elif hint := did_you_mean(key, KEYS):
                self.problem((key,), f"unknown key {key!r}", f"{hint} Rename it if it is your own.")
        for key, value in self.registry(keys).items():
            if key not in REGISTRY_KEYS:
                known = ", ".join(REGISTRY_KEYS)
                hint = did_you_mean(key, REGISTRY_KEYS) or f"known keys: {known}"
                self.problem(("registry", key), f"unknown key 'registry.{key}'", hint)
            else:
                self._check_kind(("registry", key), value, REGISTRY_KEYS[key])

    def _check_kind(self, at: KeyPath, value: Any, kind: str) -> None:
        if value is None:
            return
        fits = {
            TEXT: isinstance(value, str | int) and not isinstance(value, bool),
            FLAG: isinstance(value, bool),
            LIST: isinstance(value, list),
            MAP: isinstance(value, dict) or (at == ("collections",) and isinstance(value, list)),
            SIZE: parse_size(value) is not None,
            FLAG_OR_MAP: isinstance(value, bool | dict),
        }
        if not fits[kind]:
            self.problem(at, f"{'.'.join(map(str, at))} must be {kind}")


def _deep_merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _deep_merge(into[key], value)
        else:
            into[key] = value
