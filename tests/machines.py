"""Machines that work together: a Dask scheduler and its workers, on this one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Machines:
    """A scheduler and its workers: programs of their own, on ports that are free."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._about = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show",
                                     "--scheduler-file", str(self._about))  # fmt: skip
        self.workers: list[subprocess.Popen[bytes]] = []
        wait_for(lambda: self._about.exists() and bool(self._about.read_text()))
        address = json.loads(self._about.read_text())["address"]
        self.address = address.removeprefix("tcp://")

    def add(self, software: Path = ROOT) -> int:
        """Start one more worker, with the builder of a folder; return its process's number."""
        more = ("--no-nanny", "--nthreads", "1", "--host", "127.0.0.1",
                "--local-directory", str(self._folder))  # fmt: skip
        worker = self._start("worker", f"tcp://{self.address}", *more, folder=software)
        self.workers.append(worker)
        return worker.pid

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, *arguments: str, folder: Path = ROOT) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def wait_for(is_so: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)
