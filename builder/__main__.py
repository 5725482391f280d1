"""The program `builder`: interrupted at any moment it says so, and shows no traceback.

It ends as it should where nobody can hear it, too.

The handler stands before anything slow is imported. An interruption in the
middle of an import can be swallowed by the import system, or come out of it
as another error, and one in a callback of a fork is printed and lost: it is
put off until these are done.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import resource
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

_SOON = 0.02  # seconds
_GARBAGE = 50_000  # new objects before the youngest are looked through: imports and templates stay
# What the standard library runs before and after each fork.
_AT_FORK = {"_acquireLock", "_releaseLock", "_after_fork", "_after_at_fork_child_reinit_locks"}


class _Heedless(io.FileIO):
    """Standard error: what cannot be said there does not change how a run ends."""

    def write(self, data: Any) -> int:
        """Write as much as can be."""
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


class _Results(io.FileIO):
    """Standard output: what cannot be said there is an error that says where."""

    def write(self, data: Any) -> int:
        """Write as much as can be; raises OSError with the name of the stream."""
        try:
            return super().write(data) or 0
        except OSError as error:
            from builder.errors import STANDARD_OUTPUT  # noqa: PLC0415 - see above

            error.filename = STANDARD_OUTPUT
            raise


def guard_streams() -> None:
    """Let the three standard streams be open, so that no file that is written gets their number.

    Results that cannot be written are an error of their own; messages are not.
    """
    while (number := os.open(os.devnull, os.O_RDONLY)) < 3:
        pass
    os.close(number)
    encoding, errors_are = (sys.stdout.encoding, sys.stdout.errors) if sys.stdout else (None, None)
    results = io.BufferedWriter(_Results(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(results, encoding, errors_are, line_buffering=os.isatty(1))
    errors = io.BufferedWriter(_Heedless(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(errors, errors="backslashreplace", line_buffering=True)


def main() -> None:
    """Run the command line and exit."""
    guard_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    gc.set_threshold(_GARBAGE)
    # Under a limit of file sizes Python keeps compiled modules cut short, and believes them later.
    sys.dont_write_bytecode |= resource.getrlimit(resource.RLIMIT_FSIZE)[0] != -1
    try:
        if {"recipes", "build"} <= set(sys.argv):
            from builder.recipes.hide import hide  # noqa: PLC0415 - for one command

            try:
                hide()
            except OSError as error:
                sys.stderr.write(
                    f"builder: cannot hide the environment from recipes: {error.strerror}\n"
                )
                sys.exit(3)
        from builder.cli import main as command_line  # noqa: PLC0415 - see above

        command_line()
    except KeyboardInterrupt as stop:
        sys.stderr.write("builder: interrupted\n")
        _end(128 + (stop.args or (signal.SIGINT,))[0])
    except SystemExit as end:
        _end(end.code)


def _end(code: int | str | None) -> NoReturn:
    """Exit; what was done is done, and a signal only hastens Python's own end, which waits."""
    status = code if isinstance(code, int) else int(code is not None)

    def at_once(number: int, frame: FrameType | None) -> None:
        del number, frame
        sys.stdout.flush()
        os._exit(status)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, at_once)
        # When no thread is left: Python would go back to what kills, and end as if killed at work.
        atexit.register(signal.signal, number, signal.SIG_IGN)
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") or code.co_name in _AT_FORK:
            threading.Timer(_SOON, os.kill, (os.getpid(), number)).start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    main()
