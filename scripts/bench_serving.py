"""How many requests a second nginx answers with the emitted configuration, and `builder serve`.

Beside docker-registry, which serves the same image in the same run. Each
server uses the cores that it takes by itself, as nginx does in Debian's
configuration.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from statistics import median
from typing import NamedTuple

from generate import MANIFEST
from image_layout import write_layout
from measure import BUILDER, Row, Rows, measured, need, say
from plan import Plan, remove
from servers import docker_registry, nginx, preview

_NAME, _TAG = "bench/image", "latest"
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_PEER = "docker-registry"


class _Rate(NamedTuple):
    """Requests a second, the 99th percentile in milliseconds, answers that were errors."""

    rate: float
    slowest: float
    errors: int


class _Request(NamedTuple):
    """What is asked for: words for it, the method, and the path below the repository's."""

    words: str
    method: str
    path: str


def measure(plan: Plan) -> Rows:
    """Serve one registry in three ways, and compare each kind of request."""
    need("wrk", "ab", "nginx", "docker-registry", "skopeo")
    source, site, image = plan.registry(plan.small), plan.fresh("served"), plan.fresh("image")
    write_layout(image, 1, 1 << 20)
    measured([*BUILDER, "add", "-q", "-s", str(source), f"oci:{image}", f"{_NAME}:{_TAG}"])
    measured([*BUILDER, "build", "-q", "-s", str(source), "-d", str(site), "-t", "nginx"])
    path = source / "collections" / _NAME / "manifests" / _TAG / "manifest.json"
    digest = json.loads(path.read_bytes())["config"]["digest"]
    rows: Rows = {}
    with (
        docker_registry(plan.work) as theirs,
        nginx(plan.work, site) as fast,
        preview(source, plan.work / "preview") as slow,
    ):
        target = f"docker://{theirs}/{_NAME}:{_TAG}"
        measured(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{image}", target])
        hosts = {_PEER: theirs, "nginx": fast, "builder serve": slow}
        for request in (
            _Request("manifest GET", "GET", f"manifests/{_TAG}"),
            _Request("manifest HEAD", "HEAD", f"manifests/{_TAG}"),
            _Request("blob GET (config)", "GET", f"blobs/{digest}"),
        ):
            rows |= _compare(request, hosts, plan)
    remove(source / "collections" / _NAME)
    return rows


def _compare(request: _Request, hosts: dict[str, str], plan: Plan) -> Rows:
    """Measure the hosts in turns; return their medians and the ratios to docker-registry."""
    found: dict[str, list[_Rate]] = {name: [] for name in hosts}
    for _ in range(plan.runs):
        for name, host in hosts.items():
            url = f"http://{host}/v2/{_NAME}/{request.path}"
            say(f"{request.words}, {name}")
            found[name].append(_rate(url, request.method, plan.scaled(3)))
    peer = median(item.rate for item in found[_PEER])
    return {f"{request.words}, {name}": _row(rates, peer) for name, rates in found.items()}


def _row(rates: list[_Rate], peer: float) -> Row:
    middle = median(item.rate for item in rates)
    return {
        "a second": middle,
        "p99 ms": median(item.slowest for item in rates),
        f"/ {_PEER}": middle / peer,
        "errors": sum(item.errors for item in rates),
    }


def _rate(url: str, method: str, seconds: int) -> _Rate:
    """Send requests on 32 connections for some seconds; return what the program says."""
    accept = f"Accept: {MANIFEST}"
    if method == "HEAD":  # wrk waits for the body that an answer to HEAD does not have
        flags = ["-q", "-k", "-i", "-c32", f"-t{seconds}", "-n1000000", "-H", accept]
        return _said(["ab", *flags, url], r"Requests per second:\s+([\d.]+)", r"99%\s+(\d+)()")
    flags = ["-t1", "-c32", f"-d{seconds}s", "--latency", "-H", accept]
    return _said(["wrk", *flags, url], r"Requests/sec:\s+([\d.]+)", r"99%\s+([\d.]+)(us|ms|s)")


def _said(command: list[str], per_second: str, slowest: str) -> _Rate:
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found, last = re.search(per_second, said), re.search(slowest, said)
    errors = re.search(r"Non-2xx(?: or 3xx)? responses:\s+(\d+)", said)
    if found is None or last is None:
        sys.exit(said)
    slow = float(last[1]) * _UNITS[last[2] or "ms"]
    return _Rate(float(found[1]), slow, int(errors[1]) if errors else 0)
