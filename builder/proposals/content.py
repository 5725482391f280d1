"""Whether what a proposal names can be had: each layer that is not in the registry, fetched.

Only for what was touched, each digest once, and nothing is kept. The URLs are
a stranger's: they may lead to public addresses alone, but for the storage
that the base branch's configuration names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from builder.errors import BuilderError, ContentError, Problem, RemoteError, UsageError
from builder.oci.content import opened
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from builder.registry.model import Collection, RegistryOptions
from builder.remote.options import RemoteOptions
from builder.transports.registry import RegistrySource


def check_content(
    collection: Collection,
    options: RegistryOptions,
    roots: Iterable[str],
    remote: RemoteOptions,
    limit: int,
) -> Iterator[Problem]:
    """Yield what is wrong with the layers that some manifests name and that lie elsewhere.

    `roots` are digests of manifests of the collection; `options` say where
    its storage is; more than `limit` bytes are not fetched at all.
    """
    wanted = list(_elsewhere(collection, roots))
    total = sum(descriptor.size for _, descriptor in wanted)
    if total > limit:
        message = f"names {total} bytes that lie elsewhere; the limit of what is fetched is {limit}"
        yield Problem(collection.origin, 0, message, "propose fewer tags at a time, or --max-fetch")
        return
    source = RegistrySource(collection, remote, offsite=options.offsite, allow_foreign=True)
    for origin, descriptor in wanted:
        try:
            with opened(source, descriptor, origin) as verified:
                while verified.read():
                    pass
        except (ContentError, RemoteError, UsageError) as error:
            yield _problem(origin, descriptor, collection.blobs[descriptor.digest].url, error)


def _elsewhere(collection: Collection, roots: Iterable[str]) -> Iterator[tuple[str, Descriptor]]:
    """Yield what the manifests and all below them name that no file here holds, each once."""
    places = {
        tag.manifest.digest: tag.origin for tag in collection.tags if tag.manifest is not None
    }
    seen: set[Digest] = set()
    waiting = [Digest(root) for root in roots if root in collection.manifests]
    origins = {root: places.get(root, collection.origin) for root in waiting}
    while waiting:
        digest = waiting.pop()
        for child in collection.manifests[digest].children():
            if child.digest in seen:
                continue
            seen.add(child.digest)
            origins[child.digest] = origins[digest]
            if child.digest in collection.manifests:
                waiting.append(child.digest)
            place = collection.blobs.get(child.digest)
            if place is not None and place.file is None:
                yield origins[digest], child


def _problem(origin: str, descriptor: Descriptor, url: str, error: BuilderError) -> Problem:
    reason = error.problems[0].message if isinstance(error, ContentError) else error.message
    what = f"{descriptor.digest} ({descriptor.size} bytes) cannot be had from {url[:200]}"
    hint = error.hint or "upload it first, then propose the tag"
    return Problem(origin, 0, f"{what}: {reason}", hint)
