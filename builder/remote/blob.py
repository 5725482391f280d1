"""Blobs that go on after a cut: Range requests where the server can, else from the start."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from builder.errors import RemoteError
from builder.remote.faults import CutError, host_of
from builder.remote.http import TRIES, Answer

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_PROGRESS = 1 << 20  # bytes after which a cut is the first one again
# Opens the content: with an offset as a Range request, with 0 as the whole.
Opener = Callable[[int], Answer]


class BlobStream(io.RawIOBase):
    """The bytes of a blob of `size` bytes, as a server sends them and one byte more.

    After a cut it asks for the rest; `pause` waits before that, given how
    many cuts there were. A server that sends something else than the rest is
    asked for the whole, of which what was read is passed over: whoever reads
    on must check the digest in the end.
    """

    def __init__(self, opener: Opener, size: int | None, pause: Callable[[int], None]) -> None:
        super().__init__()
        self._opener = opener
        self._answer = opener(0)
        self._pause = pause
        self._size = self._answer.number("Content-Length") if size is None else size
        self._at = 0
        self._place = 0  # in the answer, counted from the blob's start
        self._cuts = 0
        self._progress = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on, over cuts; raises RemoteError when there are too many without progress."""
        while True:
            try:
                self._catch_up()
                count = self._read(buffer)
            except CutError as error:
                self._cut(error)
            else:
                break
        self._at = self._place
        self._progress += count
        return count

    def close(self) -> None:
        """End the connection, or give it back when all was read."""
        self._answer.close()
        super().close()

    def _read(self, buffer: Any) -> int:
        """Read once; raises CutError also for an end that comes too early.

        Where the server says that there is no more, something else is there in the blob's place.
        """
        view = memoryview(buffer)
        if self._size is not None:
            view = view[: self._size + 1 - self._at]
        count = self._answer.readinto(view)
        is_short = not count and self._size is not None and self._at < self._size and len(view)
        if is_short and self._whole() != self._at:
            raise CutError(f"{host_of(self._answer.url)}: the answer ended early", "try again")
        self._place += count
        return count

    def _whole(self) -> int | None:
        """Return how many bytes there are in all, as the answer says."""
        if self._answer.status != 206:
            return self._answer.number("Content-Length")
        found = _RANGE.fullmatch(self._answer.header("Content-Range").strip())
        return int(found[3]) if found is not None and found[3] != "*" else None

    def _cut(self, error: CutError) -> None:
        """Ask for what is missing, unless that was done too often."""
        if self._progress >= _PROGRESS:
            self._cuts = 0
        self._cuts, self._progress = self._cuts + 1, 0
        if self._cuts >= TRIES:
            raise RemoteError(f"{error.message}, {self._cuts} times", error.hint) from None
        self._answer.close()
        self._pause(self._cuts)
        self._answer = self._opener(self._at)
        self._place = self._at
        if self._at and not (self._answer.status == 206 and self._continues()):
            if self._answer.status != 200:
                self._answer.close()
                self._answer = self._opener(0)
            self._place = 0

    def _continues(self) -> bool:
        found = _RANGE.fullmatch(self._answer.header("Content-Range").strip())
        return found is not None and int(found[1]) == self._at

    def _catch_up(self) -> None:
        """Pass over what was read before, in an answer that began anew."""
        buffer = bytearray(min(self._at - self._place, 256 << 10))
        while self._place < self._at:
            wanted = min(self._at - self._place, len(buffer))
            count = self._answer.readinto(memoryview(buffer)[:wanted])
            if not count:
                raise CutError(f"{host_of(self._answer.url)}: the answer ended early", "try again")
            self._place += count
