"""Where a run's work is done: by processes of this machine, or by a cluster's machines.

An engine is given a session, a value whose methods are the tasks, and returns
a pool that calls them on items. What comes out is the same wherever it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from builder.errors import UsageError
from builder.write.workers import Died, Workers


class Pool(Protocol):
    """Those that do the work of one session; as a context they are let go at its end."""

    def run(
        self, task: str, items: Sequence[Any], *, key: Callable[[Any], Hashable], died: Died
    ) -> Iterator[Any]:
        """Yield what `session.<task>(item)` returns for each item, in no order.

        Items with one `key` go to where that key's item went before, as far as
        that is to be had. `died` gives the result of an item whose process did
        not survive it. Raises what the session raised; RemoteError for a
        cluster that does not do the work.
        """

    def tell(self, task: str, item: object) -> None:
        """Let `session.<task>(item)` be called wherever the session is."""

    def close(self) -> None:
        """Let them go, and what they hold; harmless when they have gone."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


Engine = Callable[[object, int], Pool]  # given a session, and how many processes of this machine


def open_engine(text: str, shared: Path | None = None) -> Engine:
    """Return the engine that a user names: `local`, or `dask://HOST:PORT`.

    `shared` is a folder that all machines have at the same path, where large
    sessions are handed over. Raises UsageError for anything else, and where
    Dask is not installed.
    """
    if text == "local":
        return Workers
    scheme, _, address = text.partition("://")
    if scheme != "dask" or not address:
        hint = "write 'local', or 'dask://HOST:PORT' of a Dask scheduler"
        raise UsageError(f"{text}: there is no such engine", hint)
    try:
        from builder.write.cluster import Cluster  # noqa: PLC0415 - an extra, and half a second
    except ImportError as error:
        hint = "pip install 'static-container-registry[dask]'"
        raise UsageError(f"--engine {text} needs dask.distributed: {error}", hint) from None
    return partial(Cluster, address, shared)
