"""Blobs on their way from the site to this disk, each once, read by many meanwhile.

Nobody gets a blob's last byte before all of them have its digest: an answer
that ends is an answer that is right. A client that is slower than the site
holds up nobody, for what waits for it waits on the disk.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from builder.errors import BuilderError, LocalError, RemoteError
from builder.oci.digest import Digest, DigestError, VerifiedReader
from builder.proxy.cache import BlobCache

AT_ONCE = 16  # fetches; more wait their turn
FIRST = 256 << 10  # bytes to have before an answer begins: what fails by then is told in words
_SLICE = 256 << 10
Opener = Callable[[], io.RawIOBase]


class Fetches:
    """All blobs that are under way or on the disk; safe to use from several threads."""

    def __init__(self, cache: BlobCache) -> None:
        self._cache = cache
        # By size too: one repository may say another of the same blob than the next, and be wrong.
        self._running: dict[tuple[Digest, int], Fetch] = {}
        self._guard = threading.Lock()
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    def size(self, digest: Digest) -> int | None:
        """Return the size in bytes of a blob that is here, verified."""
        return self._cache.size(digest)

    def open(self, digest: Digest, size: int, opener: Opener, *, whole: bool) -> BinaryIO:
        """Open a blob; `opener` opens it at the site, where it is not here yet.

        Returns when its first bytes are here, with `whole` when all are and
        are verified. Raises NotFoundError, RemoteError or LocalError.
        """
        with self._guard:
            fetch = self._running.get((digest, size))
            reader = fetch.join() if fetch else None
            if fetch is None or reader is None:
                # Looked at after the fetches: one that has just ended has kept what it got.
                if (stream := self._cache.open(digest)) is not None:
                    return stream
                fetch = self._running[digest, size] = self._begun(digest, size)
                reader = fetch.join()
                # A download must not keep the program from ending.
                work = threading.Thread(target=self._run, args=(fetch, opener), daemon=True)
                work.start()
        if reader is None:
            raise AssertionError("a fetch has ended before it began")  # pragma: no cover
        try:
            fetch.wait(size if whole else min(FIRST, size))
        except BuilderError:
            reader.close()
            raise
        return reader

    def _begun(self, digest: Digest, size: int) -> Fetch:
        try:
            return Fetch(digest, size, self._cache.begin(digest))
        except OSError as error:
            raise LocalError.of(error, "the cache") from error

    def _run(self, fetch: Fetch, opener: Opener) -> None:
        with self._slots:
            fetch.run(opener, self._cache)
        with self._guard:
            key = fetch.digest, fetch.size
            if self._running.get(key) is fetch:
                del self._running[key]


class Fetch:
    """One blob of `size` bytes on its way into `file`."""

    def __init__(self, digest: Digest, size: int, file: Path) -> None:
        self.digest = digest
        self.size = size
        self._file = file
        self._changed = threading.Condition()
        self._there = 0
        self._ended = False
        self._error: BuilderError | None = None
        self._readers = 0
        self._waiting: list[Callable[[], None]] = []

    def run(self, opener: Opener, cache: BlobCache) -> None:
        """Fetch, verify and keep; what goes wrong goes to the readers."""
        try:
            with opener() as stream, self._file.open("wb") as out:
                source = VerifiedReader(stream, self.digest, self.size)  # type: ignore[arg-type]
                while chunk := source.read(_SLICE):
                    out.write(chunk)
                    out.flush()
                    self._advance(len(chunk))
                os.fsync(out.fileno())
            self._end(lambda: cache.keep(self.digest, self._file, self.size))
        except DigestError as error:
            hint = "the site serves other bytes than its manifests promise"
            self._end(error=RemoteError(error.message, hint))
        except BuilderError as error:
            self._end(error=error)
        except OSError as error:
            self._end(error=LocalError.of(error, "the cache"))
        finally:
            if not self._ended:  # a mistake of ours, for which nobody must wait for ever
                self._end(error=LocalError(f"{self.digest}: the download failed"))

    def join(self) -> ArrivingFile | None:
        """Return a reader; None when the fetch has ended, one way or the other."""
        with self._changed:
            if self._ended:
                return None
            self._readers += 1
            return ArrivingFile(self, self._file)

    def leave(self) -> None:
        """Note that a reader has gone."""
        with self._changed:
            self._readers -= 1

    def ready(self, at: int) -> int:
        """Return how many bytes may be read at an offset; raises what went wrong."""
        with self._changed:
            if self._error is not None:
                raise self._error.with_traceback(None)
            end = self._there if self._ended else min(self._there, self.size - 1)
            return max(end - at, 0)

    def wait(self, count: int) -> None:
        """Wait until `count` bytes are here, all of them verified ones; raises what went wrong."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or (self._there >= count and count < self.size)
            )
        self.ready(0)

    def on_more(self, at: int, callback: Callable[[], None]) -> None:
        """Call back, from any thread, when there is more to read at an offset, or nothing ever."""
        with self._changed:
            end = min(self._there, self.size - 1)
            if not self._ended and end <= at:
                self._waiting.append(callback)
                return
        callback()

    def _advance(self, count: int) -> None:
        with self._changed:
            if not self._readers:
                raise RemoteError(f"{self.digest}: nobody waits for it any more")
            self._there += count
            waiting = self._notify()
        for callback in waiting:
            callback()

    def _end(
        self, keep: Callable[[], None] = lambda: None, error: BuilderError | None = None
    ) -> None:
        with self._changed:
            if error is None:
                keep()
            else:
                self._file.unlink(missing_ok=True)
            self._ended, self._error = True, error
            waiting = self._notify()
        for callback in waiting:
            callback()

    def _notify(self) -> list[Callable[[], None]]:
        self._changed.notify_all()
        waiting, self._waiting = self._waiting, []
        return waiting


class ArrivingFile(io.FileIO):
    """A blob's file while it is written: `read` returns None where nothing has come yet."""

    def __init__(self, fetch: Fetch, path: Path) -> None:
        super().__init__(path, "rb")
        self._fetch = fetch

    def read(self, size: int | None = -1, /) -> bytes | None:  # type: ignore[override]
        """Return up to `size` bytes, empty at the verified end; raises what went wrong."""
        at = self.tell()
        if at >= self._fetch.size:
            return b""
        ready = self._fetch.ready(at)
        wanted = ready if size is None or size < 0 else min(size, ready)
        return super().read(wanted) if wanted else None

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an offset, counted from the blob's end and not from the file's."""
        if whence == os.SEEK_END:
            return super().seek(self._fetch.size + offset)
        return super().seek(offset, whence)

    def on_more(self, callback: Callable[[], None]) -> None:
        """Call back, from any thread, when there is more to read."""
        self._fetch.on_more(self.tell(), callback)

    def close(self) -> None:
        """Stop reading; a fetch that nobody reads is given up."""
        if not self.closed:
            self._fetch.leave()
        super().close()
