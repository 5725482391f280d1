"""`python -m tests.oracle`: many games, until the time or the steps are over.

SEED, STEPS, TARGET and SERVE play one game again; LENGTH is how many steps a
game has. Ends with status 1 at the first difference, made as short as it gets.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.oracle.judge import warm
from tests.oracle.play import TARGETS, Game, minimised, play
from tests.oracle.world import make_app


def games() -> Iterator[Game]:
    """Yield the game that was asked for, or one after another of every kind."""
    said = os.environ.get
    first = int(said("SEED", "0"))
    if said("TARGET"):
        yield Game(first, said("TARGET", ""), bool(said("SERVE")))
        return
    kinds = itertools.cycle(itertools.product((False, True), TARGETS))
    for seed, (serve, target) in zip(itertools.count(first), kinds, strict=False):
        yield Game(seed, target, serve)


def main() -> int:
    """Play; print the progress, and whatever differs."""
    total = int(os.environ.get("STEPS", "2000"))
    length = total if os.environ.get("TARGET") else int(os.environ.get("LENGTH", "50"))
    only = [int(number) for number in os.environ.get("ONLY", "").split()]
    began = time.monotonic()
    played = 0
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="oracle-", dir=memory) as work:
        app = make_app(Path(work, "app"))
        warm()
        for game in games():
            steps = only or range(
                min(length if not os.environ.get("TARGET") else total, total - played)
            )
            failure = play(game, steps, Path(work), app, print)
            played += len(steps)
            if failure is not None:
                print(f"\n{game} differs at step {failure.step}; making it shorter ...", flush=True)
                if not only:
                    shorter, failure = minimised(game, failure, Path(work), app)
                    print(f"again: make oracle {game} ONLY='{' '.join(map(str, shorter))}'")
                print(*failure.done, "", *failure.differing[:40], sep="\n")
                return 1
            print(f"{played} steps, 0 differences, {time.monotonic() - began:.0f} s", flush=True)
            if played >= total:
                break
    return 0


if __name__ == "__main__":
    sys.exit(main())
