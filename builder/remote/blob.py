"""Blobs that go on after a cut: Range requests where the server can, else from the start."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from builder.errors import RemoteError
from builder.remote.http import TRIES, Answer, CutError, host_of

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
# Opens the content: with an offset as a Range request, with 0 as the whole.
Opener = Callable[[int], Answer]


class BlobStream(io.RawIOBase):
    """The bytes of a blob of `size` bytes, as a server sends them and one byte more.

    After a cut it asks for the rest. A server that sends something else than
    the rest is asked for the whole, of which what was read is passed over:
    whoever reads on must check the digest in the end.
    """

    def __init__(self, opener: Opener, answer: Answer, size: int | None) -> None:
        super().__init__()
        self._opener = opener
        self._answer = answer
        self._size = size
        self._at = 0
        self._cuts = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on, over cuts; raises RemoteError when there are too many without progress."""
        while True:
            try:
                count = self._read(buffer)
            except CutError as error:
                self._cuts += 1
                if self._cuts >= TRIES:
                    raise RemoteError(f"{error.message}, {self._cuts} times", error.hint) from None
                self._again()
            else:
                break
        self._at += count
        self._cuts = 0 if count else self._cuts
        return count

    def _read(self, buffer: Any) -> int:
        """Read once; raises CutError also for an end that comes too early."""
        count = self._answer.readinto(buffer)
        if not count and self._size is not None and self._at < self._size and len(buffer):
            raise CutError(f"{host_of(self._answer.url)}: the answer ended early", "try again")
        return count

    def close(self) -> None:
        """End the connection, or give it back when all was read."""
        self._answer.close()
        super().close()

    def _again(self) -> None:
        self._answer.close()
        if self._at:
            self._answer = self._opener(self._at)
            if self._answer.status == 206 and self._continues():
                return
            if self._answer.status != 200:
                self._answer.close()
                self._answer = self._opener(0)
        else:
            self._answer = self._opener(0)
        self._pass_over(self._at)

    def _continues(self) -> bool:
        found = _RANGE.fullmatch(self._answer.header("Content-Range").strip())
        return found is not None and int(found[1]) == self._at

    def _pass_over(self, count: int) -> None:
        buffer = bytearray(256 << 10)
        while count:
            got = self._answer.readinto(memoryview(buffer)[: min(count, len(buffer))])
            if not got:
                raise CutError("the connection was cut")
            count -= got
