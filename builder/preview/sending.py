"""Bodies on their way to a client: in pieces, and no next one before the last is taken."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable
from typing import BinaryIO, ParamSpec, TypeVar

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from builder.errors import BuilderError
from builder.preview.lookup import Arriving

log = logging.getLogger(__name__)

CHUNK = 256 << 10
Given = ParamSpec("Given")
Result = TypeVar("Result")


async def aside(
    function: Callable[Given, Result], *arguments: Given.args, **named: Given.kwargs
) -> Result:
    """Call a function in a thread of its own, which does not keep the program from ending."""
    future: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def work() -> None:
        try:
            result = function(*arguments, **named)
        except BaseException as error:  # noqa: BLE001 - not swallowed: handed on
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, daemon=True).start()
    return await asyncio.wrap_future(future)


async def send(handler: RequestHandler, stream: BinaryIO, left: int) -> None:
    """Send `left` bytes of a stream.

    Where it raises BuilderError the connection ends: half of an answer must
    not look like the whole.
    """
    try:
        while left:
            chunk = stream.read(min(CHUNK, left))
            if isinstance(stream, Arriving) and chunk is None:
                await _more(stream)
                continue
            if not chunk:
                return
            left -= len(chunk)
            handler.write(chunk)
            await handler.flush()
    except StreamClosedError:
        return
    except BuilderError as error:
        log.warning("%s", error)
        if (connection := handler.request.connection) is not None:
            connection.stream.close()  # type: ignore[attr-defined] # an HTTP1Connection


async def _more(stream: Arriving) -> None:
    loop, more = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(more.set)

    stream.on_more(wake)
    await more.wait()
