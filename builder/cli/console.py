"""How commands speak: results to stdout, progress and problems to stderr."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from builder.cli import annotation, inert
from builder.errors import Problem, printable


def spelled(text: str) -> str:
    """Return JSON with nothing in it that a terminal or GitHub Actions would act on.

    It is UTF-8, whatever file names are.
    """
    text = re.sub(r"[^\n -~]", _escaped, text)
    return text.replace("##[", "#\\u0023[")


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


class Console:
    """Results to stdout, progress and problems to stderr."""

    answered = False  # whether this run has printed a result

    def __init__(
        self, *, quiet: bool = False, as_json: bool = False, no_color: bool = False
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._plain = no_color or bool(os.environ.get("NO_COLOR"))
        self._shown = 0.0

    def result(self, value: Any, text: str) -> None:
        """Print a result: `text` for people, `value` with --json."""
        if self.as_json:
            text = spelled(json.dumps(value, indent=2, ensure_ascii=False))
        else:
            text = inert("\n".join(printable(line) for line in text.split("\n")))
        if text:
            Console.answered = True
            click.echo(text)

    def say(self, text: str) -> None:
        """Tell what is going on, unless quiet."""
        if not self.quiet:
            click.echo(text, err=True)

    def warn(self, problem: Problem) -> None:
        """Print a problem that stops nothing."""
        click.echo(inert(str(problem)), err=True)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            click.echo(annotation(problem.where, problem.message, warning=True), err=True)

    def warn_all(self, problems: Iterable[Problem]) -> None:
        """Print problems that stop nothing."""
        for problem in problems:
            self.warn(problem)

    def step(self, label: str, done: int, total: int) -> None:
        """Show progress of a step with a known end, on a terminal only."""
        if self.quiet or total < 50 or not sys.stderr.isatty():
            return
        now = time.monotonic()
        if done < total and now - self._shown < 0.1:
            return
        self._shown = now
        width = 30
        full = width * done // total
        bar = (
            "#" * full + "." * (width - full) if self._plain else "━" * full + "╌" * (width - full)
        )
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{label:8} {bar} {done:,}/{total:,}{end}")
        sys.stderr.flush()

    @contextmanager
    def progress(self, total: int | None, label: str) -> Iterator[Callable[[int], None]]:
        """Show progress in bytes: the block calls what it gets with each count.

        `total` is None where nobody knows it.
        """
        if self.quiet or (total or 1 << 20) < 1 << 20 or not sys.stderr.isatty():
            yield lambda count: None  # noqa: ARG005 - nobody watches
            return
        from rich.console import Console as RichConsole  # noqa: PLC0415 - 40 ms
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TransferSpeedColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
                   TransferSpeedColumn())  # fmt: skip
        console = RichConsole(stderr=True, no_color=self._plain)
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(label, total=total)
            yield lambda count: bar.advance(task, count)
