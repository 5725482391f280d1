"""Doing one thing to many pieces with several threads; the first failure ends all of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")

PATIENCE = 2.0  # seconds that a thread in a system call is waited for after a failure


class Stopped(Exception):  # noqa: N818 - never reported: another piece's failure is
    """This piece is no longer wanted."""


def run_parallel(
    items: Iterable[Item],
    work: Callable[[Item], None],
    *,
    threads: int,
    stop: threading.Event,
) -> None:
    """Call `work` on every item, in order of their start.

    When one call raises, or the user interrupts, `stop` is set and the first
    error is raised; `work` should look at `stop` now and then and raise
    Stopped. Threads that sit in a system call for longer are left behind.
    """
    jobs: SimpleQueue[Item] = SimpleQueue()
    for item in items:
        jobs.put(item)
    ends: SimpleQueue[BaseException | None] = SimpleQueue()
    # Not a pool: the interpreter would wait at its end for a connection that says nothing.
    workers = [
        threading.Thread(target=_drain, args=(jobs, work, ends), daemon=True)
        for _ in range(min(threads, jobs.qsize()))
    ]
    for worker in workers:
        worker.start()
    try:
        for _ in workers:
            _raise(ends.get())
    except BaseException:
        stop.set()
        for worker in workers:
            worker.join(PATIENCE)
        raise


def _drain(
    jobs: SimpleQueue[Item],
    work: Callable[[Item], None],
    ends: SimpleQueue[BaseException | None],
) -> None:
    try:
        while True:
            work(jobs.get_nowait())
    except Empty:
        ends.put(None)
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
        ends.put(error)


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
