"""What a machine of a cluster does with a batch of items.

A thread of a Dask worker hands the batch to a process of its own, which forks
as a local run does: so a page that does not come to an end costs that page
and never the worker, and what was loaded for one task is there for the next.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from builder.errors import BuilderError, RemoteError
from builder.fingerprint import software_key
from builder.write.workers import Death, Workers, portable

_IDLE = 300  # seconds without work after which the process ends, and its memory is free
_THREAD = threading.local()


class State(NamedTuple):
    """Bytes that a session is made of: here, or in a file that all machines see."""

    name: str  # its own in all runs
    digest: str
    data: bytes = b""
    path: str = ""

    def read(self) -> Any:
        """Return the value; raises RemoteError where the file is not the one that was written."""
        try:
            data = Path(self.path).read_bytes() if self.path else self.data
        except OSError as error:
            raise self._unseen(error.strerror or "") from error
        if digest_of(data) != self.digest:
            raise self._unseen("it has other content here")
        return pickle.loads(data)  # noqa: S301 - what our own run has written for us

    def _unseen(self, why: str) -> RemoteError:
        hint = "the registry and its destination must be at the same path on all machines"
        return RemoteError(f"{os.uname().nodename} cannot read {self.path}: {why}", hint)


class Order(NamedTuple):
    """A batch of items, what to do with them, and for which session; pickled for the way."""

    software: str
    states: tuple[State, ...]
    task: str
    batch: list[Any]


class Ended(NamedTuple):
    """The result of an item that its process did not survive."""

    item: Any
    death: Death


def digest_of(data: bytes) -> str:
    """Return what a state is known again by."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def work(order: bytes) -> tuple[str, bytes]:
    """Do an order in a thread of a Dask worker; return where that was, and the pickled answer.

    The answer is a list of results, or the error that ended the batch.
    """
    from distributed import get_worker  # noqa: PLC0415 - the process below has no use for it

    process = getattr(_THREAD, "process", None)
    if process is None or process.poll() is not None:
        command = [sys.executable, "-c", f"from {__name__} import main; main()"]
        pipe = subprocess.PIPE
        process = _THREAD.process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
    answer = _asked(process, order)
    return get_worker().address, answer


def _asked(process: subprocess.Popen[bytes], order: bytes) -> bytes:
    """Raise RuntimeError for a process that has ended, and Dask tries again."""
    try:
        _send(process.stdin, order)
        return _received(process.stdout)
    except (EOFError, BrokenPipeError):
        code = process.wait()
        raise RuntimeError(f"the builder's process on this machine ended ({code})") from None


def _send(pipe: BinaryIO | Any, data: bytes) -> None:
    pipe.write(len(data).to_bytes(8, "big") + data)
    pipe.flush()


def _received(pipe: BinaryIO | Any) -> bytes:
    size: bytes = pipe.read(8)
    data: bytes = pipe.read(int.from_bytes(size, "big"))
    if len(size) < 8 or len(data) < int.from_bytes(size, "big"):
        raise EOFError
    return data


class _Host:
    """The session of the states at hand, and the process that was forked with it."""

    def __init__(self) -> None:
        self._states: tuple[State, ...] = ()
        self._session: Any = None
        self._workers: Workers | None = None

    def answer(self, order: Order) -> list[Any]:
        """Return the results of a batch."""
        if order.software != software_key():
            message = f"{os.uname().nodename} has another version of the builder, or of a library"
            raise RemoteError(message, "install the same on all machines")
        workers = self._at(order.states)
        return list(workers.run(order.task, order.batch, key=lambda _: 0, died=Ended))

    def _at(self, states: tuple[State, ...]) -> Workers:
        known = len(self._states)
        if self._workers is None or self._states != states[:known]:
            if self._workers is not None:
                self._workers.close()
            self._session, known = states[0].read(), 1
            self._workers = Workers(self._session, 1)
        for state in states[known:]:
            task, item = state.read()
            getattr(self._session, task)(item)
            self._workers.tell(task, item)
        self._states = states
        return self._workers


def main() -> None:
    """Do the orders that come on standard input, until it ends or nothing comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not print between answers
    host = _Host()
    while select.select([sys.stdin], [], [], _IDLE)[0]:
        try:
            order: Order = pickle.loads(_received(sys.stdin.buffer))  # noqa: S301 - see State
            answer: Any = host.answer(order)
        except EOFError:
            return
        except BuilderError as error:
            answer = portable(error)
        _send(answers, pickle.dumps(answer))
