"""Carrying out what was planned, by the one copy engine.

A few images are brought together in hidden folders at once, then judged and put in place one
after the other. What came in stays, so that a run that was interrupted is gone on with by the next.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from builder import frontmatter
from builder.errors import BuilderError, ContentError, LocalError, RemoteError
from builder.oci.digest import Digest
from builder.oci.reference import Reference, cosign_tags
from builder.registry.edit import remove_tag
from builder.registry.folder import CollectionFolder
from builder.registry.model import RegistryOptions
from builder.remote.registry import NotFoundError
from builder.storage.parallel import PATIENCE, Progress, Stopped
from builder.sync.model import MIRROR, MOVES, Origin, moves_yaml
from builder.sync.plan import FETCHED, NEW, PRUNED, Step
from builder.sync.source import MirrorSource
from builder.sync.survey import Asked
from builder.transports.intake import Added, stage_image
from builder.transports.registry_sink import RegistrySink, Terms

_AHEAD = 4  # images that are brought together at once


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a step: what came in, or why nothing did."""

    step: Step
    added: Added | None = None
    error: BuilderError | None = None


@dataclass(frozen=True, slots=True)
class _Staged:
    """An image that lies in hidden folders; closing `stack` judges it and puts it in place."""

    added: Added
    stack: ExitStack


_Result = SimpleQueue[_Staged | BaseException]


def carry_out(
    asked: Sequence[Asked],
    options: RegistryOptions,
    terms: Terms,
    progress: Callable[[Reference], Progress],
) -> Iterator[Done]:
    """Bring collections up to date; yield what became of each tag.

    A registry that fails ends what is left of its repository, and nothing of that is pruned; an
    image with faults ends nothing. Call with the registry's lock held. Raises LocalError.
    """
    works = [_Work(item, options, terms, progress) for item in asked if item.fault is None]
    waiting = deque((work, step) for work in works for step in work.steps)
    running: deque[tuple[_Work, Step, _Result]] = deque()
    try:
        while waiting or running:
            while waiting and len(running) < _AHEAD:
                work, step = waiting.popleft()
                if not work.failed:
                    running.append((work, step, _begin(work, step)))
            if running:
                work, step, result = running[0]
                done = work.finish(step, result.get())
                running.popleft()
                if done is not None:
                    yield done
                    waiting.extendleft((work, more) for more in work.found(done))
    finally:
        for *_, result in running:
            _forget(result)
    for work in works:
        yield from work.end()


def _begin(work: _Work, step: Step) -> _Result:
    """Stage an image in a thread; what comes of it is put into a queue."""
    result: _Result = SimpleQueue()

    def run() -> None:
        try:
            result.put(work.stage(step))
        except BaseException as error:  # noqa: BLE001 - raised again where the result is taken
            result.put(error)

    # Not a pool: the interpreter would wait at its end for a connection that says nothing.
    threading.Thread(target=run, daemon=True).start()
    return result


def _forget(result: _Result) -> None:
    """Take back what was staged; what takes too long is swept by the next run."""
    try:
        found = result.get(timeout=PATIENCE)
    except Empty:
        return
    if isinstance(found, _Staged):
        found.stack.__exit__(Stopped, Stopped(), None)


class _Work:
    """What is to be done for one repository; `steps` are the tags to bring in."""

    def __init__(
        self,
        item: Asked,
        options: RegistryOptions,
        terms: Terms,
        progress: Callable[[Reference], Progress],
    ) -> None:
        planned = item.steps()
        self.steps = [step for step in planned if step.action in FETCHED]
        self.failed = False
        self._rest = [step for step in planned if step.action not in FETCHED]
        self._known = {*item.there}
        self._item = item
        self._source = MirrorSource(item.repository)
        self._options = options
        self._terms = terms
        self._progress = progress
        self._folder = CollectionFolder(options, item.copy.name)
        if self.steps:
            self._folder.sweep()

    def stage(self, step: Step) -> _Staged:
        """Bring an image together; raises what `stage_image` does."""
        copy, source = self._item.copy, self._source
        reference = Reference(copy.name, step.tag)
        there = source.resolve(step.tag)
        top = source.narrow(there, copy.mirror.platforms)
        origin = Origin(f"{copy.place}:{step.tag}", str(there.digest), copy.platforms)
        facts = {MIRROR: origin.to_yaml(), **self._moves(reference, top.digest)}
        terms = replace(self._terms, facts=facts)
        with ExitStack() as stack:
            sink = stack.enter_context(RegistrySink(self._options, copy.name, source, terms))
            added = stage_image(
                sink, source, top, reference, terms,
                progress=self._progress(reference), referrers=copy.mirror.referrers,
            )  # fmt: skip
            sink.prepare()
            return _Staged(added, stack.pop_all())

    def finish(self, step: Step, found: _Staged | BaseException) -> Done | None:
        """Put an image in place; None where its repository has failed meanwhile."""
        try:
            if isinstance(found, BaseException):
                raise found
            with found.stack:
                self._folder.check_tag(step.tag)
        except LocalError:
            raise
        except BuilderError as error:
            if self.failed:
                return None
            self.failed = isinstance(error, RemoteError) and not isinstance(error, NotFoundError)
            return Done(step, error=self._placed(error, step))
        return Done(replace(step, digest=str(found.added.digest)), found.added)

    def found(self, done: Done) -> list[Step]:
        """Return the tags that cosign named after what has come, and that were not known before."""
        if done.added is None or not self._item.copy.mirror.referrers:
            return []
        tags = cosign_tags(done.added.manifests, self._item.tools)
        new = [tag for tag in tags if tag not in self._known]
        self._known.update(new)
        return [Step(done.step.name, tag, NEW, done.step.place) for tag in new]

    def end(self) -> Iterator[Done]:
        """Prune, unless the repository has failed; yield what became of all other tags."""
        for step in self._rest:
            is_pruned = step.action == PRUNED
            if is_pruned and (self.failed or step.tag in self._known):
                continue
            if is_pruned:
                remove_tag(self._options, step.name, step.tag)
            yield Done(step)

    def _placed(self, error: BuilderError, step: Step) -> BuilderError:
        """Return an error that names the tag where it named the repository."""
        if not isinstance(error, ContentError):
            return error
        place = f"{step.place}:{step.tag}"
        return ContentError(
            replace(problem, path=place) if problem.path == self._source.label else problem
            for problem in error.problems
        )

    def _moves(self, reference: Reference, digest: Digest) -> Mapping[str, str]:
        """Return the front matter that remembers what a tag was, if it is about to move."""
        folder = self._folder
        raw = folder.raw_manifest(reference.tag)
        if raw is None or (before := Digest.of(raw)) == digest:
            return {}
        text = folder.readme(reference.tag) or ""
        keys = frontmatter.parse(text.encode(), f"{folder.origin}/{reference}").keys
        return {MOVES: moves_yaml(keys.get(MOVES), str(before), self._terms.created)}
