"""The branch that a proposal is for: its commit, its configuration, its owners, its names.

Everything that decides is read from here. What is proposed is compared with
the commit that the proposal began at, so that what others did meanwhile is
not held against it; but the rules are those of the branch as it is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.config import CONFIG, Flags, registry_at
from builder.git import Change, File, Repository
from builder.pull_requests.owners import Owners, find_owners
from builder.registry.folder import TAGS
from builder.registry.model import RegistryOptions
from builder.registry.scan import OWN_FOLDERS


@dataclass(frozen=True, slots=True)
class Base:
    """A base branch, seen from a work tree.

    `commit` is its last commit, `start` the last one that the work tree shares
    with it; `above` is the registry's folder in the repository, with a slash
    or empty; `options` are the branch's, over the files of the work tree;
    `former` are names that lead to others now.
    """

    repository: Repository
    commit: str
    start: str
    above: str
    options: RegistryOptions
    owners: Owners | None
    names: frozenset[str]
    former: Mapping[str, str]

    def path(self, full: str) -> str:
        """Return a path of the repository as one of the registry; others stay as they are."""
        return full.removeprefix(self.above)

    def is_content(self, full: str) -> bool:
        """Tell whether a path of the repository lies in the registry's collections."""
        return full.startswith(f"{self.above}{self.options.collections}/")

    def changes(self) -> list[Change]:
        """Return what is proposed: every path that differs from where the proposal began.

        Files that git does not know count below the collections only.
        """
        changes = self.repository.changes(self.start)
        return [item for item in changes if not item.untracked or self.is_content(item.path)]

    def files(self, commit: str) -> list[File]:
        """Return all files of the registry's collections in a commit."""
        return self.repository.files(commit, f"{self.above}{self.options.collections}")

    def collection(self, path: str) -> str:
        """Return the name of the collection that a path of the registry belongs to."""
        return _collection_of(path, self.options.collections)


def open_base(flags: Flags, revision: str) -> Base:
    """Return the base branch `revision` of the repository that the registry's folder lies in.

    Raises UsageError for what git does not know, ContentError for a
    configuration of the branch that cannot be read.
    """
    folder = Path(flags.source)
    repository = Repository(folder)
    commit, start = repository.commit(revision), repository.base(revision)
    beside = repository.inner(folder)
    found = {
        name: repository.read(commit, f"{beside}{name}") for name in flags.configs or (CONFIG,)
    }
    texts = {name: raw for name, raw in found.items() if raw is not None}
    options, former = registry_at(flags, texts)
    above = repository.inner(options.source)
    owners = find_owners(lambda path: repository.read(commit, path), above)
    files = repository.files(commit, f"{above}{options.collections}")
    paths = (file.path.removeprefix(above) for file in files)
    names = frozenset(_collection_of(path, options.collections) for path in paths) - {""}
    return Base(repository, commit, start, above, options, owners, names, former)


def _collection_of(path: str, collections: str) -> str:
    """Return the name of the collection, or the namespace, whose file a path is."""
    parts = path.removeprefix(f"{collections}/").split("/")[:-1]
    own = next((at for at, part in enumerate(parts) if at and part in OWN_FOLDERS), len(parts))
    return "/".join(parts[:own])


def tag_of(path: str, name: str, collections: str) -> str:
    """Return the tag in whose folder a path of a collection lies, or the empty string."""
    inner = path.removeprefix(f"{collections}/{name}/{TAGS}/")
    return inner.partition("/")[0] if inner != path and "/" in inner else ""
