"""How a build is done: what no page depends on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.errors import ContentError, Problem
from builder.storage.parallel import Steps
from builder.write.engine import Engine
from builder.write.workers import Workers

if TYPE_CHECKING:
    from builder.build.shards import Parts, Shard


def silent(label: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class How:
    """How a site is built.

    `jobs` processes at most, 0 for one per core; `strict` makes problems of
    warnings; `engine` does what is worth while to do in several places at once.
    With a `shard` only that part of the site is made, into the destination as
    `shards` keeps it; with `parts` what these have is not made again. Who stays
    `resident` builds again and again, and prepares what all builds can share.
    """

    jobs: int = 0
    strict: bool = False
    progress: Steps = silent
    engine: Engine = Workers
    shard: Shard | None = None
    parts: Parts | None = None
    resident: bool = False

    @property
    def processes(self) -> int:
        """How many processes of this machine to use."""
        return self.jobs or min(os.cpu_count() or 1, 8)

    def judged(self, warnings: list[Problem]) -> list[Problem]:
        """Return warnings; raises ContentError with them where they count as problems."""
        if self.strict and warnings:
            raise ContentError(self.strictly(warnings))
        return warnings

    def strictly(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems, among them warnings where these count as such."""
        return [replace(item, warning=item.warning and not self.strict) for item in problems]
