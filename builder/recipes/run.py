"""Running programs that strangers wrote: with a small environment, a limit, and a log.

A recipe is code. What it is given is what it needs to build: no tokens, no
keys, nothing that the environment of a CI job holds beside that. What it
leaves running is ended with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builder.errors import BuilderError, printable, redacted
from builder.storage.parallel import Stopped

OUTPUT = "BUILDER_OUTPUT"  # names a build's own folder, and with that all processes of the build
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR",
           "DOCKER_HOST", "DOCKER_CONTEXT", "SSL_CERT_FILE", "SSL_CERT_DIR",
           "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
           )  # fmt: skip
_PASSED_STARTS = ("LC_", "BUILDAH_", "CONTAINERS_", "STORAGE_", "APPTAINER_", "SINGULARITY_",
                  "BUILDX_")  # fmt: skip
_SECRET = ("TOKEN", "PASSWORD", "SECRET", "KEY", "PASSPHRASE", "CREDENTIAL", "USERNAME", "AUTH")
_SHARED = b"catatonit\n"  # podman's, one for all that a user runs
_TAIL = 20  # lines of a log that a failure shows
_TAIL_BYTES = 16 << 10
_PAUSE = 0.1  # seconds between two looks at a program
_GRACE = 1.0  # seconds between asking programs to end and making them


class ProgramError(BuilderError):
    """A program failed, took too long, or could not be started.

    `log` holds the last lines it wrote. They are marked, so that CI takes none for a command.
    """

    def __init__(self, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log = tuple(map(redacted, log))

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  | {printable(line)}" for line in self.log)])


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a build: what it needs of ours, and `more`."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in _PASSED
        or (key.startswith(_PASSED_STARTS) and not any(word in key.upper() for word in _SECRET))
    }
    return kept | dict(more)


class Runner:
    """Runs the commands of one build, all of them within `seconds`, into one log."""

    def __init__(self, log: Path, seconds: float, stop: threading.Event) -> None:
        self._log = log
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._stop = stop
        log.write_bytes(b"")

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
        """Run a program to its end; `variables` hold the build's `OUTPUT`.

        Raises ProgramError with the end of the log; Stopped when the run is
        given up meanwhile. On return all that the program started has ended.
        """
        with self._log.open("ab") as log:
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            try:
                process = subprocess.Popen(
                    command, cwd=folder, env=environment(variables), stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                where = error.filename or command[0]
                raise ProgramError(f"{where}: {error.strerror}") from error
        try:
            self._wait(process)
        finally:
            _end_group(process)
            end_leftovers(variables[OUTPUT])
        if process.returncode:
            code = process.returncode
            how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            raise ProgramError(f"{Path(command[0]).name} {how}", self._tail())

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if time.monotonic() > self._until:
                raise ProgramError(f"took longer than {self._seconds:g} seconds", self._tail())
            if self._stop.wait(_PAUSE):
                raise Stopped

    def _tail(self) -> list[str]:
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read().decode("utf-8", "replace").splitlines()[-_TAIL:]


def end_leftovers(output: str) -> None:
    """End every process of the build that writes to `output`, wherever it has gone.

    A process that left its group, or outlived a builder that was killed,
    still has the folder's name in its environment. Where there is no `/proc`
    nothing is found.
    """
    marker = f"{OUTPUT}={output}".encode()
    deadline = time.monotonic() + _GRACE
    while (found := list(_with_variable(marker))) and time.monotonic() < deadline:
        for number in found:
            _signal(number, signal.SIGKILL)
        time.sleep(_PAUSE / 10)


def _with_variable(marker: bytes) -> Iterator[int]:
    """Yield the processes that have a variable, `NAME=value`, in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            if (folder / "comm").read_bytes() == _SHARED:
                continue
        except OSError:  # it has ended, or is another user's
            continue
        yield int(folder.name)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and its process group: first asked to, then made to."""
    deadline = time.monotonic() + _GRACE
    alive = _signal(-process.pid, signal.SIGTERM)
    while alive and time.monotonic() < deadline:
        time.sleep(_PAUSE / 10)
        process.poll()
        alive = _signal(-process.pid, 0)
    if alive:
        _signal(-process.pid, signal.SIGKILL)
    process.wait()


def _signal(number: int, what: int) -> bool:
    """Send a signal to a process, or to the group of a negative number; tell if it is there."""
    try:
        os.kill(number, what)
    except (ProcessLookupError, PermissionError):
        return False
    return True
