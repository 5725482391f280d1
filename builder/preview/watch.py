"""Watching source folders: real changes only, gathered into one batch.

watchdog also reports opens and closes; a watcher that listens to those, and a
build that reads, keep each other busy for ever. So four kinds of event are
asked for, and a file counts as changed only when its time or size is new.
Folders that come to the root later are watched from then on.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
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
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.polling import PollingObserver

log = logging.getLogger(__name__)
# watchdog meets a folder that is filled while it looks twice, which does no harm.
warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)

QUIET = 0.01  # seconds without an event that end a burst
POLL_SECONDS = 1
_LIMITS = {errno.ENOSPC: "max_user_watches=524288", errno.EMFILE: "max_user_instances=1024"}
PATIENCE = 0.5  # seconds after which a burst is handed on even if it goes on
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileModifiedEvent, FileDeletedEvent, FileMovedEvent,
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent,
]  # fmt: skip

OnChange = Callable[[frozenset[str]], object]


class Watcher(FileSystemEventHandler):
    """Calls `on_change` with the changed paths, relative to `root`, from its own thread.

    `is_read` tells of such a path whether it is of interest. `say` hears when
    the system's means of watching are used up and files are looked at instead.
    """

    def __init__(
        self,
        root: Path,
        is_read: Callable[[str], bool],
        on_change: OnChange,
        say: Callable[[str], None],
    ) -> None:
        self._root = os.path.realpath(root)
        self._is_read = is_read
        self._on_change = on_change
        self._say = say
        self._seen: dict[str, tuple[int, int]] = {}
        self._watches: dict[str, ObservedWatch] = {}
        self._pending: set[str] = set()
        self._first = self._last = 0.0
        self._signal = threading.Condition()
        self._stopped = False
        self._grown = False
        self._observer: BaseObserver = PollingObserver(timeout=POLL_SECONDS)  # until `start`
        self._thread = threading.Thread(target=self._deliver, daemon=True, name="watcher")

    def start(self) -> None:
        """Begin to watch."""
        self._or_poll(self._ask_system)
        self._thread.start()

    def look(self) -> None:
        """Call `on_change` once with nothing that changed: what came before is unknown."""
        self._add("")

    def _ask_system(self) -> None:
        self._observer = Observer()
        self._begin()

    def _begin(self) -> None:
        for path in self._folders():
            self._watch(path)
        self._observer.start()
        self._try_one_more()

    def _try_one_more(self) -> None:
        """Raise OSError where no further folder can be watched.

        watchdog says nothing of a folder below another that it could not watch.
        """
        self._observer.unschedule(self._observer.schedule(FileSystemEventHandler(), os.sep))

    def _or_poll(self, watching: Callable[[], None]) -> None:
        """Do what asks the system for watches; where these are used up, poll from now on."""
        try:
            watching()
        except OSError as error:
            if error.errno not in _LIMITS:
                raise
            self._poll(_LIMITS[error.errno])

    def _poll(self, limit: str) -> None:
        """Look at all files again and again, where the system cannot tell of changes."""
        if self._observer.is_alive():
            self._observer.stop()
        self._observer.unschedule_all()
        self._observer = PollingObserver(timeout=POLL_SECONDS)
        self._watches.clear()
        self._begin()
        # What changes before its threads have looked for the first time is seen by this.
        late = threading.Timer(2 * POLL_SECONDS, self.look)
        late.daemon = True
        late.start()
        self._say(
            "note: the limit of inotify is reached, so files are looked at every second;\n"
            f"      'sysctl fs.inotify.{limit}' as root raises it"
        )

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
        return [self._root, *(path for path in folders if self._is_read(self._relative(path)))]

    def _watch(self, path: str) -> None:
        self._watches[path] = self._observer.schedule(
            self, path, recursive=path != self._root, event_filter=_EVENTS
        )

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take one event of watchdog's."""
        for raw in (event.src_path, event.dest_path):
            path = os.fsdecode(raw) if raw else ""
            if path and path != self._root and self._is_read(self._relative(path)):
                if event.is_directory:
                    self._grown = True
                    if os.path.dirname(path) == self._root:
                        self._folder_moved(path)
                if self._is_real(event, path):
                    self._add(self._relative(path))

    def _folder_moved(self, path: str) -> None:
        """Watch a folder that came to the root; forget one that has gone."""
        held = self._watches.pop(path, None)
        if held is not None:
            self._observer.unschedule(held)
        if os.path.isdir(path) and not os.path.islink(path):
            try:
                self._watch(path)
            except OSError as error:
                log.debug("%s cannot be watched: %s", path, error)

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

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
            self._pending.add(path)
            self._signal.notify()

    def _deliver(self) -> None:
        while (batch := self._next()) is not None:
            if self._grown:
                self._grown = False
                self._or_poll(self._try_one_more)
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
