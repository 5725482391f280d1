"""The machines behind a scheduler of dask.distributed, as a pool.

Content is read from and written to folders that all machines share; through
the scheduler go names and results alone, a few batches for each thread at a
time, so that its memory does not grow with the registry. What was made is put
in place by this process, as in a local run: until then nothing has changed.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import shutil
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Self

from distributed import Client, Future, KilledWorker

from builder.errors import BuilderError, RemoteError
from builder.fingerprint import software_key
from builder.write.helper import Ended, Order, State, digest_of, work
from builder.write.workers import BATCH, Died

PATIENCE = 30.0  # seconds to wait for a scheduler, or for a first worker
AHEAD = 3  # batches for each thread: one it is at, the others on their way
_TRIES = 3  # of a batch whose helper ended or whose scheduler was lost


_Done = Future[tuple[str, bytes]]  # that is to be, or never will


class _Batch(NamedTuple):
    """Items on their way; `owner` is the address of the worker that is to have them."""

    owner: str
    items: list[Any]
    tries: int = 0


class Cluster:
    """A pool of the workers behind the scheduler at `address`; `count` is their own affair."""

    def __init__(self, address: str, shared: Path | None, session: object, count: int) -> None:
        del count
        self._address = address
        self._session = session
        self._name = os.urandom(8).hex()
        self._shared = shared / self._name if shared else None
        self._states: list[State] = []
        self._owners: dict[Hashable, str] = {}
        self._client: Client | None = None

    def run(
        self, task: str, items: Sequence[Any], *, key: Callable[[Any], Hashable], died: Died
    ) -> Iterator[Any]:
        """See `Pool`."""
        todo = self._batches(items, key)
        again: deque[_Batch] = deque()
        flying: dict[Any, _Batch] = {}
        done: SimpleQueue[_Done] = SimpleQueue()
        while True:
            while (not flying or len(flying) < self._window()) and (
                batch := again.popleft() if again else next(todo, None)
            ):
                future = self._submitted(task, batch)
                flying[future.key] = batch
                future.add_done_callback(done.put)
            if not flying:
                return
            future = self._finished(done)
            batch = flying.pop(future.key)
            answer = self._answer(future)
            if answer is None and batch.tries == _TRIES:
                raise self._lost()
            if answer is None:
                again.append(_Batch("", batch.items, batch.tries + 1))
                continue
            where, results = answer
            self._owners.update((key(item), where) for item in batch.items)
            for result in results:
                yield died(*result) if isinstance(result, Ended) else result

    def tell(self, task: str, item: object) -> None:
        """See `Pool`; who comes later is told first of all."""
        if self._states:
            self._add((task, item))

    def close(self) -> None:
        """Leave the cluster, and take away what was handed over."""
        if self._client is not None:
            with _no_collection():
                self._client.close(timeout=1)
            self._client = None
        if self._shared is not None:
            shutil.rmtree(self._shared, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _batches(self, items: Sequence[Any], key: Callable[[Any], Hashable]) -> Iterator[_Batch]:
        """Yield batches, each of items that one worker had before."""
        groups: dict[str, list[Any]] = {}
        for item in items:
            owner = self._owners.get(key(item), "")
            group = groups.setdefault(owner, [])
            group.append(item)
            if len(group) == BATCH:
                yield _Batch(owner, groups.pop(owner))
        for owner, group in groups.items():
            yield _Batch(owner, group)

    def _submitted(self, task: str, batch: _Batch) -> _Done:
        """Send a batch on its way, with the session's states by name."""
        if self._client is None:
            self._client = self._connected()
            self._add(self._session)
        order = Order(software_key(), tuple(self._states), task, batch.items)
        where = {"workers": [batch.owner], "allow_other_workers": True} if batch.owner else {}
        try:
            return self._client.submit(
                work, pickle.dumps(order), pure=False, retries=_TRIES, **where
            )
        except Exception as error:  # it has closed itself, when it could not come back
            raise self._lost() from error

    def _connected(self) -> Client:
        log = logging.getLogger("distributed")  # what goes wrong there becomes our error
        log.handlers, log.propagate = [logging.NullHandler()], False
        try:
            with _no_collection():
                return Client(f"tcp://{self._address}", timeout=PATIENCE, set_as_default=False)
        except Exception as error:
            hint = "is the scheduler running, and does its port answer from here?"
            raise self._error(f"no Dask scheduler answers: {error}", hint) from error

    def _add(self, value: object) -> None:
        """Hand over what sessions are made of."""
        data, number = pickle.dumps(value), len(self._states)
        state = State(f"{self._name} {number}", digest_of(data), data)
        if self._shared is not None:
            self._shared.mkdir(parents=True, exist_ok=True)
            path = self._shared / f"{number}.pickle"
            path.write_bytes(data)
            state = state._replace(data=b"", path=str(path))
        self._states.append(state)

    def _workers(self) -> Mapping[str, Any]:
        """Return what the scheduler said last of its workers."""
        if self._client is None:
            return {}
        workers: Mapping[str, Any] = self._client.scheduler_info().get("workers", {})
        return workers

    def _window(self) -> int:
        """Return how many batches may be on their way."""
        threads: int = sum(worker["nthreads"] for worker in self._workers().values())
        return AHEAD * max(1, threads)

    def _finished(self, done: SimpleQueue[_Done]) -> _Done:
        """Return a future that has an answer, or never will; raises RemoteError for no workers."""
        seen = time.monotonic()
        while True:
            try:
                return done.get(timeout=0.5)
            except Empty:
                if self._client is None or self._client.status not in ("running", "connecting"):
                    raise self._lost() from None
                if self._workers():
                    seen = time.monotonic()
                elif time.monotonic() - seen > PATIENCE:
                    hint = "start some: dask worker HOST:PORT"
                    raise self._error("the scheduler has no workers", hint) from None

    def _answer(self, future: _Done) -> tuple[str, list[Any]] | None:
        """Return which worker it was, and its results; None where the scheduler lost it."""
        try:
            where, data = future.result()
        except CancelledError:
            return None
        except KilledWorker as error:
            message = f"a batch stopped one worker after the other: {error.last_worker}"
            raise self._error(message, "do they have enough memory?") from error
        except Exception as error:
            message = f"a worker cannot do its work: {type(error).__name__}: {error}"
            raise self._error(message, "does it have this version of the builder?") from error
        answer = pickle.loads(data)  # noqa: S301 - our own helper's
        if isinstance(answer, BuilderError):
            raise answer
        return where, answer

    def _lost(self) -> RemoteError:
        return self._error("the scheduler was lost", "is it still there?")

    def _error(self, message: str, hint: str) -> RemoteError:
        return RemoteError(f"dask://{self._address}: {message}", hint)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Collect garbage before a client starts or ends, and none meanwhile.

    A client that is collected stops its loop, for which it waits until the
    other has started: for ever, where that is what the collection came into.
    """
    gc.collect()
    usual = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if usual:
            gc.enable()
