"""Which release of each place was seen last, so that an older one is known for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builder.errors import ContentError, Problem
from builder.publish.moves import HEAD, Log
from builder.publish.release import RELEASE, Release
from builder.storage.local import make_folder, open_regular, write_durably
from builder.storage.lock import lock

_FILE = "releases.json"
_LOST = (
    "without it, verify cannot detect an older release: restore the file from a copy, or remove "
    "it to start again, once you know that the newest release is being served"
)
_HINT = "somebody restored an older release, or a cache or mirror is outdated"


class Seen:
    """The releases that were seen, in the folder `state`; None remembers nothing."""

    def __init__(self, state: Path | None) -> None:
        self._state = state

    def is_blank(self, address: str) -> bool:
        """Tell whether nothing is known of a place, so that nothing older can be told from it.

        False where nothing is to be remembered.
        """
        return self._state is not None and address not in self._read()

    def judge(self, address: str, release: Release) -> Problem | None:
        """Return what is wrong with seeing `release` now, else remember it.

        Raises LocalError for a folder that cannot be written, ContentError
        where what was seen before cannot be read any more.
        """
        if self._state is None:
            return None
        make_folder(self._state)
        with lock(self._state / "releases.lock", str(self._state), seconds=30):
            known = self._read()
            entry = self._entry(known, address)
            fault = _fault(entry, release)
            if fault is None:
                known[address] = {
                    **entry,
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
            entry = known[address] = self._entry(known, address)
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
                found = json.loads(stream.read())  # our own: addresses may differ by case alone
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ContentError.at(str(path), "what was seen of places before is damaged", _LOST)
        return found

    def _entry(self, known: dict[str, Any], address: str) -> dict[str, Any]:
        """Return what is known of a place; raises ContentError where somebody damaged that."""
        found = known.get(address, {})
        if not _is_sound(found):
            message = f"what was seen of {address} before is damaged"
            raise ContentError.at(f"{self._state}/{_FILE}", message, _LOST)
        return dict(found)

    def _write(self, known: dict[str, Any]) -> None:
        if self._state is None:
            return
        data = json.dumps(known, indent=1, sort_keys=True).encode() + b"\n"
        write_durably(self._state / _FILE, data)


def _is_sound(entry: Any) -> bool:
    """Tell whether an entry says all that `judge` and `judge_log` wrote, or nothing of each."""
    if not isinstance(entry, dict):
        return False
    kinds = {"generation": int, "time": str, "digest": str}
    present = [isinstance(entry.get(key), kind) for key, kind in kinds.items() if key in entry]
    moves = entry.get("moves", {"size": 0, "root": ""})
    return (
        all(present) and len(present) in (0, len(kinds))
        and isinstance(moves, dict)
        and isinstance(moves.get("size"), int) and isinstance(moves.get("root"), str)
    )  # fmt: skip


def _log_fault(before: dict[str, Any] | None, log: Log | None) -> Problem | None:
    if before is None:
        return None
    size, now = before["size"], len(log.moves) if log else 0
    if now < size:
        message = f"has {now} moves; {size} were seen here before"
    elif log is not None and log.root(size) != before["root"]:
        message = f"does not begin with the {size} moves that were seen here before"
    else:
        return None
    return Problem(
        HEAD, message=message, hint="the log of tag moves was rewritten: find out by whom"
    )


def _fault(before: dict[str, Any], release: Release) -> Problem | None:
    if "generation" not in before:
        return None
    generation = before["generation"]
    now = f"this is release {release.generation} of {release.time}"
    if release.generation < generation:
        message = f"{now}; release {generation} of {before['time']} was seen here before"
        return Problem(RELEASE, message=message, hint=_HINT)
    if release.generation == generation and release.digest != before["digest"]:
        message = f"{now}, and another release {generation} was seen here before"
        return Problem(RELEASE, message=message, hint="two publishers, or one mirror of two sites")
    return None
