"""What a pushing client is told: good answers, and errors in the specification's words."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import Self

from builder.errors import BuilderError, LocalError, LockedError, RemoteError
from builder.preview.respond import API_VERSION, Response, error_answer

log = logging.getLogger(__name__)

Headers = tuple[tuple[str, str], ...]
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_AGAIN = ("Retry-After", "5")


class Refused(Exception):  # noqa: N818 - an answer, and no fault of this program
    """A request that is refused; carries the answer."""

    def __init__(self, status: int, code: str, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        self.answer = error_answer(status, code, message, *headers)


def done(status: int, *headers: tuple[str, str]) -> Response:
    """Return a good answer without a body."""
    return Response(status, (*headers, API_VERSION))


def answer_of(error: Exception) -> Response:
    """Return how an error is told; raises it again where nobody here caused it."""
    if isinstance(error, Refused):
        return error.answer
    if isinstance(error, LockedError):
        return error_answer(429, "TOOMANYREQUESTS", str(error), _AGAIN)
    if isinstance(error, (LocalError, OSError)):
        log.warning("%s", error)
        return error_answer(507 if _is_full(error) else 500, "DENIED", _told(error))
    if isinstance(error, RemoteError):
        return error_answer(502, "DENIED", str(error))
    if isinstance(error, BuilderError):
        return error_answer(400, "MANIFEST_INVALID", str(error))
    raise error


def _told(error: Exception) -> str:
    """Return what is wrong here, without where this machine keeps it."""
    return f"this machine: {error.strerror}" if isinstance(error, OSError) else str(error)


def _is_full(error: BaseException) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return not isinstance(cause, OSError) or cause.errno in _FULL


class Transfer:
    """A request whose body is on its way: `write` its pieces in order, then `finish`.

    No error leaves it. Once the answer is known, it is in `answer`, and
    nothing more is written. `abort` is for a client that has gone.
    """

    def __init__(
        self,
        end: Callable[[], Response],
        write: Callable[[bytes], None] | None = None,
        abort: Callable[[], None] = lambda: None,
    ) -> None:
        self.answer: Response | None = None
        self.abort = abort
        self._end = end
        self._write = write

    @classmethod
    def ended(cls, answer: Response) -> Self:
        """Return one whose answer no body can change."""
        transfer = cls(lambda: answer)
        transfer.answer = answer
        return transfer

    def write(self, data: bytes) -> None:
        """Take a piece of the body; what a request has no use for is passed over."""
        if self._write is None or self.answer is not None:
            return
        try:
            self._write(data)
        except (Refused, BuilderError, OSError) as error:
            self.answer = answer_of(error)

    def finish(self) -> Response:
        """Do what was asked for, and return the answer."""
        if self.answer is not None:
            return self.answer
        try:
            return self._end()
        except (Refused, BuilderError, OSError) as error:
            return answer_of(error)
