"""The processes beside a preview's server: one that builds, and one that starts it again.

A text or a page that takes too long ends the process it is made in. As that is the
one that builds, nothing has to be forked for the few pages of an edit.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import click

from builder.build.pipeline import Pipeline, preview
from builder.cli.build import summary
from builder.config import Config
from builder.errors import BuilderError, LockedError
from builder.write.workers import Death, Workers


class Outcome(NamedTuple):
    """What a build in the other process came to."""

    text: str
    problems: tuple[str, ...]
    failed: bool


class Rebuilder:
    """A process that builds, forked before this one has threads.

    Builds there do not hold up requests here, and its memory of the last
    build makes the next one short.
    """

    def __init__(self, configure: Callable[[str], Config], jobs: int) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_build_loop, args=(theirs, self._pipe, configure, jobs)
        )
        self._process.start()
        theirs.close()

    def build(self, address: str, touched: frozenset[str] | None) -> Outcome:
        """Build for a preview at `address` there, print what is wrong, and return how it went."""
        try:
            self._pipe.send((address, touched))
            outcome: Outcome = self._pipe.recv()
        except (EOFError, BrokenPipeError):
            text = "the building process has ended; start 'builder serve' again"
            return Outcome(text, (text,), failed=True)
        for problem in outcome.problems:
            click.echo(problem, err=True)
        return outcome

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()


def _build_loop(
    pipe: Connection, parents: Connection, configure: Callable[[str], Config], jobs: int
) -> None:
    """Have it built whenever asked, until the pipe is closed; a builder that died is replaced."""
    parents.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ended = suppress(EOFError, ConnectionResetError, BrokenPipeError)  # of the server
    with ended, Workers(_Kept(configure, jobs), 1, daemon=False) as builders:
        while True:
            orders = [pipe.recv()]
            for outcome in builders.run("build", orders, key=lambda _: 0, died=_died):
                pipe.send(outcome)


def _died(_: object, death: Death) -> Outcome:
    """Return the outcome of a build that its process did not survive."""
    text = str(death.problem() if death.path else death.error("the process that builds"))
    return Outcome("not built", (text,), failed=True)


class _Kept:
    """The pipeline of one build after the other, made anew when the configuration changes."""

    def __init__(self, configure: Callable[[str], Config], jobs: int) -> None:
        self._configure = configure
        self._jobs = jobs
        self._pipeline: Pipeline | None = None
        self._stamp: object = None

    def build(self, order: tuple[str, frozenset[str] | None]) -> Outcome:
        """Build what was asked of `Rebuilder`; what goes wrong is an outcome too."""
        try:
            return self._build(*order)
        except LockedError as error:
            return Outcome("waiting", (str(error),), failed=True)
        except BuilderError as error:
            problems = getattr(error, "problems", (error,))
            return Outcome("not built", tuple(map(str, problems)), failed=True)
        except OSError as error:
            text = f"{error.filename or 'the disk'}: {error.strerror}"
            return Outcome("not built", (text,), failed=True)

    def _build(self, address: str, touched: frozenset[str] | None) -> Outcome:
        if self._pipeline is None or self._stamp != config_stamp(self._pipeline.config):
            self._pipeline, touched = preview(self._configure(address), jobs=self._jobs), None
            self._stamp = config_stamp(self._pipeline.config)
        report = self._pipeline.build(touched)
        warnings = tuple(map(str, report.warnings)) if touched is None else ()
        return Outcome(summary(report), warnings, failed=False)


def config_stamp(config: Config) -> object:
    """Return what the configuration's files say: they are few, and times can be equal."""
    files = config.files or (Path(config.source / "_config.yml"),)
    return [(path, path.read_bytes() if path.exists() else b"") for path in files]
