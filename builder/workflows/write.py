"""Putting made files into a registry without losing what somebody edited there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from io import BytesIO
from pathlib import Path

from builder.errors import ContentError, LocalError, Problem
from builder.storage.local import make_folder, write_durably
from builder.workflows.render import is_edited

NEW, SAME, OLDER, EDITED = "new", "same", "older", "edited"


@dataclass(frozen=True, slots=True)
class Planned:
    """A file to write: its path from the registry's folder, its text, and what is there now.

    `state` is `new` (nothing is there), `same`, `older` (made by an earlier
    run and untouched since) or `edited`.
    """

    path: str
    text: str
    current: str = ""
    state: str = NEW

    @property
    def difference(self) -> str:
        """What writing would change, as a unified diff."""
        lines = unified_diff(
            self.current.splitlines(keepends=True), self.text.splitlines(keepends=True),
            f"{self.path} (there)", f"{self.path} (would be written)",
        )  # fmt: skip
        return "".join(lines)

    @property
    def problem(self) -> Problem:
        """The refusal to write over an edited file, at its first line that differs."""
        there, ours = self.current.splitlines(), self.text.splitlines()
        longest = max(len(there), len(ours))
        different = [n for n in range(longest) if there[n : n + 1] != ours[n : n + 1]]
        first = next((n for n in different if n), 0)  # line 0 is the stamp, which follows the rest
        line = there[first].strip() if first < len(there) else "its end"
        message = f"was edited, first at {line!r}; it is not overwritten"
        hint = "--dry-run shows what differs, --force overwrites it"
        return Problem(self.path, first + 1, message, hint)


def plan(source: Path, files: Mapping[str, str]) -> list[Planned]:
    """Compare files to be written with those in the registry's folder; raises LocalError."""
    return [_planned(source, path, text) for path, text in files.items()]


def _planned(source: Path, path: str, text: str) -> Planned:
    try:
        current = (source / path).read_text("utf-8", "replace")
    except FileNotFoundError:
        return Planned(path, text)
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}", "move it away") from None
    state = SAME if current == text else EDITED if is_edited(current) else OLDER
    return Planned(path, text, current, state)


def refuse_edited(planned: Sequence[Planned]) -> None:
    """Raise ContentError with a problem for each file that somebody edited."""
    if problems := [item.problem for item in planned if item.state == EDITED]:
        raise ContentError(problems)


def write(source: Path, planned: Sequence[Planned]) -> None:
    """Write every file that differs, each whole or not at all; raises OSError."""
    for item in planned:
        if item.state == SAME:
            continue
        file = source / item.path
        make_folder(file.parent)
        temporary = file.with_name(f".{file.name}.new")
        write_durably(temporary, file, BytesIO(item.text.encode()))
