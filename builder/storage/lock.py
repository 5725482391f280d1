"""One writer at a time: an advisory lock on a file, that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import LocalError, LockedError


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Raises LockedError at once, naming the holder's process, when another run
    has it; LocalError when the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}", "is the folder writable?") from error
    try:
        _acquire(descriptor, what)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace") or "unknown"
        message = f"another run is at work on {what} (process {holder})"
        raise LockedError(message, "wait for it to end, then try again") from None
