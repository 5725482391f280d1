"""Watching source folders: real changes only, gathered into one batch.

watchdog also reports opens and closes; a watcher that listens to those, and a
build that reads, keep each other busy for ever. So four kinds of event are
asked for, and a file counts as changed only when its time or size is new.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

QUIET = 0.05  # seconds without an event that end a burst
PATIENCE = 0.5  # seconds after which a burst is handed on even if it goes on
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileModifiedEvent, FileDeletedEvent, FileMovedEvent,
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent,
]  # fmt: skip

OnChange = Callable[[frozenset[str]], None]


class Watcher(FileSystemEventHandler):
    """Calls `on_change` with the changed paths, relative to `root`, from its own thread."""

    def __init__(self, root: Path, ignored: Iterable[Path], on_change: OnChange) -> None:
        self._root = os.path.realpath(root)
        self._ignored = tuple(f"{os.path.realpath(path)}/" for path in ignored)
        self._on_change = on_change
        self._seen: dict[str, tuple[int, int]] = {}
        self._pending: set[str] = set()
        self._first = self._last = 0.0
        self._signal = threading.Condition()
        self._stopped = False
        self._observer = Observer()
        self._thread = threading.Thread(target=self._deliver, daemon=True, name="watcher")

    def start(self) -> None:
        """Begin to watch."""
        for path in self._folders():
            self._observer.schedule(self, path, recursive=path != self._root, event_filter=_EVENTS)
        self._observer.start()
        self._thread.start()

    def stop(self) -> None:
        """End watching."""
        with self._signal:
            self._stopped = True
            self._signal.notify()
        self._observer.stop()
        self._observer.join()
        self._thread.join()

    def _folders(self) -> list[str]:
        """Return the root itself, and each folder of it that is read, with all below it."""
        with os.scandir(self._root) as entries:
            folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        return [self._root, *(path for path in folders if not self._is_ignored(f"{path}/"))]

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take one event of watchdog's."""
        for raw in (event.src_path, event.dest_path):
            path = os.fsdecode(raw) if raw else ""
            if path and not self._is_ignored(path) and self._is_real(event, path):
                self._add(path)

    def _is_ignored(self, path: str) -> bool:
        if f"{path}/".startswith(self._ignored):
            return True
        parts = path.removeprefix(self._root).strip("/").split("/")
        return any(part.startswith(".") or part.endswith("~") or part == "node_modules"
                   for part in parts if part)  # fmt: skip

    def _is_real(self, event: FileSystemEvent, path: str) -> bool:
        """Tell whether a file is other than when it was last seen."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            self._seen.pop(path, None)
            return True
        if event.event_type != "modified":
            self._seen[path] = (found.st_mtime_ns, found.st_size)
            return True
        state = (found.st_mtime_ns, found.st_size)
        if self._seen.get(path) == state:
            return False
        self._seen[path] = state
        return True

    def _add(self, path: str) -> None:
        with self._signal:
            now = time.monotonic()
            self._first = self._first if self._pending else now
            self._last = now
            self._pending.add(path.removeprefix(self._root).lstrip("/"))
            self._signal.notify()

    def _deliver(self) -> None:
        while (batch := self._next()) is not None:
            self._on_change(batch)

    def _next(self) -> frozenset[str] | None:
        """Wait for a burst to end; None when the watcher has stopped."""
        with self._signal:
            while not self._stopped:
                if not self._pending:
                    self._signal.wait()
                    continue
                now = time.monotonic()
                wait = min(self._last + QUIET, self._first + PATIENCE) - now
                if wait > 0:
                    self._signal.wait(wait)
                    continue
                batch, self._pending = frozenset(self._pending), set()
                return batch
        return None
