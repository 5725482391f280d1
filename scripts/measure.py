"""What a command costs, with all that it starts."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

BUILDER = [sys.executable, "-m", "builder"]


class Cost(NamedTuple):
    """Seconds on the wall, seconds of processor time, peak memory of all processes in MB."""

    wall: float
    cpu: float
    peak: float


def environment() -> dict[str, str]:
    """Return this environment; what is installed has its modules compiled, whatever this says."""
    return {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def measured(command: list[str]) -> Cost:
    """Run a command and return what it cost with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        env=environment(),
    )  # fmt: skip
    watch = _Watch(process.pid)
    watch.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    watch.ended.set()
    watch.join()
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)}\n{process.stderr.read().decode() if process.stderr else ''}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, max(watch.peak, usage.ru_maxrss) / 1024)


class _Watch(threading.Thread):
    """Looks ten times a second at what the processes of one session hold together, in kB.

    What several of them share counts once. A run that is shorter than that is
    known by its largest process alone.
    """

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.session = session
        self.peak = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            self.peak = max(self.peak, sum(map(self._held, Path("/proc").glob("[0-9]*"))))

    def _held(self, process: Path) -> int:
        with suppress(OSError, IndexError, ValueError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == self.session:
                lines = (process / "smaps_rollup").read_text().splitlines()
                return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return 0
