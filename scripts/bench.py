"""How fast is it? Prints ratios and growth; asserts nothing.

For each size: a cold build, one after no change, one after an edit of one
README, the preview's time from an edit to the new page; and, in the same run,
the floor: the same bodies made by Markdown and Jinja and written, one process
a core, with none of what a registry needs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate import generate
from measure import BUILDER, Cost, measured


def floor(source: Path, site: Path, into: Path) -> Cost:
    """Measure Markdown, one template a page, and a write of every file of the finished site."""
    script = Path(__file__).with_name("floor.py")
    return measured([sys.executable, str(script), str(source), str(site), str(into)])


def seen_after_edit(source: Path, readme: Path) -> float:
    """Return the seconds from an edit to the new text in the preview, the median of five."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*BUILDER, "serve", "-q", "-s", str(source), "-P", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    name = "/".join(readme.parent.parts[-2:])
    url = f"http://127.0.0.1:{port}/{name}/"
    try:
        if process.stdout is not None:
            process.stdout.readline()
        times = [_edit(url, readme, number) for number in range(5)]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    return sorted(times)[2]


def _edit(url: str, readme: Path, number: int) -> float:
    word = f"edited-{number}-{time.time_ns()}"
    text = readme.read_text()
    began = time.monotonic()
    readme.write_text(f"{text}\n{word}\n")
    while time.monotonic() - began < 60:
        with urllib.request.urlopen(url, timeout=30) as answer:
            if word.encode() in answer.read():
                return time.monotonic() - began
        time.sleep(0.005)
    return float("nan")


def bench(count: int, tags: int, work: Path) -> dict[str, Cost | float]:
    """Measure one size."""
    source, site = work / f"r{count}", work / f"s{count}"
    generate(source, count, tags)
    command = [*BUILDER, "build", "-q", "-s", str(source), "-d", str(site)]
    found: dict[str, Cost | float] = {"cold": measured(command), "no change": measured(command)}
    readme = source / "collections/team0/tool7/README.md"
    readme.write_text(readme.read_text() + "\nOne more line.\n")
    found["one edit"] = measured(command)
    found["floor"] = floor(source, site, work / f"f{count}")
    found["files"] = float(sum(len(files) for _, _, files in os.walk(site)))
    shutil.rmtree(work / f"f{count}")
    shutil.rmtree(site)
    found["serve edit"] = seen_after_edit(source, readme)
    shutil.rmtree(source)
    return found


def report(count: int, found: dict[str, Cost | float]) -> None:
    """Print one size."""
    cold, bare = found["cold"], found["floor"]
    files = found["files"]
    print(f"\n{count:,} collections, {files:,.0f} files")
    for name, cost in found.items():
        if isinstance(cost, Cost):
            spent = f"wall {cost.wall:8.2f} s  cpu {cost.cpu:8.2f} s"
            print(f"  {name:10} {spent}  peak {cost.peak:6.0f} MB")
    if isinstance(cold, Cost) and isinstance(bare, Cost) and isinstance(files, float):
        print(f"  cold / floor, cpu        {cold.cpu / bare.cpu:6.2f}")
        for name in ("no change", "one edit"):
            cost = found[name]
            if isinstance(cost, Cost):
                print(f"  {name} / cold, cpu   {cost.cpu / cold.cpu:8.3f}")
        print(f"  files a second, cold     {files / cold.wall:6.0f}")
    print(f"  serve: edit to new page  {found['serve edit']:6.3f} s")


def main() -> None:
    """Measure the sizes asked for and print them, with the growth between them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1000, 10000])
    parser.add_argument("--tags", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{multiprocessing.cpu_count()} cores, Python {sys.version.split()[0]}")
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        for count in arguments.sizes:
            results.append((count, bench(count, arguments.tags, Path(work))))
            report(*results[-1])
    for (small, before), (large, after) in pairwise(results):
        print(f"\ngrowth from {small:,} to {large:,} ({large / small:.0f} times the collections)")
        for name in ("cold", "no change", "one edit"):
            one, other = before[name], after[name]
            if isinstance(one, Cost) and isinstance(other, Cost):
                print(f"  {name:10} cpu {other.cpu / one.cpu:6.1f} times")


if __name__ == "__main__":
    main()
