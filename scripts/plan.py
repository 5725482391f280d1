"""What a run of the benchmark was asked for, and the registries that its subjects share."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from generate import PER_NAMESPACE, generate
from measure import say

FULL = 10_000  # the size that a `scaled` figure is meant for
LARGE = 50_000  # from here on everything is measured once, and without Hugo


@dataclass(frozen=True)
class Plan:
    """The sizes of registries, tags a collection, runs of each, and a folder to work in."""

    work: Path
    sizes: list[int]
    tags: int
    runs: int

    def scaled(self, figure: int) -> int:
        """Return a figure of a full run, or less of it if only smaller registries are asked for."""
        return max(1, min(figure, figure * max(self.sizes) // FULL))

    def runs_at(self, count: int) -> int:
        """Return how often to measure at a size."""
        return 1 if count >= LARGE else self.runs

    @property
    def small(self) -> int:
        """A size for what is slow on the other side, such as a server for tests."""
        return min(1000, *self.sizes)

    def registry(self, count: int, tags: int = 0, per_namespace: int = PER_NAMESPACE) -> Path:
        """Return a registry of a size; it is made when it is first asked for."""
        tags = tags or self.tags
        source = self.work / f"registry-{count}x{tags}-{per_namespace}"
        if not source.exists():
            say(f"make a registry of {count:,} collections with {tags:,} tags each")
            generate(source, count, tags, per_namespace)
        return source

    def fresh(self, name: str) -> Path:
        """Return a folder to build in, which does not exist."""
        folder = self.work / name
        put_aside(folder)
        return folder


def put_aside(*folders: Path) -> None:
    """Move folders of many files away; none is removed while something is measured.

    ext4 gives the number of a removed file to no other for minutes, and each
    file that is made looks through all those that wait: after a removed site
    a build would be measured at twice its cost.
    """
    for folder in filter(Path.exists, folders):
        folder.rename(f"{folder}-{time.time_ns()}")


def remove(*folders: Path) -> None:
    """Remove folders of few files."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def edit(file: Path, line: str) -> None:
    """Append a line to a README."""
    file.write_text(f"{file.read_text()}\n{line}\n")
