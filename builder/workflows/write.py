"""Putting made files into a registry without losing what somebody edited there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from builder.errors import ContentError, LocalError, Problem
from builder.storage.local import make_folder, sweep_folder, sync_folder, write_durably
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
        raise LocalError.of(error, path, "move it away") from None
    state = SAME if current == text else EDITED if is_edited(current) else OLDER
    return Planned(path, text, current, state)


def refuse_edited(planned: Sequence[Planned]) -> None:
    """Raise ContentError with a problem for each file that somebody edited."""
    if problems := [item.problem for item in planned if item.state == EDITED]:
        raise ContentError(problems)


def write(source: Path, planned: Sequence[Planned]) -> None:
    """Write every file that differs, all of them or none; raises OSError.

    What can fail for want of room is done first, beside the files; what went
    before a failure is taken back, with the folders that it needed.
    """
    changed = [(source / item.path, item) for item in planned if item.state != SAME]
    with ExitStack() as litter, ExitStack() as undo:
        for file, item in changed:
            _make_folders(file.parent, litter)
            _stage(file, item, litter)
        for file, item in changed:
            _place(file, item, undo)
        undo.pop_all()


def _make_folders(folder: Path, litter: ExitStack) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        litter.callback(_remove_empty, path)
    make_folder(folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it was not made, or holds what was written
        folder.rmdir()


def _stage(file: Path, item: Planned, litter: ExitStack) -> None:
    """Bring the new text to the disk beside the file, with a copy of what is there."""
    for path in (_new(file), _old(file)):
        litter.callback(path.unlink, missing_ok=True)
    sweep_folder(file.parent)
    write_durably(_new(file), item.text.encode())
    if item.state != NEW:
        _old(file).unlink(missing_ok=True)
        shutil.copy2(file, _old(file), follow_symlinks=False)


def _place(file: Path, item: Planned, undo: ExitStack) -> None:
    _new(file).replace(file)
    if item.state == NEW:
        undo.callback(file.unlink, missing_ok=True)
    else:
        undo.callback(_old(file).replace, file)
    sync_folder(file.parent)


def _new(file: Path) -> Path:
    return file.with_name(f".{file.name}.new")


def _old(file: Path) -> Path:
    return file.with_name(f".{file.name}.old")
