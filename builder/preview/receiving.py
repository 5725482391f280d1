"""Requests that write: their bodies go, piece by piece, to whoever takes pushes.

The next piece is read while the last is hashed and written, and no third: a
body of any size needs the memory of two.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Protocol

from builder.preview.respond import Request, Response
from builder.preview.sending import aside

PIECE = 512 << 10  # bytes that are written at once
IDLE_SECONDS = 60  # after which a body that has stopped coming is given up
_MAX_DRAINED = 16 << 20  # bytes of a refused body that are read, so that the answer arrives
_WRITERS = concurrent.futures.ThreadPoolExecutor(4, "receiving")


async def check(name_of: Callable[[str], str | None], said: str) -> str | None:
    """Return who somebody is; few are asked at once, because each answer costs much."""
    return await asyncio.get_running_loop().run_in_executor(_WRITERS, name_of, said)


class Transfer(Protocol):
    """A request whose body is on its way."""

    answer: Response | None  # once no body can change it

    def write(self, data: bytes) -> None:
        """Take the next piece of the body."""

    def finish(self) -> Response:
        """Do what was asked for, and return the answer."""

    def abort(self) -> None:
        """Give up: the client has gone."""


class Receiver(Protocol):
    """Whoever takes pushes; called in any thread."""

    def takes(self, request: Request) -> bool:
        """Tell whether a request is for it."""

    def begin(self, request: Request) -> Transfer:
        """Return what takes the request's body."""


class Inbox:
    """The body of one request on its way to a transfer; used on the server's loop."""

    def __init__(self, transfer: Transfer, give_up: Callable[[], None]) -> None:
        self._transfer = transfer
        self._give_up = give_up
        self._pieces: list[bytes] = []
        self._size = 0
        self._drained = 0
        self._came = True
        self._writing: asyncio.Future[None] | None = None
        self._clock = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._look)

    @property
    def is_hopeless(self) -> bool:
        """Whether so much comes of a body that was refused that the client is hung up on."""
        return self._drained > _MAX_DRAINED

    async def take(self, chunk: bytes) -> None:
        """Take what has come; returns when more may come."""
        self._came = True
        if self._transfer.answer is not None:
            self._drained += len(chunk)
            return
        self._pieces.append(chunk)
        self._size += len(chunk)
        if self._size >= PIECE:
            await self._write()

    async def finish(self) -> Response:
        """Return the answer, when the body is there or refused."""
        self._clock.cancel()
        if self._pieces:
            await self._write()
        await self._written()
        if self._transfer.answer is not None:
            return self._transfer.answer
        return await aside(self._transfer.finish)

    def abort(self) -> None:
        """Tell the transfer that the client has gone."""
        self._clock.cancel()
        _WRITERS.submit(self._transfer.abort)

    async def _write(self) -> None:
        await self._written()
        data = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(_WRITERS, self._transfer.write, data)

    async def _written(self) -> None:
        if self._writing is not None:
            await self._writing

    def _look(self) -> None:
        if not self._came:
            self._give_up()
            return
        self._came = False
        self._clock = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._look)
