"""How soon the preview answers after its start, and shows an edit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from generate import name_of
from measure import BUILDER, Rows, environment, say
from plan import LARGE, Plan, edit
from servers import free_port

_EDITS = 5
_SERVED = name_of(7)


def measure(plan: Plan) -> Rows:
    """Return both at each size, in seconds; a large registry is left out."""
    return {f"{count:,}": _of(plan.registry(count)) for count in plan.sizes if count < LARGE}


def _of(source: Path) -> dict[str, float]:
    with _serving(source) as (_, cold):
        pass
    readme = source / "collections" / _SERVED / "README.md"
    with _serving(source) as (url, first):
        edits = [_seen_after(url, readme, number) for number in range(_EDITS)]
    return {"first start s": cold, "next start s": first, "edit s": median(edits)}


@contextmanager
def _serving(source: Path) -> Iterator[tuple[str, float]]:
    """Run a preview; yields the address of a page, and the seconds until it was there."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/{_SERVED}/"
    command = [*BUILDER, "serve", "-q", "-s", str(source), "-P", str(port)]
    say("builder serve")
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    )
    try:
        if process.stdout is not None:
            process.stdout.readline()  # it says its address when it listens
        _seen(url, b"Tool 7")
        yield url, time.monotonic() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _seen_after(url: str, readme: Path, number: int) -> float:
    word = f"edited-{number}-{time.time_ns()}"
    began = time.monotonic()
    edit(readme, word)
    _seen(url, word.encode())
    return time.monotonic() - began


def _seen(url: str, word: bytes) -> None:
    began = time.monotonic()
    while time.monotonic() - began < 120:
        with urllib.request.urlopen(url, timeout=120) as answer:
            if word in answer.read():
                return
        time.sleep(0.002)
    sys.exit(f"{url}: never showed {word.decode()}")
