"""What a proposal changes, and whether it may.

A proposal comes from a stranger: its configuration, its owners file and its
workflows are not believed. What is allowed is read from the base branch; what
is proposed is data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from builder.errors import ContentError, Problem
from builder.git import Change
from builder.oci.reference import name_fault
from builder.pull_requests.base import Base, tag_of
from builder.pull_requests.content import Fetcher
from builder.pull_requests.files import clashes, file_problem, outside_problem, repositories
from builder.pull_requests.model import Limits, Proposal, TagChange, merged
from builder.pull_requests.squatting import likeness
from builder.pull_requests.tags import Held, held_by, load_all, load_at
from builder.registry.folder import is_immutable
from builder.registry.load import Loaded
from builder.registry.recipe import MANIFEST, recipe_file
from builder.registry.scan import README
from builder.remote.options import RemoteOptions


def judge(
    base: Base,
    author: str,
    limits: Limits | None = None,
    remote: RemoteOptions | None = None,
) -> Proposal:
    """Compare the work tree with its base branch, on behalf of `author`.

    `author` is a login, or several names with commas between. Layers that lie
    elsewhere are fetched under the rules of `remote`, with None not at all.
    """
    limits = limits or Limits()
    changes = base.changes()
    if len(changes) > limits.files:
        message = f"changes {len(changes)} files; the limit is {limits.files}"
        problem = Problem(base.options.collections, 0, message, "split the proposal")
        return Proposal(base.commit, author, len(changes), problems=(problem,))
    case = _Case(base, author, limits)
    for change in changes:
        case.see(change)
    case.load()
    case.judge_owners()
    case.judge_names()
    case.judge_files()
    tags = tuple(sorted(case.tag_changes()))
    case.judge_immutable(tags)
    problems = tuple(case.problems)
    fetcher = None if remote is None else Fetcher(base.options, remote, case.limits.fetch)
    for name in sorted(case.touched):
        problems = merged(problems, case.content(name, tags, fetcher))
    return Proposal(
        base.commit,
        author,
        len(changes),
        tuple(sorted(case.touched)),
        tags,
        tuple(sorted(case.recipes())),
        tuple(sorted(set(problems))),
    )


@dataclass(slots=True)
class _Case:
    """One proposal; `inside` are the changes of the collections by path, `problems` grow.

    `start`, `tip` and `now` are the touched collections where the proposal
    began, at the base branch as it is now, and in the work tree.
    """

    base: Base
    author: str
    limits: Limits
    problems: list[Problem] = field(default_factory=list)
    inside: dict[str, Change] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    start: dict[str, Loaded] = field(default_factory=dict)
    tip: dict[str, Loaded] = field(default_factory=dict)
    now: dict[str, Loaded] = field(default_factory=dict)

    def load(self) -> None:
        """Load the touched collections, once all changes were seen."""
        base, tags = self.base, self._touched_tags()
        self.now = load_all(base.options, self.touched)
        self.start = self.tip = load_at(base, base.start, self.touched, tags)
        if base.commit != base.start:
            self.tip = load_at(base, base.commit, self.touched, tags)

    def see(self, change: Change) -> None:
        """Judge a change by itself."""
        base = self.base
        path = base.path(change.path)
        if not base.is_content(change.path):
            if base.owners is None or not base.owners.owns(self.author, change.path):
                self.problems.append(outside_problem(path, base.options.collections))
            return
        limit = max(self.limits.file, base.options.commit_below)
        if problem := file_problem(change, path, base.options.source, limit):
            self.problems.append(problem)
        self.inside[path] = change
        if name := base.collection(path):
            self.touched.add(name)

    def judge_owners(self) -> None:
        """Refuse, once for each collection, what belongs to others."""
        owners = self.base.owners
        if owners is None:
            return
        refused: dict[str, str] = {}
        for path, change in self.inside.items():
            if not owners.may_change(self.author, change.path):
                refused.setdefault(self.base.collection(path) or path, path)
        for name, path in refused.items():
            found = sorted(owners.of(self.inside[path].path) or ())
            whose = ", ".join(f"@{owner}" for owner in found) or "nobody yet"
            who = f"@{self.author}" if self.author else "an author without a name (see --author)"
            message = f"{name} belongs to {whose}, not to {who}"
            hint = f"{owners.path} of the base branch says who owns what; ask the maintainers"
            self.problems.append(Problem(path, 0, message, hint))

    def judge_names(self) -> None:
        """Refuse new names that would be taken for others; warn of those that might."""
        base = self.base
        for name in sorted(self.touched - base.names):
            path = f"{base.options.collections}/{name}"
            if base.owners and base.owners.owns(self.author, f"{base.above}{path}"):
                continue
            if new := base.former.get(name):
                message = f"the name {name!r} leads to {new!r}, which its users expect"
                self.problems.append(Problem(path, 0, message, "choose a name that is new"))
                continue
            if name_fault(name) or not (found := likeness(name, base.names)):
                continue
            message = f"the new name {name!r} is too similar to {found.taken!r}: it {found.why}"
            hint = "choose a name that cannot be confused with it, or ask the maintainers"
            self.problems.append(Problem(path, 0, message, hint, warning=not found.certain))

    def judge_files(self) -> None:
        """Refuse files that are something else on another system, or to git."""
        base = self.base
        there = {base.path(file.path) for file in base.files(base.commit)}
        kept = {path for path, change in self.inside.items() if change.status != "D"}
        there -= self.inside.keys() - kept
        self.problems += clashes(there, kept)
        self.problems += repositories(there | kept, kept)

    def tag_changes(self) -> Iterator[TagChange]:
        """Yield the tags that point elsewhere than where the proposal began."""
        tags = self._touched_tags()
        for name in self.touched:
            before, tip, after = (
                held_by(loaded.get(name), tags) for loaded in (self.start, self.tip, self.now)
            )
            for tag in before.keys() | after.keys():
                old, new = before.get(tag), after.get(tag)
                if _digest(old) != _digest(new):
                    yield _change(name, tag, tip.get(tag) or old, new)

    def judge_immutable(self, tags: Sequence[TagChange]) -> None:
        """Refuse to move, to remove, or to have rebuilt what is to stay as it is."""
        moved = {(item.name, item.tag): item for item in tags}
        for name, tag in sorted(self._touched_tags() | set(moved)):
            item = moved.get((name, tag))
            if item is not None and item.old:
                change = f"move from {item.old} to {item.new}" if item.new else "go"
            elif item is not None or not (change := self._rebuilt(name, tag)):
                continue
            if self._is_immutable(name, tag):
                message = f"the tag {name}:{tag} is immutable and would {change}"
                self.problems.append(
                    Problem(self._tag_path(name, tag), 0, message, "use a new tag")
                )

    def content(
        self, name: str, tags: Sequence[TagChange], fetcher: Fetcher | None
    ) -> list[Problem]:
        """Return what is wrong with a touched collection, and with what it names elsewhere."""
        if (loaded := self.now.get(name)) is None:
            return []
        problems = list(loaded.problems)
        if loaded.collection is not None and fetcher is not None:
            touched = {item.new for item in tags if item.name == name}
            blobs = f"{self.base.options.collections}/{name}/blobs/"
            for path in self.inside:
                if path.startswith(blobs):
                    touched.add(path.removeprefix(blobs).replace("/", ":", 1))
            problems += fetcher.check(loaded.collection, touched)
        return problems

    def recipes(self) -> Iterator[str]:
        """Yield the paths that a build would read or run."""
        for name, tag in self._touched_tags():
            folder = self._tag_path(name, tag)
            path = self.base.options.source / folder
            names = [] if not path.is_dir() else [item.name for item in path.iterdir()]
            try:
                has_recipe = bool(recipe_file(names, folder))
            except ContentError:
                has_recipe = True
            if has_recipe:
                yield from (
                    item for item in self._inputs(folder) if self.inside[item].status != "D"
                )

    def _rebuilt(self, name: str, tag: str) -> str:
        """Return what would have a tag that stays where it is built anew, or nothing."""
        folder = self._tag_path(name, tag)
        if tag not in held_by(self.tip.get(name), {(name, tag)}):
            return ""
        readme = self.inside.get(f"{folder}/{README}")
        if readme is not None and readme.status == "D":
            return f"be rebuilt, because its {README} goes"
        inputs = (path.removeprefix(f"{folder}/") for path in self._inputs(folder))
        return next((f"have another {path}" for path in inputs), "")

    def _inputs(self, folder: str) -> list[str]:
        results = {f"{folder}/{README}", f"{folder}/{MANIFEST}"}
        return [
            path for path in self.inside if path.startswith(f"{folder}/") and path not in results
        ]

    def _touched_tags(self) -> set[tuple[str, str]]:
        collections = self.base.options.collections
        pairs = ((name, path) for path in self.inside if (name := self.base.collection(path)))
        found = ((name, tag_of(path, name, collections)) for name, path in pairs)
        return {(name, tag) for name, tag in found if tag}

    def _tag_path(self, name: str, tag: str) -> str:
        return f"{self.base.options.collections}/{name}/manifests/{tag}"

    def _is_immutable(self, name: str, tag: str) -> bool:
        loaded, patterns = self.tip.get(name), self.base.options.immutable
        if loaded is None:
            return is_immutable(name, tag, patterns, {})
        unread = any(
            not problem.warning and problem.path.rpartition("/")[0] == loaded.seen.origin
            for problem in loaded.problems
        )  # what cannot be read permits nothing
        return unread or is_immutable(name, tag, patterns, loaded.seen.keys)


def _digest(held: Held | None) -> str:
    return held.digest if held is not None else ""


def _change(name: str, tag: str, old: Held | None, new: Held | None) -> TagChange:
    before, after = old or Held(""), new or Held("")
    return TagChange(name, tag, before.digest, after.digest, before.size, after.size)
