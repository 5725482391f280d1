"""What a build gains from a cluster of one worker and of two, against as many local processes."""

from __future__ import annotations

from measure import BUILDER, Rows, measured, need, row
from plan import Plan, put_aside
from servers import dask


def measure(plan: Plan) -> Rows:
    """Return the builds' costs; a cluster's own processes are not in their processor time."""
    need(package="distributed")
    source, site = plan.registry(plan.small), plan.work / "clustered"
    build = [*BUILDER, "build", "-q", "-t", "nginx", "-s", str(source), "-d", str(site)]
    rows: Rows = {}
    for workers in (1, 2):
        put_aside(site, source / ".builder-cache")
        local = measured([*build, "-j", str(workers)])
        put_aside(site, source / ".builder-cache")
        with dask(plan.work, workers) as (address, scheduler):
            cost = measured([*build, "--engine", address])
            memory = _peak(scheduler)
        rows[f"{plan.small:,}: {workers} local"] = row(local)
        rows[f"{plan.small:,}: cluster of {workers}"] = row(cost) | {
            "speed-up": local.wall / cost.wall,
            "scheduler MB": memory,
        }
    return rows


def _peak(process: int) -> float:
    """Return the most memory that a process ever had, in MB."""
    with open(f"/proc/{process}/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
