"""One game: a registry, a target, a way of building, and a list of seeded edits."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from builder.build.pipeline import Pipeline
from builder.errors import BuilderError
from builder.write.stage import STAGE
from tests.oracle.edits import EDITS, add_collection, add_tag, edit_document
from tests.oracle.judge import anew, build, differences, open_pipeline, tree
from tests.oracle.world import MADE, World

TARGETS = ("plain", "nginx", "apache", "github-pages")
_MISHAPS = 0.12  # of all steps: a kill, a lost or damaged cache, another branch
_MEND = 0.6  # of the steps after a failed build go back to what was good


@dataclass(frozen=True, slots=True)
class Game:
    """What is played; equal games make equal edits. `serve` keeps one pipeline, as a preview."""

    seed: int
    target: str
    serve: bool = False

    def __str__(self) -> str:
        return f"SEED={self.seed} TARGET={self.target}{' SERVE=1' if self.serve else ''}"


@dataclass(slots=True)
class Failure:
    """The step at which a build was not as a first one, what had been done, and what differed."""

    step: int
    done: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)


class Player:
    """Plays a game in a folder of its own."""

    def __init__(self, game: Game, folder: Path, app: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "registry").mkdir(parents=True)
        self._game = game
        self._elsewhere = folder / "elsewhere"
        self._good = folder / "good"
        self._world = World(folder / "registry", app)
        self._pipeline: Pipeline | None = None
        self._failed = False
        self._seen: dict[str, str] = {}
        self._base = ""  # of the last good build
        self._lost = False  # the cache, or a part of it
        self._start()

    def play(self, steps: Sequence[int], tell: Callable[[str], None]) -> Failure | None:
        """Make the edits of these numbers; return how it went wrong, if it did."""
        done = []
        for step in steps:
            began = time.monotonic()
            self._world.rng = Random(f"{self._game.seed} {step}")
            stamps = _stamps(self._world.root)
            done.append(f"{step}: {self._edit()}")
            differing = self._judge(_touched(stamps, _stamps(self._world.root)))
            tell(f"{self._game} {time.monotonic() - began:5.2f} s {done[-1][:150]}")
            if differing:
                return Failure(step, done, differing)
        return None

    def _start(self) -> None:
        world = self._world
        world.rng = Random(f"{self._game.seed} start")
        world.set_config({"title": "Registry"})
        for edit in (add_collection, add_collection, add_tag, add_tag, edit_document):
            edit(world)
        world.save(self._good)

    def _edit(self) -> str:
        world, rng = self._world, self._world.rng
        if self._failed and rng.random() < _MEND:
            world.checkout(self._good)
            return "checkout of what was good"
        if rng.random() < _MISHAPS:
            return rng.choice(MISHAPS)(self)
        edits = rng.choices(list(EDITS), list(EDITS.values()), k=rng.choice((1, 1, 1, 2, 3)))
        return "; ".join(f"{edit.__name__}: {edit(world)}" for edit in edits)

    def _judge(self, touched: frozenset[str]) -> list[str]:
        """Build here and elsewhere; return in what the two differ."""
        game, root = self._game, self._world.root
        if self._pipeline is not None and "_config.yml" in touched:
            self._pipeline = None
        if game.serve and self._pipeline is None:
            touched = frozenset()
            self._pipeline = _opened(root, game.target)
        kept = self._pipeline
        before = self._seen if game.serve else _without_stage(tree(root))
        got = build(root, game.target, kept, touched or None, serve=game.serve, base=self._base)
        self._base = got.base
        wanted = anew(root, self._elsewhere, game.target, serve=game.serve)
        self._failed = wanted.code != 0
        if not self._failed:
            self._world.save(self._good)
        if game.serve and kept is None:
            got.seen = before  # no configuration, so nobody to ask
        if game.serve and self._lost and self._failed and not got.seen:
            before = {}  # what a preview showed has gone with its map, and whole
        self._lost = False
        self._seen = got.seen
        return list(differences(got, wanted, before))

    def kill(self) -> str:
        """A build that is killed at some moment, with all its workers."""
        moment = self._world.rng.uniform(0, 0.4)
        if (child := os.fork()) == 0:
            os.setsid()
            build(self._world.root, self._game.target, serve=self._game.serve)
            os._exit(0)
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self._pipeline = None
        return f"a build killed after {moment:.2f} s"

    def lose_cache(self) -> str:
        shutil.rmtree(self._world.path(".builder-cache"), ignore_errors=True)
        self._pipeline = None
        self._lost = True
        return "the cache is lost"

    def damage_cache(self) -> str:
        """A database of the cache that is cut short, or whose middle was overwritten."""
        found = self._world.some(sorted(self._world.path(".builder-cache").rglob("*.sqlite")))
        if found is None:
            return "no cache"
        data = bytearray(found.read_bytes())
        if self._world.rng.random() < 0.5:
            data = data[: len(data) // 2]
        else:
            data[len(data) // 3 : len(data) // 2] = b"x" * (len(data) // 2 - len(data) // 3)
        found.write_bytes(data)
        self._pipeline = None
        self._lost = True
        return f"the cache's {found.name} is damaged"

    def lose_site(self) -> str:
        shutil.rmtree(self._world.path("_site"), ignore_errors=True)
        return "the site is lost"

    def keep_branch(self) -> str:
        self._world.save(self._good.with_name("branch"))
        return "another branch begins"

    def switch_branch(self) -> str:
        branch = self._good.with_name("branch")
        if not branch.is_dir():
            return "no other branch"
        here = self._good.with_name("here")
        self._world.save(here)
        self._world.checkout(branch)
        here.rename(branch.with_name("swap"))
        shutil.rmtree(branch)
        branch.with_name("swap").rename(branch)
        return "the other branch"


MISHAPS: tuple[Callable[[Player], str], ...] = (
    Player.kill, Player.kill, Player.lose_cache, Player.damage_cache, Player.lose_site,
    Player.keep_branch, Player.switch_branch,
)  # fmt: skip


def _opened(root: Path, target: str) -> Pipeline | None:
    """Return a pipeline to keep, or None while the configuration is not sound."""
    try:
        return open_pipeline(root, target, serve=True)
    except BuilderError:
        return None


def _without_stage(seen: dict[str, str]) -> dict[str, str]:
    """Leave out what a killed build had staged: any later one sweeps it, a failing one too."""
    return {path: digest for path, digest in seen.items() if f"/{STAGE}/" not in path}


def _stamps(root: Path) -> dict[str, tuple[int, ...]]:
    """Return the state of every file and folder that a preview watches."""
    found = {}
    for path in root.rglob("*"):
        inner = str(path.relative_to(root))
        if not inner.startswith(MADE):
            state = path.lstat()
            times = (state.st_mtime_ns, state.st_ctime_ns) if path.is_file() else ()
            found[inner] = (state.st_mode, state.st_ino, *times)
    return found


def _touched(
    before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]
) -> frozenset[str]:
    return frozenset(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )


def play(game: Game, steps: Sequence[int], folder: Path, app: Path,
         tell: Callable[[str], None] = lambda _: None) -> Failure | None:  # fmt: skip
    """Play one game from its start."""
    return Player(game, folder / "game", app).play(steps, tell)


def minimised(game: Game, failure: Failure, folder: Path, app: Path) -> tuple[list[int], Failure]:
    """Leave out the steps without which it fails too, halves first."""
    steps = list(range(failure.step + 1))
    size = max(1, len(steps) // 2)
    while size:
        start = 0
        while start < len(steps) - 1:
            fewer = steps[:start] + steps[min(start + size, len(steps) - 1) :]
            found = play(game, fewer, folder, app)
            if found is not None:
                steps, failure = fewer[: fewer.index(found.step) + 1], found
            else:
                start += size
        size //= 2
    return steps, failure
