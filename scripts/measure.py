"""What a command costs, with all that it starts."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from typing import NamedTuple

BUILDER = [sys.executable, "-m", "builder"]


class Cost(NamedTuple):
    """Seconds on the wall, seconds of processor time, peak memory of one process in MB."""

    wall: float
    cpu: float
    peak: float


def measured(command: list[str]) -> Cost:
    """Run a command and return what it cost with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)}\n{process.stderr.read().decode() if process.stderr else ''}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, usage.ru_maxrss / 1024)
