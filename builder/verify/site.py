"""Fetching and hashing again everything that a published site leads to.

What a release lists is read once and compared with the list. What the
registry's API leads to, from the catalog over tags, manifests and referrers
to the last layer, is read as clients would read it, wherever it is stored.
Nothing is held whole but manifests and lists.
"""

from __future__ import annotations

import hashlib
import io
import random
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from builder.errors import ContentError, RemoteError
from builder.oci.digest import Digest
from builder.oci.schema1 import payload_of
from builder.oci.strictjson import MAX_BYTES
from builder.publish import moves
from builder.publish.release import RELEASE, FileList, Listed, Release, read_list, read_release
from builder.remote.fetch import BUFFER, open_stream
from builder.remote.http import Http
from builder.remote.registry import NotFoundError
from builder.storage.parallel import Stopped, run_growing
from builder.targets.rules import kind_of
from builder.verify.extras import digest_of, unlisted
from builder.verify.findings import Finding, Verified, VerifyOptions
from builder.verify.places import MISSING, Place, read_small
from builder.verify.walk import Task, Walk

Share = Callable[[Sequence[Listed]], Iterable[tuple[int, int, Sequence[Finding]]]]
CHUNK = 1 << 20
_MOST_FAR = 20  # paths that cannot be reached before nothing more is tried
# What hosts keep for themselves, or answer with for other paths only.
_KEPT = frozenset({"_headers", "_redirects", ".nojekyll", ".htaccess", "CNAME", "404.html",
                   "404.json", "200.html"})  # fmt: skip


class Verifier:
    """Verifies one place: first `release`, then `run`.

    `share` hands files that a release lists to others, and yields of each
    whether it is there (0 or 1), how many bytes it had, and what is wrong with it.
    """

    def __init__(
        self, place: Place, http: Http, options: VerifyOptions, share: Share | None = None
    ) -> None:
        self.result = Verified(place.address)
        self._place = place
        self._small = partial(read_small, place)
        self._http = http
        self._options = options
        self._share = share
        self._advance: Callable[[int], None] = lambda _: None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._sharing = threading.Lock()
        self._named: dict[str, str] = {}  # digests of the release's tags, and of its log
        self._hashed: set[tuple[Hashable, str, int | None]] = set()
        self._dice = random.Random()  # noqa: S311 - which layers a sample has is no secret

    def release(self) -> Release | None:
        """Read the site's release; None where there is none.

        Raises ContentError for one that is damaged or that no known key has
        signed, for one of another site, and for none at all where keys are
        known; RemoteError.
        """
        try:
            data = self._small(RELEASE)
        except FileNotFoundError:
            if self._options.keys:
                message = "is missing, although public keys are known"
                hint = "publish with 'builder publish', or ask who serves this"
                raise ContentError.at(RELEASE, message, hint) from None
            return None
        release = self.result.release = read_release(data, self._options.keys)
        self._check_name(release)
        if release.expires and self._options.now > release.expires:
            message = f"is of {release.time} and was out of date at {release.expires}"
            hint = "the host or mirror stopped updating, or nobody published in time"
            self.found(Finding(RELEASE, message, hint=hint))
        return release

    def _check_name(self, release: Release) -> None:
        """Raise ContentError for a release of another site, whoever signed it."""
        name, only = self._options.name, self._options.only
        if name and release.name not in {name, f"{name} {only}".strip()}:
            said = repr(release.name) if release.name else "a site without a name"
            message = f"is a release of {said}, not of {name!r}"
            hint = "if it should be, give --name; a site's name is its url in _config.yml"
            raise ContentError.at(RELEASE, message, hint)

    def run(self, advance: Callable[[int], None]) -> Verified:
        """Verify what the release lists, then what the API leads to.

        `advance` is told of every byte that is hashed. Raises RemoteError when
        too much cannot be reached.
        """
        self._advance = advance
        release, only = self.result.release, self._options.only
        if release is not None:
            self._run([partial(self._list, item) for item in release.lists])
            if self._place.files() is not None and not only:
                self._run([partial(self._extras, release)])
        if only != "pages":
            self._run([self._log])
            walk = Walk(self)
            self._run([partial(walk.catalog, required=release is None)])
        self.result.findings.sort()
        if self.result.problems and release is not None:
            self._see_whether_it_changed(release)
        return self.result

    # What the walk asks of its reader.

    def read(self, path: str, *, size: int | None = None, limit: int = MAX_BYTES) -> bytes:
        """Return a small file; raises FileNotFoundError, ContentError, RemoteError."""
        data = self._small(path, size, limit)
        self._count(len(data))
        return data

    def check(self, path: str, digest: Digest, size: int | None) -> None:
        """Hash a blob of the site, once; raises FileNotFoundError where it is not."""
        if self._is_new(path, digest, size) and self._is_drawn(size):
            with self._place.open(path, size) as stream:
                self._compare(path, stream.read, digest, size)
        self.add(blobs=1)

    def check_elsewhere(self, path: str, url: str, digest: Digest, size: int) -> None:
        """Hash a blob that is stored at a URL; raises FileNotFoundError, RemoteError."""
        base = self._place.address if "://" in self._place.address else url
        url = self._http.resolve(base, url)
        if self._is_drawn(size):
            try:
                opened = open_stream(self._http, url, size, missing=MISSING)
                with io.BufferedReader(opened, BUFFER) as stream:
                    self._compare(f"{path} at {url}", stream.read, digest, size)
            except NotFoundError as error:
                raise FileNotFoundError(error.message) from None
        self.add(blobs=1)

    def add(self, *, names: int = 0, manifests: int = 0, blobs: int = 0, files: int = 0) -> None:
        """Count what was read."""
        with self._lock:
            self.result.names += names
            self.result.manifests += manifests
            self.result.blobs += blobs
            self.result.files += files

    def found(self, finding: Finding) -> None:
        """Note what is wrong."""
        with self._lock:
            self.result.findings.append(finding)
            if finding.far and len(self.result.far) >= _MOST_FAR:
                raise RemoteError(f"{finding.path}: {finding.message}", finding.hint)

    @contextmanager
    def told(self, path: str, why: str = "") -> Iterator[None]:
        """Note what goes wrong with `path`, and go on; `why` tells who needs it."""
        try:
            yield
        except FileNotFoundError as error:
            # A server has said so in words of its own; a disk has a number.
            said = f": {error.args[0]}" if len(error.args) == 1 else ""
            self.found(Finding(path, f"is missing{why}{said}"))
        except ContentError as error:
            for fault in error.problems:
                self.found(Finding(fault.path, fault.message, hint=fault.hint))
        except RemoteError as error:
            self.found(Finding(path, error.message, hint=error.hint, far=True))

    # The release.

    def _list(self, item: FileList) -> Iterator[Task]:
        with self.told(item.path):
            try:
                data = self._small(item.path, item.size)
            except FileNotFoundError:
                hint = "this mirror mixes releases, or is not complete"
                self.found(Finding(item.path, "is missing", hint=hint))
                return
            rows = []
            for row in read_list(data, item, item.path):
                if row.path == moves.HEAD or kind_of(row.path) == "tag":
                    self._named[row.path] = row.digest
                if self._is_wanted(row.path):
                    rows.append(row)
            if self._share is None:
                yield from (partial(self._file, row) for row in rows)
            else:
                self._shared(rows, self._share)

    def _file(self, row: Listed) -> Iterable[Task]:
        with self.told(row.path):
            if self._is_to_hash(row):
                self.hash(row)
            else:
                self.add(files=1)
        return ()

    def _is_to_hash(self, row: Listed) -> bool:
        """Tell whether a file is new and drawn; raises FileNotFoundError for what must be there."""
        try:
            return self._is_new(row.path, row.digest, row.size) and self._is_drawn(row.size)
        except FileNotFoundError:
            if row.path.rpartition("/")[2] not in _KEPT:
                raise
            return False

    def hash(self, row: Listed) -> None:
        """Hash one file of a release, and note what is wrong with it."""
        with self.told(row.path):
            try:
                with self._place.open(row.path, row.size) as stream:
                    self._compare(row.path, stream.read, row.digest, row.size)
            except FileNotFoundError:
                if row.path.rpartition("/")[2] not in _KEPT:
                    raise
            self.add(files=1)

    def _shared(self, rows: Sequence[Listed], share: Share) -> None:
        """Let others hash files, one list after the other."""
        chosen = []
        for row in rows:
            with self.told(row.path):
                if self._is_to_hash(row):
                    chosen.append(row)
                else:
                    self.add(files=1)
        with self._sharing:
            for files, size, findings in share(chosen):
                self.add(files=files)
                self._count(size)
                for finding in findings:
                    self.found(finding)

    def _log(self) -> Iterable[Task]:
        """Read the log of tag moves, which must lead to where the release's tags are."""
        if moves.HEAD in self._named:
            with self.told(moves.HEAD):
                log = self.result.log = moves.read_log(self._small)
                logged, now = log.tags(), moves.tags_of(self._named.items())
                for name, tag in sorted(logged.keys() | now.keys()):
                    was, is_ = (found.get((name, tag), "no tag") for found in (logged, now))
                    if was != is_:
                        message = "does not match the log of tag moves"
                        self.found(Finding(f"v2/{name}/manifests/{tag}", message, was, is_))
        return ()

    def _extras(self, release: Release) -> Iterator[Task]:
        with self.told(RELEASE):
            lists = (read_list(self._small(item.path), item, item.path) for item in release.lists)
            listed = (row.path for rows in lists for row in rows)
            for path in unlisted(self._place.files() or (), listed):
                if (digest := digest_of(path)) is not None:
                    yield partial(self._kept, path, digest)
                else:
                    hint = "remove it, or publish again"
                    self.found(Finding(path, "is not part of the release", hint=hint))

    def _kept(self, path: str, digest: Digest) -> Iterable[Task]:
        """Hash what stays of an earlier release for clients in the middle of a pull."""
        with self.told(path):
            if "/manifests/" in path:
                raw = self.read(path)
                # A schema 1 manifest goes by the digest of what it was signed over.
                payload = payload_of(raw)
                data = raw if payload is None else payload
                self._compare(path, io.BytesIO(data).read, digest, None)
            else:
                with self._place.open(path) as stream:
                    self._compare(path, stream.read, digest, None)
        return ()

    def _see_whether_it_changed(self, release: Release) -> None:
        """Raise RemoteError where the faults may be those of two releases at once."""
        try:
            now = read_release(self._small(RELEASE), self._options.keys)
        except (FileNotFoundError, ContentError):
            return
        if now.digest != release.digest:
            message = f"release {now.generation} was published while it was verified"
            raise RemoteError(f"{self.result.address}: {message}", "run again")

    # Reading.

    def _run(self, tasks: Sequence[Task]) -> None:
        def work(task: Task) -> Iterable[Task]:
            if self._stop.is_set():
                raise Stopped
            return list(task())

        run_growing(tasks, work, threads=self._options.threads, stop=self._stop)

    def _compare(
        self, path: str, read: Callable[[int], bytes], digest: Digest, size: int | None
    ) -> None:
        """Hash what `read` gives, no more than one byte over `size`."""
        summed, length = hashlib.new(digest.algorithm), 0
        while chunk := read(CHUNK if size is None else min(CHUNK, size + 1 - length)):
            if self._stop.is_set():
                raise Stopped
            summed.update(chunk)
            length += len(chunk)
            self._count(len(chunk))
        actual = f"{digest.algorithm}:{summed.hexdigest()}"
        if size is not None and length != size:
            many = f"over {size} bytes" if length > size else f"{length} bytes"
            self.found(Finding(path, "has another size", f"{size} bytes", many))
        elif actual != digest:
            self.found(Finding(path, "has other content", digest, actual))

    def _count(self, count: int) -> None:
        with self._lock:
            self.result.size += count
        self._advance(count)

    def _is_new(self, path: str, digest: str, size: int | None) -> bool:
        mark = (self._place.identity(path), digest, size)
        with self._lock:
            is_new = mark not in self._hashed
            self._hashed.add(mark)
        return is_new

    def _is_drawn(self, size: int | None) -> bool:
        """Tell whether content is hashed: what is small always is."""
        share = self._options.sample
        return (size or 0) <= MAX_BYTES or share >= 1 or self._dice.random() < share

    def _is_wanted(self, path: str) -> bool:
        only = self._options.only
        return not only or path.startswith("v2/") == (only == "v2")
