"""Whether what a proposal names can be had: each layer that is not in the registry, fetched.

Only for what was touched, each digest once, and nothing is kept. The URLs are
a stranger's: they may lead to public addresses alone, but for the storage
that the base branch's configuration names.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from builder.errors import BuilderError, ContentError, Problem, RemoteError, UsageError
from builder.oci.content import opened
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.oci.manifest import Manifest
from builder.registry.model import Collection, RegistryOptions
from builder.remote.options import RemoteOptions
from builder.transports.registry import RegistrySource


class Fetcher:
    """Fetches what one proposal names, at most `limit` bytes of it, and forgets it.

    `options` are the base branch's: they say where the registry's storage is.
    """

    def __init__(self, options: RegistryOptions, remote: RemoteOptions, limit: int) -> None:
        self._options = options
        self._remote = remote
        self._limit = limit
        self._left = limit

    def check(self, collection: Collection, touched: Container[str]) -> Iterator[Problem]:
        """Yield what is wrong with layers that lie elsewhere.

        `touched` are digests: of manifests, all that they name is looked at;
        of blobs that were here before, they themselves.
        """
        wanted = list(_elsewhere(collection, touched))
        total = sum(descriptor.size for _, descriptor in wanted)
        if total > self._left:
            message = (
                f"names {total} bytes that lie elsewhere; "
                f"the limit of what is fetched for a proposal is {self._limit}"
            )
            yield Problem(collection.origin, 0, message, "split the proposal, or raise --max-fetch")
            return
        self._left -= total
        source = RegistrySource(
            collection, self._remote, offsite=self._options.offsite, allow_foreign=True
        )
        for origin, descriptor in wanted:
            try:
                with opened(source, descriptor, origin) as verified:
                    while verified.read():
                        pass
            except (ContentError, RemoteError, UsageError) as error:
                yield _problem(origin, descriptor, collection.blobs[descriptor.digest].url, error)


def _elsewhere(collection: Collection, touched: Container[str]) -> Iterator[tuple[str, Descriptor]]:
    """Yield what no file here holds, each once, with the path of a tag that needs it."""
    seen: set[Digest] = set()
    for manifest, origin, new in _reached(collection, touched):
        for child in manifest.children():
            place = collection.blobs.get(child.digest)
            if place is None or place.file is not None or child.digest in seen:
                continue
            if new or child.digest in touched:
                seen.add(child.digest)
                yield origin, child


def _reached(
    collection: Collection, touched: Container[str]
) -> Iterator[tuple[Manifest, str, bool]]:
    """Yield every manifest, where it is told of, and whether something touched leads to it."""
    tags = {tag.manifest.digest: tag.origin for tag in collection.tags if tag.manifest}
    first = sorted(collection.manifests, key=lambda digest: (digest not in touched, digest))
    waiting = [(digest, tags.get(digest, collection.origin), digest in touched) for digest in first]
    waiting.reverse()
    done: set[tuple[Digest, bool]] = set()
    while waiting:
        digest, origin, new = waiting.pop()
        if (digest, new) in done or (digest, True) in done:
            continue
        done.add((digest, new))
        manifest = collection.manifests[digest]
        yield manifest, origin, new
        inner = (item.digest for item in manifest.manifests if item.digest in collection.manifests)
        waiting += [(item, origin, new or item in touched) for item in inner]


def _problem(origin: str, descriptor: Descriptor, url: str, error: BuilderError) -> Problem:
    reason = error.problems[0].message if isinstance(error, ContentError) else error.message
    what = f"{descriptor.digest} ({descriptor.size} bytes) cannot be fetched from {url[:200]}"
    hint = error.hint or "upload it first, then propose the tag"
    return Problem(origin, 0, f"{what}: {reason}", hint)
