"""Ways to spoil a run: killed or refused at a system call, on a disk that is full or read-only,
without descriptors, as somebody else, beside another run, with a clock that is wrong.

Each yields a point for everything that it tried, with what did not hold.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from builder.errors import BuilderError
from tests.hosts import BUILDER, let_in
from tests.proof.operations import Operation, make_state, registry_of

KILLED = {0, 3, -signal.SIGKILL, 128 + signal.SIGKILL}  # 3: a worker was, and the run says so
WORDS = {0, 1, 3, 4, 5}  # exit codes of a run that said what was wrong
# By name, for strace counts the calls of each name apart.
CALLS = (
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "mkdir", "mkdirat", "unlink",
    "unlinkat", "rmdir", "fsync", "ftruncate", "write", "pwrite64", "sendfile", "copy_file_range",
    "openat", "sendto", "writev",
)  # fmt: skip
REFUSALS = {
    "write": "ENOSPC", "pwrite64": "EIO", "sendfile": "ENOSPC", "copy_file_range": "ENOSPC",
    "ftruncate": "EIO", "fsync": "EIO", "rename": "EACCES", "renameat": "EACCES", "link": "EIO",
    "symlink": "EROFS", "mkdir": "ENOSPC", "mkdirat": "ENOSPC", "unlink": "EACCES",
    "unlinkat": "EACCES", "rmdir": "EACCES",
}  # fmt: skip
_TRACED = ("strace", "-f", "--seccomp-bpf", "-qq", "-o")  # stops at the calls asked for, no others
_MOVED = ("-3d", "+30y", "-50y")  # what the clock of a run is off by
_SECONDS = 120  # for one run
_SHORT = 3  # names of calls that the short form tries


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was tried; `fault` says what did not hold, if anything."""

    what: str
    fault: str = ""


class Bench:
    """An operation in a folder of its own; each try has a fresh copy of the same state."""

    def __init__(self, operation: Operation, work: Path) -> None:
        self._operation = operation
        self._pristine = work / "pristine"
        self.state = work / "state"
        self._pristine.mkdir(parents=True)
        make_state(self._pristine)
        # Made where the tries are: what a cache knows of a path must be so there, too.
        self._pristine.rename(self.state)
        for command in operation.before:
            done = self.run(command(self.state))
            assert done.returncode == 0, done.stderr
        subprocess.run(["cp", "-a", str(self.state), str(self._pristine)], check=True)

    def fresh(self) -> None:
        """Put the state back to what it was."""
        subprocess.run(["rm", "-rf", str(self.state)], check=True)
        subprocess.run(["cp", "-a", str(self._pristine), str(self.state)], check=True)
        if self._operation.start:
            self._operation.start(self.state)

    def _command(self, arguments: Sequence[str], program: Sequence[str]) -> list[str]:
        name, *rest = arguments
        return [*program, name, "-q", "-s", str(registry_of(self.state)), *rest]

    def run(
        self, arguments: Sequence[str], *around: str, shell: str = "", program: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run the builder or another program, inside of yet another where one is given."""
        command = [*around, *self._command(arguments, program or BUILDER)]
        if shell:
            command = ["sh", "-c", f'{shell}; exec "$@"', "sh", *command]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment
        )

    def _run_operation(self, *around: str, shell: str = "") -> subprocess.CompletedProcess[str]:
        operation = self._operation
        command = operation.command(self.state)
        return self.run(command, *around, shell=shell, program=operation.program)

    def attempt(
        self,
        what: str,
        ends: set[int],
        *around: str,
        shell: str = "",
        relief: Callable[[], object] | None = None,
    ) -> Point:
        """Spoil one run; return what did not hold then, or when it ran again after `relief`."""
        done = self._run_operation(*around, shell=shell)
        if relief is not None:
            relief()
        try:
            assert "Traceback" not in done.stderr, done.stderr[-500:]
            assert done.returncode in ends, f"exit {done.returncode}: {done.stderr[-300:]}"
            self._operation.holds(self.state)
            # The same command brings all in order; it may find that all is done.
            again = self._run_operation()
            assert again.returncode in (0, 1), again.stderr[-300:]
            self._operation.done(self.state)
        except (AssertionError, BuilderError, OSError) as error:
            return Point(what, f"{type(error).__name__}: {error}"[:600])
        return Point(what)

    def start(self) -> subprocess.Popen[bytes]:
        """Start a run, and do not wait for it."""
        operation = self._operation
        command = self._command(operation.command(self.state), operation.program)
        return subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def used(self) -> int:
        """Return how much a fresh state takes, in KiB."""
        command = ["du", "-sk", str(self._pristine)]
        return int(subprocess.run(command, capture_output=True, check=True).stdout.split()[0])

    @contextlib.contextmanager
    def mounted(self, free: int, *, read_only: bool = False) -> Iterator[None]:
        """Have a fresh state on a disk of its own, with so many KiB to spare."""
        subprocess.run(["rm", "-rf", str(self.state)], check=True)
        self.state.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.used() + free}k", "proof"]
        subprocess.run([*mount, str(self.state)], check=True)
        try:
            subprocess.run(["cp", "-a", f"{self._pristine}/.", str(self.state)], check=True)
            if read_only:
                subprocess.run(["mount", "-o", "remount,ro", str(self.state)], check=True)
            yield
        finally:
            subprocess.run(["umount", "-l", str(self.state)], check=True)

    def remount(self, options: str) -> Callable[[], object]:
        """Return what mounts the disk of `mounted` anew."""
        command = ["mount", "-o", f"remount,{options}", str(self.state)]
        return partial(subprocess.run, command, check=True)

    @property
    def in_bucket(self) -> bool:
        """Whether the operation writes to a bucket."""
        return self._operation.start is not None

    @cached_property
    def calls(self) -> Counter[str]:
        """How often a run makes each of the calls."""
        self.fresh()
        log = self.state.with_name("log")
        done = self._run_operation(*_TRACED, str(log), "-e", f"trace={','.join(CALLS)}")
        assert done.returncode == 0, done.stderr
        return Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE))


def _steps(count: int, most: int) -> list[int]:
    """Return which of `count` calls to spoil: all, or `most` that are spread over them."""
    tried = min(count, most)
    return [(2 * number + 1) * count // (2 * tried) + 1 for number in range(tried)]


def _chosen(calls: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """Return the calls to spoil: all, or in the short form a few, other ones by operation."""
    found = sorted(calls.items())
    step = -(-len(found) // _SHORT)
    return found[sum(calls.values()) % step :: step] if most == 1 else found


def killed(bench: Bench, most: int) -> Iterator[Point]:
    """Kill at every k-th call of every name."""
    for name, count in _chosen(bench.calls, most):
        for k in _steps(count, most):
            yield _traced(bench, name, k, "signal=SIGKILL", KILLED)


def refused(bench: Bench, most: int) -> Iterator[Point]:
    """Let every k-th call of every name fail."""
    # Whoever speaks to a bucket wakes its threads by `write`, which no disk refuses.
    names = REFUSALS.keys() - ({"write"} if bench.in_bucket else set())
    calls = {name: count for name, count in bench.calls.items() if name in names}
    for name, count in _chosen(calls, most):
        for k in _steps(count, most):
            yield _traced(bench, name, k, f"error={REFUSALS[name]}", WORDS)


def _traced(bench: Bench, name: str, k: int, how: str, ends: set[int]) -> Point:
    bench.fresh()
    filters = ("-e", f"trace={name}", "-e", f"inject={name}:{how}:when={k}")
    return bench.attempt(f"{how} at {name} {k}", ends, *_TRACED, "/dev/null", *filters)


def starved(bench: Bench, most: int) -> Iterator[Point]:
    """Run on disks that fill up earlier and later; then there is room again."""
    for free in _steps(1200, most):
        with bench.mounted(free):
            yield bench.attempt(f"{free} KiB free", WORDS, relief=bench.remount("size=64m"))


def read_only(bench: Bench, most: int) -> Iterator[Point]:
    """Run on a disk that cannot be written."""
    del most
    with bench.mounted(1 << 16, read_only=True):
        yield bench.attempt("read-only", WORDS, relief=bench.remount("rw"))


def as_somebody_else(bench: Bench, most: int) -> Iterator[Point]:
    """Run as a user who may read all and write nothing there."""
    del most
    bench.fresh()
    let_in(bench.state)
    yield bench.attempt("as nobody", WORDS, "setpriv", "--reuid=65534", "--regid=65534",
                        "--clear-groups")  # fmt: skip


def without_descriptors(bench: Bench, most: int) -> Iterator[Point]:
    """Run with few descriptors, down to those that Python needs to start."""
    for count in _steps(40, most):
        bench.fresh()
        limit = f"ulimit -n {7 + count}"
        yield bench.attempt(limit, WORDS, shell=limit)


def two_at_once(bench: Bench, most: int) -> Iterator[Point]:
    """Run twice at the same time."""
    for number in range(min(most, 5)):
        bench.fresh()
        with bench.start() as other:
            ended = partial(other.wait, _SECONDS)
            point = bench.attempt(f"two at once, {number}", WORDS, relief=ended)
        yield point


def by_another_clock(bench: Bench, most: int) -> Iterator[Point]:
    """Run with a clock that is ahead or behind, among files that are dated by the right one."""
    for shift in _MOVED[:most]:
        bench.fresh()
        yield bench.attempt(f"the clock is off by {shift}", WORDS, "faketime", "-f", shift)


WAYS = {
    "killed at a call": killed,
    "refused a call": refused,
    "a full disk": starved,
    "a read-only disk": read_only,
    "another user": as_somebody_else,
    "few descriptors": without_descriptors,
    "two at once": two_at_once,
    "a moved clock": by_another_clock,
}


def ways_of(operation: Operation) -> list[str]:
    """Return the ways to spoil an operation: a disk says nothing of what is in a bucket."""
    disks = ("a full disk", "a read-only disk")
    return [way for way in WAYS if not (operation.start and way in disks)]
