"""How fast is it? Prints one table with ratios and writes it as JSON; asserts nothing.

For each size, and each run of it: a cold build, one with the caches of
another machine, one after no change, one after an edit of a README; each
beside Hugo's of the same registry where Hugo is installed, in turn, so that a
machine whose speed drifts tells the same ratios. Then the preview, and how
many files and folders a collection is on each kind of host.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

from generate import generate
from hugo import generate_for_hugo
from measure import BUILDER, Cost, environment, measured

from builder.targets import target_names

_WORKS = ("cold", "caches kept", "nothing changed", "one README")
_COUNTED = 40  # collections whose files are counted, beside as many more


def times(source: Path, site: Path, number: int) -> Iterator[tuple[str, Cost]]:
    """Measure one run of all works; the registry is built to `site` for nginx."""
    command = [*BUILDER, "build", "-q", "-t", "nginx", "-s", str(source), "-d", str(site)]
    cache = source / ".builder-cache"
    _put_aside(site, cache)
    yield "cold", measured(command)
    _put_aside(site, cache / "records")
    yield "caches kept", measured(command)
    yield "nothing changed", measured(command)
    _edit(source / "collections/team0/tool7/README.md", f"One more line, {number}.")
    yield "one README", measured(command)


def times_of_hugo(source: Path, site: Path, number: int) -> Iterator[tuple[str, Cost]]:
    """Measure the same of Hugo, which keeps no caches: what is kept changes nothing for it."""
    command = ["hugo", "--quiet", "-s", str(source), "-d", str(site)]
    _put_aside(site)
    cold = measured(command)
    yield "cold", cold
    yield "caches kept", cold
    yield "nothing changed", measured(command)
    _edit(source / "content/team0/tool7/_index.md", f"One more line, {number}.")
    yield "one README", measured(command)


def _put_aside(*folders: Path) -> None:
    """Move folders away; nothing is removed while something is measured.

    ext4 gives the number of a removed file to no other for minutes, and each
    file that is made looks through all those that wait: after a removed site
    a build would be measured at twice its cost.
    """
    for folder in filter(Path.exists, folders):
        folder.rename(f"{folder}-{time.time_ns()}")


def _edit(file: Path, line: str) -> None:
    file.write_text(f"{file.read_text()}\n{line}\n")


def middle(costs: list[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(*(median(figures) for figures in zip(*costs, strict=True)))


def serving(source: Path) -> tuple[float, float]:
    """Return seconds from the start of a preview to its answer, and from an edit to new text.

    The registry has been served before; the second is the median of five.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    readme = source / "collections/team0/tool7/README.md"
    url = f"http://127.0.0.1:{port}/team0/tool7/"
    command = [*BUILDER, "serve", "-q", "-s", str(source), "-P", str(port)]
    first = 0.0
    for last in (False, True):
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
        )
        try:
            if process.stdout is not None:
                process.stdout.readline()
            _seen(url, b"Tool 7")
            first = time.monotonic() - began
            edits = [_seen_after(url, readme, number) for number in range(5 if last else 0)]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
    return first, median(edits)


def _seen_after(url: str, readme: Path, number: int) -> float:
    word = f"edited-{number}-{time.time_ns()}"
    began = time.monotonic()
    _edit(readme, word)
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


def counted(work: Path, tags: int) -> dict[str, tuple[float, float]]:
    """Return the files and the folders of a collection on each kind of host."""
    found = {}
    for target in target_names():
        sizes = []
        for count in (_COUNTED, 2 * _COUNTED):
            source, site = work / f"c{count}", work / f"c{count}-site"
            if not source.exists():
                generate(source, count, tags)
            shutil.rmtree(site, ignore_errors=True)
            measured([*BUILDER, "build", "-q", "-t", target, "-s", str(source), "-d", str(site)])
            sizes.append(_size(site))
        (files, folders), (more, deeper) = sizes
        found[target] = ((more - files) / _COUNTED, (deeper - folders) / _COUNTED)
    return found


def _size(site: Path) -> tuple[int, int]:
    files = folders = 0
    for _, inner, names in os.walk(site):
        files, folders = files + len(names), folders + len(inner)
    return files, folders


def bench(count: int, tags: int, runs: int, work: Path) -> dict[str, dict[str, Cost]]:
    """Return what each work costs at one size, ours and Hugo's."""
    source, site, peer = work / f"r{count}", work / f"s{count}", work / f"h{count}"
    generate(source, count, tags)
    makers = {"builder": lambda number: times(source, site, number)}
    if shutil.which("hugo"):
        generate_for_hugo(peer, count, tags)
        makers["hugo"] = lambda number: times_of_hugo(peer, work / f"hs{count}", number)
    costs: dict[str, dict[str, list[Cost]]] = {name: {} for name in makers}
    for number in range(runs):
        for name, make in makers.items():
            for what, cost in make(number):
                costs[name].setdefault(what, []).append(cost)
    return {
        name: {what: middle(found) for what, found in mine.items()} for name, mine in costs.items()
    }


def report(count: int, found: dict[str, dict[str, Cost]]) -> None:
    """Print one size."""
    print(f"\n{count:,} collections         wall s    cpu s  peak MB   of Hugo's, each")
    for what in _WORKS:
        ours, peer = found["builder"][what], found.get("hugo", {}).get(what, ())
        ratios = "".join(f"{mine / its:7.2f}" for mine, its in zip(ours, peer, strict=False))
        print(f"  {what:18} {ours.wall:9.2f} {ours.cpu:8.2f} {ours.peak:8.0f}  {ratios}")


def main() -> None:
    """Measure the sizes asked for, and write what was found to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1000, 10000])
    parser.add_argument("--tags", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    results: dict[str, object] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = Path(folder)
        for count in arguments.sizes:
            found = bench(count, arguments.tags, arguments.runs, work)
            report(count, found)
            first, edit = serving(work / f"r{count}")
            print(f"  serve: first answer {first:.2f} s, an edit to its text {edit:.3f} s")
            results[str(count)] = {
                **{name: {what: cost._asdict() for what, cost in mine.items()}
                   for name, mine in found.items()},
                "serve": {"first": first, "edit": edit},
            }  # fmt: skip
        for what, command in (("--version", "--version"), ("--help", "--help")):
            cost = middle([measured([*BUILDER, command]) for _ in range(5)])
            print(f"builder {what}: {cost.wall * 1000:.0f} ms")
            results[what] = cost._asdict()
        places = results["files and folders"] = counted(work, arguments.tags)
    for target, (files, folders) in places.items():
        print(f"{target:14} {files:5.1f} files and {folders:5.1f} folders a collection")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
