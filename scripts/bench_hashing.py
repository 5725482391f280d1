"""How fast `check` and `verify` hash, beside sha256sum over the same files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from generate import SETTINGS
from image_layout import write_layout
from measure import BUILDER, Cost, Rows, in_turns, measured, need, row
from plan import Plan, remove

_COLLECTIONS, _LAYERS = 4, 4


def measure(plan: Plan) -> Rows:
    """Return both commands' costs, and their shares of sha256sum's, alone and one for each core."""
    need("sha256sum", "xargs")
    mebibytes = plan.scaled(2048)
    source, site = plan.work / "large", plan.fresh("large-site")
    _make(source, plan.work / "image", (mebibytes << 20) // _COLLECTIONS // _LAYERS)
    measured([*BUILDER, "build", "-q", "-t", "nginx", "-s", str(source), "-d", str(site)])
    rows: Rows = {}
    for name, folder, command in (
        ("check", source, [*BUILDER, "check", "-q", "-s", str(source)]),
        ("verify", site, [*BUILDER, "verify", "-q", str(site)]),
    ):
        rows |= _beside(f"{name}, {mebibytes:,} MiB", folder, command, plan)
    remove(source, site)
    return rows


def _beside(what: str, folder: Path, command: list[str], plan: Plan) -> Rows:
    cores = len(os.sched_getaffinity(0))
    found = in_turns(
        {
            "alone": _once(_sha256sum(folder, 1)),
            "each core": _once(_sha256sum(folder, cores)),
            "builder": _once(command),
        },
        plan.runs,
    )
    alone, each = found["alone"]["all"], found["each core"]["all"]
    ours = row(found["builder"]["all"], **{"sha256sum": alone, f"{cores} sha256sum": each})
    return {
        what: {key: figure for key, figure in ours.items() if not key.startswith("peak /")},
        f"{what}: sha256sum": row(alone),
        f"{what}: {cores} sha256sum": row(each),
    }


def _once(command: list[str]) -> Callable[[int], Iterable[tuple[str, Cost]]]:
    return lambda _: [("all", measured(command))]


def _sha256sum(folder: Path, processes: int) -> list[str]:
    """Return a command that hashes all files of a folder but caches, by so many processes."""
    files = f"find {folder} -type f -not -path '*/.builder-cache/*' -print0"
    share = f"-n 1 -P {processes}" if processes > 1 else ""
    return ["sh", "-c", f"{files} | xargs -0 {share} sha256sum"]


def _make(source: Path, layout: Path, size: int) -> None:
    source.mkdir()
    (source / "_config.yml").write_text(SETTINGS)
    for number in range(_COLLECTIONS):
        write_layout(layout, _LAYERS, size)
        add = [*BUILDER, "add", "-q", "-s", str(source), f"oci:{layout}"]
        measured([*add, f"large/image{number}:latest"])
        remove(layout)
