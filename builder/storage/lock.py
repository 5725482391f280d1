"""One writer at a time: an advisory lock on a file, that dies with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import LocalError, LockedError

_PAUSE = 0.05  # seconds between two looks at a lock that somebody holds
_ORPHANS = 5.0  # seconds in which the workers of a killed run notice that it is gone


@contextmanager
def lock(path: Path, what: str, *, seconds: float = 0) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Raises LockedError, naming the holder's process, when another run has it
    for longer than `seconds`; LocalError when the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise LocalError.of(error, path, "is the folder writable?") from error
    try:
        _acquire(descriptor, what, time.monotonic() + seconds)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, what: str, until: float) -> None:
    orphaned = time.monotonic() + _ORPHANS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace")
            now = time.monotonic()
            if now < until or (now < orphaned and _is_gone(holder)):
                time.sleep(_PAUSE)
                continue
            message = f"another run is at work on {what} (process {holder or 'unknown'})"
            raise LockedError(message, "wait for it to end, then try again") from None
        return


def _is_gone(holder: str) -> bool:
    """Tell whether the process that took a lock has ended: then only its workers hold it yet."""
    return holder.isdigit() and not os.path.exists(f"/proc/{holder}")
