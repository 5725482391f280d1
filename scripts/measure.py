"""What a command costs, with all that it starts; and how costs become rows of a table."""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

BUILDER = [sys.executable, "-m", "builder"]
Row = dict[str, float]
Rows = dict[str, Row]

_BEGAN = time.monotonic()
_DEBIAN = {"nginx": "nginx-light", "ab": "apache2-utils"}  # the others are named as their program


class Cost(NamedTuple):
    """Seconds on the wall, seconds of processor time, peak memory of all processes in MB."""

    wall: float
    cpu: float
    peak: float


class MissingError(Exception):
    """What a subject needs is not installed; the text says how to get it."""


def need(*programs: str, package: str = "") -> None:
    """Raise MissingError unless all programs, and the Python package, are installed."""
    missing = [_DEBIAN.get(name, name) for name in programs if shutil.which(name) is None]
    if missing:
        raise MissingError(f"apt-get install {' '.join(missing)}")
    if package and importlib.util.find_spec(package) is None:
        raise MissingError(f"pip install {package}")


def say(text: str) -> None:
    """Print progress, after the seconds since the start."""
    short = re.sub(r"\S*/bench-\w+/", "", text).removeprefix(f"{sys.executable} -m ")
    print(f"[{time.monotonic() - _BEGAN:6.0f} s] {short}", file=sys.stderr, flush=True)


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return this environment; what is installed has its modules compiled, whatever this says."""
    kept = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | (extra or {})


def measured(command: list[str], extra: dict[str, str] | None = None) -> Cost:
    """Run a command and return what it cost with all its children."""
    say(" ".join(command))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        env=environment(extra),
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


def in_turns(
    makers: Mapping[str, Callable[[int], Iterable[tuple[str, Cost]]]], runs: int
) -> dict[str, dict[str, Cost]]:
    """Let each maker do its works, one after the other, `runs` times; return the medians.

    In turns, so that a machine whose speed drifts tells the same ratios.
    """
    costs: dict[str, dict[str, list[Cost]]] = {name: {} for name in makers}
    for number in range(runs):
        for name, make in makers.items():
            for what, cost in make(number):
                costs[name].setdefault(what, []).append(cost)
    return {
        name: {what: middle(found) for what, found in mine.items()} for name, mine in costs.items()
    }


def middle(costs: Iterable[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(*(median(figures) for figures in zip(*costs, strict=True)))


def row(cost: Cost, **peers: Cost | None) -> Row:
    """Return a cost as figures, and as shares of what peers take for the same."""
    figures = {"wall s": cost.wall, "cpu s": cost.cpu, "peak MB": cost.peak}
    for name, peer in peers.items():
        if peer is not None:
            figures |= {
                f"wall / {name}": cost.wall / peer.wall,
                f"cpu / {name}": cost.cpu / peer.cpu,
                f"peak / {name}": cost.peak / peer.peak,
            }
    return figures


def growth(cost: Cost, smaller: Cost, times: float) -> Row:
    """Return what a cost is of a smaller registry's, `times` taken: 1 is linear."""
    return {
        "wall / linear": cost.wall / smaller.wall / times,
        "cpu / linear": cost.cpu / smaller.cpu / times,
    }


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
