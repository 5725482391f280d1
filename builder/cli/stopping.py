"""Ending a server by Ctrl-C or a signal, as any other command ends by it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Protocol


class _Server(Protocol):
    def run(self, started: Callable[[], None] | None = None) -> None:
        """Serve until stopped."""

    def stop(self) -> None:
        """End `run`; called from a signal handler."""


def run_until_stopped(server: _Server, ready: Callable[[], None]) -> None:
    """Run a server; raises KeyboardInterrupt when a signal has ended it."""
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        server.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.run(ready)
    if came:
        raise KeyboardInterrupt(came[0])
