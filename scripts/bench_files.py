"""How many files and folders a collection is on each kind of host."""

from __future__ import annotations

import os
from pathlib import Path

from measure import BUILDER, Rows, measured
from plan import Plan

from builder.targets import target_names

_COUNTED = 20  # collections whose files are counted, beside as many more


def measure(plan: Plan) -> Rows:
    """Return the files and folders that a collection adds to a site, on each target."""
    return {target: _of(plan, target) for target in target_names()}


def _of(plan: Plan, target: str) -> dict[str, float]:
    sizes = []
    for count in (_COUNTED, 2 * _COUNTED):
        source, site = plan.registry(count), plan.fresh("counted")
        measured([*BUILDER, "build", "-q", "-t", target, "-s", str(source), "-d", str(site)])
        sizes.append(_size(site))
    (files, folders), (more, deeper) = sizes
    return {"files": (more - files) / _COUNTED, "folders": (deeper - folders) / _COUNTED}


def _size(site: Path) -> tuple[int, int]:
    files = folders = 0
    for _, inner, names in os.walk(site):
        files, folders = files + len(names), folders + len(inner)
    return files, folders
