"""Processes that make things, each with its own share of the work.

Workers are forked, so they start with everything the parent has read. An
item goes to the worker that had it before: what was loaded for one task is
still there for the next. A worker that dies costs the item it was at, never
the run: it is replaced. What can go on for ever, making one text, is done in
`Limited`, which bounds its processor time and says what died of it. A few items
are not worth a fork where this process is a worker itself, and may die of them.
"""

from __future__ import annotations

import gc
import mmap
import multiprocessing
import os
import resource
import signal
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, Self

from builder.errors import BuilderError, ContentError, LocalError, Problem

BATCH = 16
_COUNTER = 8  # bytes that say at which item of a batch a worker is
_NOTE = 8192  # bytes that say what it does there, if that is limited
_SHOWN = 500  # characters of a path; what is longer is cut
_note: mmap.mmap | None = None  # of this process, if it is a worker
_FORK = multiprocessing.get_context("fork")


class Death(NamedTuple):
    """The end of a worker: `why` in words; `path` and `what` it was at if its time was limited."""

    why: str
    path: str = ""
    what: str = ""
    seconds: int = 0
    hint: str = ""

    def problem(self) -> Problem:
        """Return what is wrong with what was being made; call where `path` is known."""
        message = f"took more than {self.seconds} seconds of processor time {self.what}"
        if self.why != "time":
            message = f"stopped the process that was {self.what} ({self.why})"
        return Problem(self.path, message=message, hint=self.hint)

    def error(self, process: str) -> LocalError:
        """Return what went wrong here when `process`, in words, died of nothing that it made."""
        return LocalError(f"{process} stopped ({self.why})", "is there enough memory?")


class Limited:
    """Bound the processor time of a block, where it runs in a worker.

    `what` says in an infinitive what is done for `path`, `hint` what helps if
    it takes too long. Nothing interrupts C code but the end of its process.
    """

    __slots__ = ("_note", "_seconds")

    def __init__(self, path: str, what: str, seconds: int, hint: str) -> None:
        self._note = f"{path[:_SHOWN]}\0{what[:_SHOWN]}\0{seconds}\0{hint}\0"
        self._seconds = seconds

    def __enter__(self) -> None:
        if _note is not None:
            text = self._note.encode("utf-8", "surrogateescape")
            _note[_COUNTER : _COUNTER + len(text)] = text
            signal.setitimer(signal.ITIMER_PROF, self._seconds)

    def __exit__(self, *_: object) -> None:
        if _note is not None:
            signal.setitimer(signal.ITIMER_PROF, 0)
            _note[_COUNTER] = 0


Died = Callable[[Any, Death], Any]


class Workers:
    """`count` processes that each own a forked copy of `session`.

    `run(task, items)` calls `session.<task>(item)` for every item. Processes that
    start others are no `daemon`s.
    """

    def __init__(self, session: object, count: int, *, daemon: bool = True) -> None:
        self._session = session
        self._slots = [_Slot(daemon=daemon) for _ in range(max(1, count))]
        self._owners: dict[Hashable, int] = {}

    def run(
        self,
        task: str,
        items: Sequence[Any],
        *,
        key: Callable[[Any], Hashable],
        died: Died,
    ) -> Iterator[Any]:
        """Yield the result of each item, in no order.

        `died` gives the result of an item whose worker did not survive it.
        Raises what a worker raised.
        """
        self._share(items, key)
        for slot in self._slots:
            slot.feed(self._session, task)
        while busy := {slot.pipe: slot for slot in self._slots if slot.pipe and slot.batch}:
            for ready in wait(list(busy)):
                slot = busy[ready]  # type: ignore[index] # wait returns what it was given
                yield from slot.collect(died)
                slot.feed(self._session, task)

    def tell(self, task: str, item: object) -> None:
        """Call `session.<task>(item)` in every worker there is; later ones copy the parent's."""
        for slot in self._slots:
            slot.tell(task, item)

    def close(self) -> None:
        """End the workers; harmless when they have ended."""
        for slot in self._slots:
            slot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _share(self, items: Sequence[Any], key: Callable[[Any], Hashable]) -> None:
        strangers = [item for item in items if key(item) not in self._owners]
        for number, item in enumerate(strangers):
            self._owners[key(item)] = number * len(self._slots) // len(strangers)
        for item in items:
            self._slots[self._owners[key(item)]].queue.append(item)


class Here:
    """This process, in place of `Workers`: nothing is copied, and a death is its own."""

    def __init__(self, session: object) -> None:
        self._session = session

    def run(
        self, task: str, items: Sequence[Any], *, key: Callable[[Any], Hashable], died: Died
    ) -> Iterator[Any]:
        """Yield the result of each item."""
        del key, died
        return map(getattr(self._session, task), items)

    def tell(self, task: str, item: object) -> None:
        """Do nothing: who tells has told the session already."""

    def close(self) -> None:
        """Keep the process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def few(session: object) -> Here | Workers:
    """Return who makes a few things: this process where it may die of one, else one more."""
    return Here(session) if _note is not None else Workers(session, 1)


class _Slot:
    """One worker's place: its process, what it is at, and what is still to come."""

    def __init__(self, *, daemon: bool) -> None:
        self._daemon = daemon
        self.queue: deque[Any] = deque()
        self.batch: list[Any] = []
        self.pipe: Connection | None = None
        self._process: Any = None
        self._position = mmap.mmap(-1, _COUNTER + _NOTE)

    def feed(self, session: object, task: str) -> None:
        """Send the next batch, starting the process when there is none."""
        if self.batch or not self.queue:
            return
        if self.pipe is None:
            self._start(session)
        self.batch = [self.queue.popleft() for _ in range(min(BATCH, len(self.queue)))]
        self._position[: _COUNTER + 1] = bytes(_COUNTER + 1)
        if self.pipe is not None:
            self.pipe.send((task, self.batch))

    def tell(self, task: str, item: object) -> None:
        """Give the idle process one item whose result nobody needs."""
        if self.pipe is not None:
            self.pipe.send((task, [item]))
            self.pipe.recv()

    def collect(self, died: Died) -> Iterator[Any]:
        """Yield the results of the batch; after a death, of the item that caused it."""
        batch, self.batch = self.batch, []
        if self.pipe is None:
            return
        try:
            answer = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            culprit = min(int.from_bytes(self._position[:_COUNTER], "little"), len(batch) - 1)
            death = self._death(self._end())
            self.queue.extendleft(reversed(batch[:culprit] + batch[culprit + 1 :]))
            yield died(batch[culprit], death)
            return
        if isinstance(answer, BuilderError):
            raise answer
        yield from answer

    def close(self) -> None:
        """End the process."""
        if self.pipe is not None:
            if self.batch:
                self._process.terminate()
            else:  # later workers hold copies of this pipe, so closing it alone tells nothing
                with suppress(BrokenPipeError):  # it was killed meanwhile
                    self.pipe.send(None)
            self._end()
        self.batch = []
        self.queue.clear()

    def _start(self, session: object) -> None:
        ours, theirs = _FORK.Pipe()
        arguments = (session, theirs, ours, self._position)
        self._process = _FORK.Process(target=_work, args=arguments, daemon=self._daemon)
        self._process.start()
        theirs.close()
        self.pipe = ours

    def _end(self) -> str:
        if self.pipe is not None:
            self.pipe.close()
            self.pipe = None
        self._process.join()
        code = self._process.exitcode
        if code == -signal.SIGPROF:
            return "time"
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def _death(self, why: str) -> Death:
        """Return how the worker ended, and what it was at."""
        if not self._position[_COUNTER]:
            return Death(why)
        note = self._position[_COUNTER:].decode("utf-8", "surrogateescape")
        path, what, seconds, hint, *_ = note.split("\0")
        return Death(why, path, what, int(seconds), hint)


def _work(session: object, pipe: Connection, parents: Connection, position: mmap.mmap) -> None:
    """Answer batches until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    global _note  # noqa: PLW0603 - what the process is, for all of its life
    _note = position
    parents.close()
    # What was read before the fork stays: looking through it again and again
    # costs time, and copies pages that the processes share.
    gc.freeze()
    while True:
        try:
            message = pipe.recv()
        except (EOFError, ConnectionResetError):
            os._exit(0)
        if message is None:
            os._exit(0)
        task, batch = message
        try:
            answer: Any = _answers(getattr(session, task), batch, position)
        except BuilderError as error:
            answer = portable(error)
        except OSError as error:
            answer = _portable_local(error)
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)


def _answers(method: Callable[[Any], Any], batch: Sequence[Any], position: mmap.mmap) -> list[Any]:
    results = []
    for number, item in enumerate(batch):
        position[:_COUNTER] = number.to_bytes(_COUNTER, "little")
        results.append(method(item))
    return results


def portable(error: BuilderError) -> BuilderError:
    """Return an error that survives a pipe: exceptions with own arguments do not."""
    if isinstance(error, ContentError):
        return _ProblemsError(error)
    return _ToldError(error)


def _portable_local(error: OSError) -> BuilderError:
    from builder.errors import LocalError  # noqa: PLC0415 - only where a disk fails

    return _ToldError(
        LocalError.of(error, error.filename or "a worker", "is there space and room?")
    )


class _ToldError(BuilderError):
    """An error of a worker, with its class told by a reducer."""

    def __init__(self, error: BuilderError) -> None:
        super().__init__(error.message, error.hint)
        self._kind = type(error)

    def __reduce__(self) -> Any:
        kind = next(
            base for base in self._kind.__mro__ if base.__module__ == BuilderError.__module__
        )
        return kind, (self.message, self.hint)


class _ProblemsError(ContentError):
    """Problems of a worker, in a form that survives a pipe."""

    def __init__(self, error: ContentError) -> None:
        super().__init__(error.problems)

    def __reduce__(self) -> Any:
        return ContentError, (self.problems,)
