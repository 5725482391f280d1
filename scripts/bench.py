"""How fast is it? Prints one table with ratios and writes it as JSON; asserts nothing.

Each subject is a module of its own; what it needs and is not installed leaves
it out, with a line that says so. docs/reference/speed.md says what each row is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench_builds
import bench_cluster
import bench_files
import bench_hashing
import bench_images
import bench_preview
import bench_publishing
import bench_reload
import bench_serving
import bench_shapes
import bench_startup
from measure import MissingError, Rows, say
from plan import Plan

SUBJECTS: dict[str, Callable[[Plan], Rows]] = {
    "startup": bench_startup.measure,
    "files": bench_files.measure,
    "builds": bench_builds.measure,
    "preview": bench_preview.measure,
    "tags": bench_shapes.many_tags,
    "namespaces": bench_shapes.many_namespaces,
    "folder": bench_publishing.to_folder,
    "bucket": bench_publishing.to_bucket,
    "hashing": bench_hashing.measure,
    "reload": bench_reload.measure,
    "cluster": bench_cluster.measure,
    "images": bench_images.measure,
    "serving": bench_serving.measure,
}
_SMALLEST = 10  # collections; the eighth is the one that is edited


def show(subject: str, rows: Rows) -> None:
    """Print the rows of a subject, a column for each kind of figure."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    wide = max(map(len, (subject, *rows)))
    print(f"\n{subject:{wide}}" + "".join(f"  {key:>8}" for key in columns))
    for name, row in rows.items():
        cells = (_figure(row[key]) if key in row else "" for key in columns)
        fields = zip(columns, cells, strict=True)
        line = "".join(f"  {cell:>{max(8, len(key))}}" for key, cell in fields)
        print(f"{name:{wide}}{line}".rstrip())
    sys.stdout.flush()


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def run(plan: Plan, subjects: list[str], file: Path | None) -> None:
    """Measure the subjects; print each, and keep it in the file, as soon as it is known."""
    cores, version = len(os.sched_getaffinity(0)), sys.version.split()[0]
    print(f"{cores} cores, Python {version}, {plan.tags} tags a collection")
    results: dict[str, object] = {}
    for subject in subjects:
        say(f"-- {subject}")
        try:
            rows = SUBJECTS[subject](plan)
        except MissingError as missing:
            print(f"\n{subject}: left out, not installed: {missing}", flush=True)
            results[subject] = {"missing": str(missing)}
        else:
            show(subject, rows)
            results[subject] = rows
        if file:
            facts = {"cores": cores, "python": version, "tags": plan.tags, "subjects": results}
            file.write_text(json.dumps(facts, indent=1) + "\n")


def main() -> None:
    """Read the command line, and measure in a folder that goes away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1000, 10000])
    parser.add_argument("--tags", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if min(arguments.sizes) < _SMALLEST:
        parser.error(f"a size is {_SMALLEST} collections or more")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plan = Plan(Path(folder), sorted(arguments.sizes), arguments.tags, arguments.runs)
        run(plan, arguments.only, arguments.json)


if __name__ == "__main__":
    main()
