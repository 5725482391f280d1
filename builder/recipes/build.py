"""Building recipes: several at once, each on its own, none lost when another fails.

What a build leaves is brought in as any other image is, verified; only then
does the tag get its `manifest.json`, and its `README.md` the digest of what it
was built from.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import BuilderError, ContentError, LockedError
from builder.oci.reference import Reference
from builder.recipes.engines import Engine, choose_engine, result
from builder.recipes.find import find_recipe
from builder.recipes.model import Job, Outcome, RecipeTag, slug
from builder.recipes.run import OUTPUT, Runner, end_leftovers
from builder.registry.edit import lock
from builder.registry.folder import CollectionFolder
from builder.registry.model import RegistryOptions
from builder.registry.recipe import copy_inputs, inputs_digest
from builder.registry.stage import Judge, judge_collection
from builder.storage.lock import lock as lock_file
from builder.storage.parallel import run_parallel
from builder.transports.copy import copy_image, plan_copy
from builder.transports.intake import Added, add_image
from builder.transports.layout_sink import LayoutSink
from builder.transports.registry_sink import Terms
from builder.transports.sources import ImageSource, SourceOptions, open_source

TEST = "test.sh"
_FOLDER = "recipes"  # below the cache


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How recipes are built.

    `created` is the date that tags get, ISO 8601, `epoch` the moment that all
    in an image claims to be made at, None for the true ones. `engines` are
    names in order of preference, empty for what is installed; `seconds` limits
    each build; `labels` are given to every image; `force` moves tags that are
    immutable; `judge` has the last word on what was built. With `into` each
    image becomes an image layout in that folder, and the registry stays as it
    is: see `recipes.accept`.
    """

    registry: RegistryOptions
    cache: Path
    created: str
    judge: Judge = judge_collection
    epoch: int | None = None
    engines: tuple[str, ...] = ()
    seconds: float = 3600
    labels: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    into: Path | None = None


def build_recipes(
    items: Sequence[RecipeTag],
    options: BuildOptions,
    *,
    jobs: int,
    begin: Callable[[RecipeTag, str], None],
    tell: Callable[[Outcome], None],
) -> list[Outcome]:
    """Build recipes, `jobs` at a time.

    `begin` hears of each that begins and of the engine's name, `tell` of each
    that ends, both from any thread.
    Returns the outcomes in the order of `items`. A failure of one does not
    stop the others.
    """
    stop = threading.Event()
    outcomes: dict[str, Outcome] = {}

    def work(item: RecipeTag) -> None:
        outcome = _Build(item, options, stop, begin).run()
        outcomes[item.reference] = outcome
        tell(outcome)

    run_parallel(items, work, threads=jobs, stop=stop)
    return [outcomes[item.reference] for item in items]


class _Build:
    """The build of one recipe, in a folder of the cache that is the recipe's own."""

    def __init__(
        self,
        item: RecipeTag,
        options: BuildOptions,
        stop: threading.Event,
        begin: Callable[[RecipeTag, str], None],
    ) -> None:
        self._item = item
        self._begin = begin
        self._options = options
        self._stop = stop
        self._folder = options.cache / _FOLDER / slug(item.reference)
        self._work = self._folder / "work"
        self._log = self._folder / "log"
        self._engine: Engine | None = None

    def run(self) -> Outcome:
        """Build unless another run is at it, or has done it meanwhile."""
        with ExitStack() as stack:
            what = f"the recipe {self._item.reference}"
            try:
                stack.enter_context(lock_file(self._folder / "lock", what))
            except LockedError as error:
                return self._outcome("busy", why=error.message)
            try:
                return self._locked()
            except BuilderError as error:
                return self._outcome("failed", why=str(error))
            except OSError as error:
                where = error.filename or self._work
                return self._outcome("failed", why=f"{where}: {error.strerror}")

    def _locked(self) -> Outcome:
        before = self._item
        now = find_recipe(self._options.registry, before.name, before.tag)
        if now is None or (now.state == "current" and before.state != "current"):
            return self._outcome("unchanged", why="another run built it first")
        self._item = now
        if not self._options.force:
            self._refuse_immutable()
        self._engine = choose_engine(now.recipe.name, now.recipe.path, self._options.engines)
        self._begin(now, self._engine.name)
        try:
            added = self._built(self._engine)
        finally:
            self._clear()
        is_same = added is not None and not added.changed
        return self._outcome("unchanged" if is_same else "built", added)

    def _refuse_immutable(self) -> None:
        """Say before the work and not after it that the tag may not move."""
        folder = CollectionFolder(self._options.registry, self._item.name)
        if folder.raw_manifest(self._item.tag) is not None:
            folder.refuse_immutable(self._item.tag, change="be built again")

    def _built(self, engine: Engine) -> Added | None:
        item, options = self._item, self._options
        inputs = inputs_digest(item.folder, item.origin)
        job = Job(
            item.name, item.tag, item.recipe.name,
            self._work / "context", self._work / "output", options.epoch, options.labels,
        )  # fmt: skip
        self._clear()
        job.output.mkdir(parents=True)
        # A copy: a build must not write into the registry.
        copy_inputs(item.folder, item.origin, job.context, job.epoch)
        variables = _variables(job)
        runner = Runner(self._log, options.seconds, self._stop)
        for command in engine.commands(job):
            runner.run(command, job.context, variables)
        image = result(job)
        if (job.context / TEST).is_file():
            test = ["/bin/sh", "-e", f"./{TEST}"]
            runner.run(test, job.context, variables | {"BUILDER_IMAGE": image})
        return self._keep(image, inputs)

    def _keep(self, image: str, inputs: str) -> Added | None:
        """Bring the result in, and record what it was made of; or hand it on."""
        item, options = self._item, self._options
        source_options = SourceOptions(options.cache, annotations=options.labels)
        with (
            lock(options.registry, seconds=options.seconds),
            open_source([image], source_options) as source,
        ):
            if inputs_digest(item.folder, item.origin) != inputs:
                message = "changed during the build, so the image may not match it"
                raise ContentError.at(item.recipe.path, message, "build it again")
            if options.into is not None:
                _hand_on(source, options.into / slug(item.reference), item.tag)
                return None
            return add_image(
                options.registry,
                source,
                source.resolve(),
                Reference(item.name, item.tag),
                Terms(
                    created=options.created,
                    facts={"inputs": inputs},
                    judge=options.judge,
                    force=options.force,
                ),
            )

    def _clear(self) -> None:
        """Forget what a build worked on, and end what a run that was killed left behind."""
        end_leftovers(os.fspath(self._work / "output"))
        _remove(self._work)

    def _outcome(self, state: str, added: Added | None = None, *, why: str = "") -> Outcome:
        engine = self._engine.name if self._engine else ""
        log = os.path.relpath(self._log, self._options.registry.source) if engine else ""
        return Outcome(self._item, state, engine, added, why, log)


def _hand_on(source: ImageSource, folder: Path, tag: str) -> None:
    """Write an image to an image layout of its own."""
    with LayoutSink(folder, os.fspath(folder)) as sink:
        plan = plan_copy(source, sink, source.resolve(), referrers=False)
        copy_image(source, sink, plan, tag)


def _variables(job: Job) -> dict[str, str]:
    """Return what a build's programs are told beside their arguments."""
    variables = {OUTPUT: os.fspath(job.output), "BUILDER_NAME": job.name, "BUILDER_TAG": job.tag}
    for key, text in job.labels.items():
        variables[f"BUILDER_{key.rpartition('.')[2].upper()}"] = text
    if job.epoch is not None:
        variables["SOURCE_DATE_EPOCH"] = str(job.epoch)
    return variables


def _remove(folder: Path) -> None:
    """Remove a folder that a build has written to, and maybe closed."""
    for root, names, _ in os.walk(folder):
        for name in names:
            if not os.path.islink(path := os.path.join(root, name)):
                os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
