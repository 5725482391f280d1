"""Spoils every operation at every point; writes how many were tried into docs/guide/trust.md.

`python -m tests.proof [--most N] [NAME...]`: N points of each call at most (all by default), of
the operations of these names (all by default). Needs root, strace, faketime and some hours.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

from tests.gateways import WRITER, run_moto
from tests.proof.operations import OPERATIONS
from tests.proof.spoiling import WAYS, Bench, ways_of

GUIDE = Path(__file__).parents[2] / "docs/guide/trust.md"
_MARKED = re.compile(r"(?<=<!-- proof -->\n).*?(?=<!-- /proof -->)", re.DOTALL)


def prove(name: str, most: int, work: Path) -> dict[str, tuple[int, int]]:
    """Spoil one operation in every way; return points and violations, and print the latter."""
    bench = Bench(OPERATIONS[name], work)
    found = {}
    for way in ways_of(OPERATIONS[name]):
        points = list(WAYS[way](bench, most))
        faults = [point for point in points if point.fault]
        for point in faults:
            _say(f"{name}, {point.what}: {point.fault}")
        found[way] = len(points), len(faults)
        _say(f"{name}, {way}: {len(points)} points, {len(faults)} violations")
    return found


def table(results: dict[str, dict[str, tuple[int, int]]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        f"| operation | {' | '.join(WAYS)} | violations |",
        f"| --- |{' ---: |' * (len(WAYS) + 1)}",
    ]
    for name, found in results.items():
        counts = [f"{found[way][0]:,}" if way in found else "" for way in WAYS]
        lines.append(f"| {name} | {' | '.join(counts)} | {sum(bad for _, bad in found.values())} |")
    return "\n".join(lines) + "\n"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Prove all that was asked for; write the table where that was everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=sys.maxsize)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    names = given.names or list(OPERATIONS)
    with tempfile.TemporaryDirectory() as folder, run_moto(Path(folder)) as url:
        os.environ.update({**WRITER, "AWS_ENDPOINT_URL": url})
        places = [Path(folder) / str(number) for number in range(len(names))]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(prove, names, repeat(given.most), places)
            results = dict(zip(names, found, strict=True))
    text = table(results)
    _say(text)
    if not given.names:
        GUIDE.write_text(_MARKED.sub(text, GUIDE.read_text()))
    return 1 if any(bad for found in results.values() for _, bad in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
