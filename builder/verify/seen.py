"""Which release of each place was seen last, so that an older one is known for what it is."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from builder.errors import Problem
from builder.oci import strictjson
from builder.publish.moves import HEAD, Log
from builder.publish.release import RELEASE, Release
from builder.storage.local import make_folder, open_regular, write_durably
from builder.storage.lock import lock

_FILE = "releases.json"
_HINT = "somebody put back what was here before, or a cache or mirror is behind"


class Seen:
    """The releases that were seen, in the folder `state`; None remembers nothing."""

    def __init__(self, state: Path | None) -> None:
        self._state = state

    def judge(self, address: str, release: Release) -> Problem | None:
        """Return what is wrong with seeing `release` now, else remember it.

        Raises LocalError for a folder that cannot be written.
        """
        if self._state is None:
            return None
        make_folder(self._state)
        with lock(self._state / "releases.lock", str(self._state), seconds=30):
            known = self._read()
            fault = _fault(known.get(address), release)
            if fault is None:
                known[address] = {
                    **_entry(known, address),
                    "generation": release.generation,
                    "time": release.time,
                    "digest": release.digest,
                }
                self._write(known)
        return fault

    def judge_log(self, address: str, log: Log | None) -> Problem | None:
        """Return what is wrong with a log of tag moves, else remember it; None: there is none.

        What was seen before must be its beginning. Raises LocalError for a
        folder that cannot be written.
        """
        if self._state is None:
            return None
        make_folder(self._state)
        with lock(self._state / "releases.lock", str(self._state), seconds=30):
            known = self._read()
            entry = known[address] = _entry(known, address)
            fault = _log_fault(entry.get("moves"), log)
            if fault is None and log is not None:
                entry["moves"] = {"size": len(log.moves), "root": log.root()}
                self._write(known)
        return fault

    def _read(self) -> dict[str, Any]:
        if self._state is None:
            return {}
        path = self._state / _FILE
        try:
            with open_regular(path, str(path)) as stream:
                found = strictjson.loads(stream.read(), what=str(path))
        except FileNotFoundError:
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, known: dict[str, Any]) -> None:
        if self._state is None:
            return
        data = json.dumps(known, indent=1, sort_keys=True).encode() + b"\n"
        path = self._state / _FILE
        write_durably(path.with_name(f".{_FILE}.new"), path, io.BytesIO(data))


def _entry(known: dict[str, Any], address: str) -> dict[str, Any]:
    """Return what is known of a place; empty where somebody damaged that."""
    found = known.get(address)
    return found if isinstance(found, dict) else {}


def _log_fault(before: Any, log: Log | None) -> Problem | None:
    if not isinstance(before, dict) or not isinstance(before.get("size"), int):
        return None
    size, now = before["size"], len(log.moves) if log else 0
    if now < size:
        message = f"has {now} moves; {size} were seen here before"
    elif log is not None and log.root(size) != before.get("root"):
        message = f"does not begin with the {size} moves that were seen here before"
    else:
        return None
    return Problem(HEAD, message=message, hint="somebody rewrote what tags pointed to: ask who")


def _fault(before: Any, release: Release) -> Problem | None:
    generation = before.get("generation") if isinstance(before, dict) else None
    if not isinstance(generation, int):
        return None
    now = f"this is release {release.generation} of {release.time}"
    if release.generation < generation:
        message = f"{now}; release {generation} of {before.get('time')} was seen here before"
        return Problem(RELEASE, message=message, hint=_HINT)
    if release.generation == generation and release.digest != before.get("digest"):
        message = f"{now}, and another release {generation} was seen here before"
        return Problem(RELEASE, message=message, hint="two publishers, or one mirror of two sites")
    return None
