"""`builder sync`: bring mirrors up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

import click

from builder.build.judge import judge_of
from builder.cli.console import Console
from builder.cli.intake import storage_hint
from builder.cli.options import Common, accept_foreign, common_options, remote_options
from builder.errors import (
    BuilderError,
    ContentError,
    Problem,
    RemoteError,
    UsageError,
    counted,
    printable,
)
from builder.oci.reference import Reference
from builder.registry.clock import now
from builder.registry.edit import lock
from builder.remote.options import RemoteOptions
from builder.storage.parallel import Progress
from builder.sync.plan import FETCHED, MOVED, PRUNED, REFUSED, STAYS, UNCHANGED
from builder.sync.run import Done, carry_out
from builder.sync.survey import Asked, survey
from builder.transports.registry_sink import Terms


class FarError(ContentError):
    """Problems of other machines alone, each with its place."""

    exit_code: ClassVar[int] = RemoteError.exit_code


@click.command("sync")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Show what has changed, but change nothing.")
@accept_foreign
@remote_options
@common_options
def command(
    *,
    names: tuple[str, ...],
    dry_run: bool,
    allow_foreign: bool,
    remote: RemoteOptions,
    common: Common,
) -> None:
    """Update the mirrors that registry.sync lists.

    NAME, which may be a pattern, chooses collections; the default is all. A tag
    that did not change costs one request.
    """
    console = common.console
    config = common.config()
    if not config.mirrors:
        hint = "add registry.sync to _config.yml, as in '- from: docker.io/library/alpine'"
        raise UsageError("registry.sync lists no mirrors", hint)
    terms = Terms(created=now(), judge=judge_of(config), allow_foreign=allow_foreign)
    run = _Run(console, dry_run=dry_run)
    with lock(config.registry):
        asked, faults = survey(config.mirrors, config.registry, remote, names)
        if names and not asked and not faults:
            raise UsageError(f"no mirror is called {' or '.join(names)}")
        for fault in faults:
            run.fail(fault.error, fault.mirror.place)
        for item in asked:
            if item.fault is not None:
                run.fail(item.fault, item.copy.mirror.place)
            run.begin(item)
        if dry_run:
            run.note(Done(step) for item in asked for step in item.steps())
        else:
            run.note(carry_out(asked, config.registry, terms, run.progress))
    parts = [part for done in run.done if done.added for part in done.added.parts if part.is_layer]
    run.report(storage_hint(parts, config.registry))


class _Run:
    """Collects what became of tags, and says it."""

    def __init__(self, console: Console, *, dry_run: bool) -> None:
        self.done: list[Done] = []
        self._console = console
        self._dry_run = dry_run
        self._problems: list[Problem] = []
        self._is_far = True

    def begin(self, item: Asked) -> None:
        """Say which collection is next, where there is something to do."""
        new = sum(step.action in FETCHED for step in item.steps())
        if new:
            self._console.say(f"{item.repository.label}: {counted(new, 'tag')} to bring in")

    def progress(self, reference: Reference) -> Progress:
        """Return what shows the progress of one image."""
        return lambda total: self._console.progress(total, f"adding {reference}")

    def note(self, results: Iterable[Done]) -> None:
        """Collect results as they come."""
        for done in results:
            step = done.step
            if done.error is not None:
                place = Problem(f"{step.place}:{step.tag}")
                self.fail(done.error, place)
            elif step.action == REFUSED:
                self._is_far = False
                self._problems.append(Problem(f"{step.name}:{step.tag}", message=step.reason))
            for text in done.added.warnings if done.added else ():
                warning = Problem(f"{step.name}:{step.tag}", message=text, warning=True)
                self._console.warn(warning)
            self.done.append(done)

    def fail(self, error: BuilderError, place: Problem) -> None:
        """Note a failure that ends nothing else."""
        if isinstance(error, ContentError):
            self._is_far = False
            self._problems += error.problems
        else:
            self._problems.append(Problem(place.path, place.line, error.message, error.hint))

    def report(self, hint: str) -> None:
        """Print what became of all tags; raises ContentError when something went wrong."""
        counts = Counter(done.step.action for done in self.done if done.error is None)
        lines = [_line(done) for done in self.done
                 if done.error is None and done.step.action != UNCHANGED]  # fmt: skip
        words = ", ".join(f"{count:,} {action}" for action, count in counts.items())
        lines.append(f"{'would be: ' if self._dry_run else ''}{words or 'nothing came'}")
        if counts[PRUNED] and not self._dry_run:
            lines.append("  'builder gc' lists blobs that are no longer needed")
        if hint:
            lines.append(f"  {hint}")
        value = {
            "dryRun": self._dry_run,
            "tags": [_json(done) for done in self.done],
            "problems": [problem.to_json() for problem in self._problems],
        }
        self._console.result(value, "\n".join(map(printable, lines)))
        if self._problems:
            kind = FarError if self._is_far else ContentError
            raise kind(self._problems, "everything else was updated")


def _json(done: Done) -> dict[str, Any]:
    added = done.added
    return {
        **done.step.to_json(),
        "newBytes": added.new_bytes if added else 0,
        "referrers": added.referrers if added else 0,
        "failed": done.error is not None,
    }


def _line(done: Done) -> str:
    """Return a row of the table: what became of a tag, its digest, and a remark."""
    step, added = done.step, done.added
    remarks = [step.reason]
    if step.action == MOVED:
        remarks.append(f"moved from {step.before}")
    if added is not None and added.referrers:
        remarks.append(f"with {counted(added.referrers, 'referrer')}")
    remark = "; ".join(filter(None, remarks))
    digest = step.digest if step.action not in (STAYS, PRUNED) else ""
    return f"{step.action:9} {step.name}:{step.tag}  {digest}  {remark}".rstrip()
