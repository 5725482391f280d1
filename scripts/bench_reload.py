"""How long nginx takes to read the emitted configuration of ten thousand tags."""

from __future__ import annotations

import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from statistics import median
from urllib.error import HTTPError

from generate import name_of, write_tag
from measure import BUILDER, Rows, measured, middle, need, row
from plan import Plan
from servers import nginx, nginx_command

_TAGS = 10  # a collection


def measure(plan: Plan) -> Rows:
    """Return what `nginx -t` costs, and a reload until a tag that is new has its digest."""
    need("nginx")
    count = max(2, plan.scaled(1000))
    source, site = plan.registry(count, _TAGS), plan.fresh("reloaded")
    build = [*BUILDER, "build", "-q", "-t", "nginx", "-s", str(source), "-d", str(site)]
    measured(build)
    with nginx(plan.work, site) as host:
        command = nginx_command(plan.work)
        tests = middle(measured([*command, "-t"]) for _ in range(plan.runs))
        reloads = [_reload(source, build, command, host, run) for run in range(plan.runs)]
    size = Path(f"{site}.nginx/http.conf").stat().st_size / 1e6
    tags = f"{count * _TAGS:,} tags"
    return {
        f"{tags}: nginx -t": row(tests) | {"http.conf MB": size},
        f"{tags}: reload": {"wall s": median(reloads)},
    }


def _reload(source: Path, build: list[str], command: list[str], host: str, run: int) -> float:
    write_tag(source / "collections" / name_of(0), 0, _TAGS + run)
    measured(build)
    url = f"http://{host}/v2/{name_of(0)}/manifests/1.{_TAGS + run}"
    if _digest(url):
        sys.exit(f"{url}: has its digest before the reload")
    began = time.monotonic()
    measured([*command, "-s", "reload"])
    while not _digest(url):
        if time.monotonic() - began > 120:
            sys.exit(f"{url}: never had its digest")
        time.sleep(0.005)
    return time.monotonic() - began


def _digest(url: str) -> str:
    """Return the digest that nginx knows a tag by, from its configuration alone."""
    with suppress(HTTPError), urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.headers.get("Docker-Content-Digest", ""))
    return ""
