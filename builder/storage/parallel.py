"""Doing one thing to many pieces with several threads; the first failure ends all of it."""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue
from typing import Generic, TypeVar

from builder.errors import LocalError

Item = TypeVar("Item")

PATIENCE = 2.0  # seconds that a thread in a system call is waited for after a failure
_OWN_FILES = 20  # that a run has open beside those of its threads
_FILES = 3  # that a thread has open: what it reads, what it writes, and the folder of that


# Told what is being done, how much of it is done, and how much there is.
Steps = Callable[[str, int, int], None]
# Given how many bytes will come, if that is known; the block calls what it gets with each count.
Progress = Callable[[int | None], AbstractContextManager[Callable[[int], None]]]


def silent(_: int | None) -> AbstractContextManager[Callable[[int], None]]:
    """Show no progress."""
    return nullcontext(lambda _: None)


class Stopped(Exception):  # noqa: N818 - never reported: another piece's failure is
    """This piece is no longer wanted."""


def run_parallel(
    items: Iterable[Item],
    work: Callable[[Item], None],
    *,
    threads: int,
    stop: threading.Event,
) -> None:
    """Call `work` on every item, in order of their start; see `run_growing`."""

    def leaf(item: Item) -> Iterable[Item]:
        work(item)
        return ()

    jobs = list(items)
    run_growing(jobs, leaf, threads=min(threads, len(jobs)), stop=stop)


def run_growing(
    items: Iterable[Item],
    work: Callable[[Item], Iterable[Item]],
    *,
    threads: int,
    stop: threading.Event,
) -> None:
    """Call `work` on every item, and on those it returns before any that waited already.

    So what waits stays small where one item leads to many. When one call
    raises, or the user interrupts, `stop` is set and the first error is
    raised; `work` should look at `stop` now and then and raise Stopped.
    Threads that sit in a system call for longer are left behind.
    """
    threads = min(threads, _affordable())
    jobs = _Stack(items)
    ends: SimpleQueue[BaseException | None] = SimpleQueue()
    # Not a pool: the interpreter would wait at its end for a connection that says nothing.
    workers = [
        threading.Thread(target=_drain, args=(jobs, work, ends), daemon=True)
        for _ in range(threads)
    ]
    workers = workers[: _start(workers)]
    try:
        for _ in workers:
            _raise(ends.get())
    except BaseException:
        stop.set()
        jobs.close()
        for worker in workers:
            worker.join(PATIENCE)
        raise


def _affordable() -> int:
    """Return how many threads can have their files open at once, by the limit of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = sys.maxsize if soft == resource.RLIM_INFINITY else soft
    return max(1, (files - _OWN_FILES) // _FILES)


def _start(workers: list[threading.Thread]) -> int:
    """Return how many could be started; raises LocalError where not even one can be."""
    for number, worker in enumerate(workers):
        try:
            worker.start()
        except RuntimeError as error:
            if number == 0:
                hint = "allow more processes and more memory: see 'ulimit -u' and 'ulimit -v'"
                raise LocalError("no thread can be started here", hint) from error
            return number  # these do the work of all
    return len(workers)


class _Stack(Generic[Item]):
    """What waits, and how many are at work that may add to it."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = list(items)[::-1]
        self._busy = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self) -> Item | None:
        """Return the next item; None when there is none and will be none."""
        with self._changed:
            while not self._items and self._busy and not self._closed:
                self._changed.wait()
            if self._closed or not self._items:
                return None
            self._busy += 1
            return self._items.pop()

    def done(self, more: Iterable[Item]) -> None:
        """Note that an item was worked on, and what it led to."""
        new = list(more)[::-1]
        with self._changed:
            self._items += new
            self._busy -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody take anything more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _drain(
    jobs: _Stack[Item],
    work: Callable[[Item], Iterable[Item]],
    ends: SimpleQueue[BaseException | None],
) -> None:
    try:
        while (item := jobs.take()) is not None:
            jobs.done(work(item))
        ends.put(None)
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
        ends.put(error)


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
