"""Asking registries what there is to mirror: one request for a list, one for each tag.

A repository that cannot be asked is one fault; the others are asked all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from builder import frontmatter
from builder.errors import BuilderError, ContentError, LocalError
from builder.oci.digest import Digest
from builder.oci.reference import cosign_tags, name_fault, tag_fault
from builder.oci.validate import ManifestError, parse_manifest
from builder.pages import versions
from builder.registry.folder import CollectionFolder, is_immutable
from builder.registry.model import RegistryOptions
from builder.remote.options import RemoteOptions
from builder.remote.registry import RegistryClient, Repository
from builder.storage.parallel import run_growing
from builder.sync.model import Copy, Mirror, Origin
from builder.sync.plan import MAX_TAGS, Held, Step, plan, wanted_tags

_THREADS = 8


@dataclass(slots=True)
class Asked:
    """One repository and the collection that is its copy, with what is known of both.

    `tools` are the tags there that are named after digests, `stored` the digests of the blobs
    here, `attached` tags with something new that refers to them.
    """

    copy: Copy
    repository: Repository
    held: dict[str, Held] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()
    wanted: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    there: dict[str, str] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)
    fault: BuilderError | None = None

    def steps(self) -> tuple[Step, ...]:
        """Return what becomes of each tag; nothing where the repository could not be asked."""
        if self.fault is not None:
            return ()
        wanted = [*self.wanted, *sorted(self.there.keys() - set(self.wanted))]
        attached = frozenset(self.attached)
        return plan(self.copy, wanted=wanted, held=self.held, there=self.there, attached=attached)


@dataclass(frozen=True, slots=True)
class Fault:
    """A source of a mirror whose repositories are not known, and why."""

    mirror: Mirror
    error: BuilderError


def survey(
    mirrors: Sequence[Mirror],
    options: RegistryOptions,
    remote: RemoteOptions,
    names: Sequence[str] = (),
) -> tuple[list[Asked], list[Fault]]:
    """Ask about every repository of some mirrors, or of those whose names here fit `names`.

    Call with the registry's lock held. Raises ContentError where two of them would share a
    collection, or a collection here cannot be read.
    """
    faults: list[Fault] = []
    found: dict[str, Asked] = {}
    clients: dict[tuple[str, RemoteOptions], RegistryClient] = {}
    for mirror in mirrors:
        for item in _repositories(mirror, remote, clients, faults):
            name = item.copy.name
            if names and not any(fnmatchcase(name, pattern) for pattern in names):
                continue
            if found.setdefault(name, item).copy != item.copy:
                places = f"{found[name].copy.place} and of {item.copy.place}"
                message = f"registry.sync: {name!r} would be a copy of {places}"
                place = replace(mirror.place, message=message, hint="see 'to'")
                raise ContentError([place])
    for item in found.values():
        _look_here(item, options)
    _ask_all(found.values())
    return list(found.values()), faults


def _repositories(
    mirror: Mirror,
    remote: RemoteOptions,
    clients: dict[tuple[str, RemoteOptions], RegistryClient],
    faults: list[Fault],
) -> Iterator[Asked]:
    """Yield the repositories of a mirror; what cannot be listed becomes one of `faults`."""
    trust = replace(remote, insecure=remote.insecure or mirror.insecure)
    for host, pattern in mirror.sources:
        try:
            client = clients.setdefault((host, trust), RegistryClient(host, trust))
            for name in _names(client, pattern):
                here = mirror.to.replace("*", name)
                repository = client.repository(name)
                item = Asked(Copy(mirror, here, repository.label), repository)
                if fault := name_fault(here):
                    item.fault = ContentError.at(repository.label, fault, "see 'to'")
                yield item
        except LocalError:
            raise
        except BuilderError as error:
            faults.append(Fault(mirror, error))


def _names(client: RegistryClient, pattern: str) -> list[str]:
    if "*" not in pattern:
        return [pattern]
    names = sorted(name for name in client.catalog() if fnmatchcase(name, pattern))
    if not names:
        place = f"docker://{client.host}/{pattern}"
        raise ContentError.at(place, "no repository in the catalogue matches")
    return names


def _look_here(item: Asked, options: RegistryOptions) -> None:
    """Note what the collection holds; raises ContentError for what cannot be read."""
    if item.fault is not None:
        return
    folder = CollectionFolder(options, item.copy.name)
    folder.check()
    readme = (folder.readme() or "").encode()
    keys = frontmatter.parse(readme, f"{folder.origin}/{folder.readme_name()}").keys
    for tag in folder.tags():
        raw, text = folder.raw_manifest(tag), folder.readme(tag) or ""
        origin = Origin.from_keys(
            frontmatter.parse(text.encode(), f"{folder.origin}/manifests/{tag}").keys
        )
        if raw is None and origin is not None:
            continue  # half of what a mirror brought: it comes again
        held = _manifests(raw) if raw and item.copy.mirror.referrers else ()
        fixed = is_immutable(item.copy.name, tag, options.immutable, keys)
        item.held[tag] = Held(str(Digest.of(raw)) if raw else "", held, origin, fixed)
    if item.copy.mirror.referrers:
        item.stored = frozenset(stored.digest for stored in folder.blobs.list())


def _manifests(raw: bytes) -> tuple[str, ...]:
    """Return the digests of a manifest and of what its index holds."""
    try:
        found = parse_manifest(raw, allow_foreign=True)
    except ManifestError:
        return ()
    return (str(found.digest), *(str(child.digest) for child in found.manifests))


def _ask_all(items: Iterable[Asked]) -> None:
    """Ask about all repositories, several at once; faults become those of their repository."""
    stop = threading.Event()

    def work(job: tuple[Asked, str]) -> Iterable[tuple[Asked, str]]:
        item, tag = job
        if item.fault is not None:
            return ()
        try:
            return [(item, more) for more in (_look_at(item, tag) if tag else _list(item))]
        except BuilderError as error:
            item.fault = error
            return ()

    run_growing([(item, "") for item in items], work, threads=_THREADS, stop=stop)


def _list(item: Asked) -> list[str]:
    """Return the tags that are wanted of a repository."""
    listed = list(item.repository.tags())
    item.wanted = wanted_tags(item.copy.mirror, listed)
    item.tools = [tag for tag in listed if versions.is_tool_tag(tag)]
    if len(item.wanted) > MAX_TAGS:
        message = f"{len(item.wanted)} tags fit; the limit is {MAX_TAGS}"
        raise ContentError.at(item.repository.label, message, "choose by 'tags' or 'newest'")
    item.there.update((tag, "") for tag in item.wanted if tag_fault(tag))  # nobody is asked
    return [tag for tag in item.wanted if tag not in item.there]


def _look_at(item: Asked, tag: str) -> tuple[str, ...]:
    """Ask what a tag is now; return the tags that cosign named after it."""
    found = item.repository.head(tag)
    if found is None:
        return ()
    item.there[tag] = str(found.digest)
    if not item.copy.mirror.referrers or versions.is_tool_tag(tag):
        return ()
    here = item.held.get(tag)
    is_same = (
        here is not None and (here.origin.digest if here.origin else here.digest) == found.digest
    )
    if is_same and any(
        str(other.digest) not in item.stored for other in item.repository.referrers(found.digest)
    ):
        item.attached.add(tag)
    return cosign_tags((found.digest, *(here.manifests if here else ())), item.tools)
