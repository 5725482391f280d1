"""How many requests a second? nginx with the emitted configuration, and `builder serve`.

Prints ratios to docker-registry, which serves the same image in the same run;
asserts nothing. Each server uses the cores that it takes by itself, as nginx
does in Debian's configuration. Needs wrk and ab.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from bench_images import MANIFEST, write_layout
from generate import generate
from measure import BUILDER
from servers import docker_registry, nginx, preview

NAME, TAG = "bench/image", "latest"
_TOOLS = {"wrk": "wrk", "ab": "apache2-utils", "nginx": "nginx-light", "skopeo": "skopeo",
          "docker-registry": "docker-registry"}  # fmt: skip
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Rate(NamedTuple):
    """Requests a second, the 99th percentile in milliseconds, answers that were errors."""

    rate: float
    slowest: float
    errors: int


def rate(url: str, method: str, seconds: int) -> Rate:
    """Send requests on 32 connections for some seconds; return what the program says."""
    accept = f"Accept: {MANIFEST}"
    if method == "HEAD":  # wrk waits for the body that an answer to HEAD does not have
        flags = ["-q", "-k", "-i", "-c32", f"-t{seconds}", "-n1000000", "-H", accept]
        return _said(["ab", *flags, url], r"Requests per second:\s+([\d.]+)", r"99%\s+(\d+)()")
    flags = ["-t1", "-c32", f"-d{seconds}s", "--latency", "-H", accept]
    return _said(["wrk", *flags, url], r"Requests/sec:\s+([\d.]+)", r"99%\s+([\d.]+)(us|ms|s)")


def _said(command: list[str], per_second: str, slowest: str) -> Rate:
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found, last = re.search(per_second, said), re.search(slowest, said)
    errors = re.search(r"Non-2xx(?: or 3xx)? responses:\s+(\d+)", said)
    if found is None or last is None:
        sys.exit(said)
    slow = float(last[1]) * _UNITS[last[2] or "ms"]
    return Rate(float(found[1]), slow, int(errors[1]) if errors else 0)


def main() -> None:
    """Read the command line, and measure in a folder that goes away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collections", type=int, default=1000, help="size of the registry")
    parser.add_argument("--seconds", type=int, default=3, help="length of each run")
    parser.add_argument("--turns", type=int, default=3, help="runs of each, in turns")
    options = parser.parse_args()
    for tool in ("wrk", "nginx", "docker-registry", "skopeo"):
        if shutil.which(tool) is None:
            sys.exit(
                f"{tool} is missing: the Debian package has the same name (nginx: nginx-light)"
            )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run(Path(folder), options)


def run(work: Path, options: argparse.Namespace) -> None:
    """Make a registry, serve it in three ways, and compare each kind of request."""
    source, site = work / "source", work / "site"
    generate(source, options.collections)
    write_layout(work / "image", 1, 1 << 20)
    add = [*BUILDER, "add", "-q", "-s", str(source), f"oci:{work}/image", f"{NAME}:{TAG}"]
    subprocess.run(add, check=True)
    build = [*BUILDER, "build", "-q", "-s", str(source), "-d", str(site), "-t", "nginx"]
    subprocess.run(build, check=True)
    path = source / "collections" / NAME / "manifests" / TAG / "manifest.json"
    digest = json.loads(path.read_bytes())["config"]["digest"]
    with (
        docker_registry(work) as theirs,
        nginx(work, site) as fast,
        preview(source, work / "preview") as slow,
    ):
        target = f"docker://{theirs}/{NAME}:{TAG}"
        copy = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{work}/image", target]
        subprocess.run(copy, check=True)
        hosts = {"docker-registry": theirs, "nginx": fast, "builder serve": slow}
        for request in (
            Request("manifest GET", "GET", f"manifests/{TAG}"),
            Request("manifest HEAD", "HEAD", f"manifests/{TAG}"),
            Request("blob GET (config)", "GET", f"blobs/{digest}"),
        ):
            compare(request, hosts, options)


class Request(NamedTuple):
    """What is asked for: words for it, the method, and the path below the repository's."""

    words: str
    method: str
    path: str


def compare(request: Request, hosts: dict[str, str], options: argparse.Namespace) -> None:
    """Measure the hosts in turns; print their medians and the ratios to docker-registry."""
    found: dict[str, list[Rate]] = {name: [] for name in hosts}
    for _ in range(options.turns):
        for name, host in hosts.items():
            url = f"http://{host}/v2/{NAME}/{request.path}"
            found[name].append(rate(url, request.method, options.seconds))
    base = median(item.rate for item in found["docker-registry"])
    print(f"\n{request.words}, a registry of {options.collections:,} collections")
    for name, rates in found.items():
        middle = median(item.rate for item in rates)
        slowest = median(item.slowest for item in rates)
        errors = sum(item.errors for item in rates)
        line = f"  {name:16} {middle:9,.0f} a second  p99 {slowest:7.1f} ms  {middle / base:6.1f} x"
        print(line + (f"  {errors} errors" if errors else ""))


if __name__ == "__main__":
    main()
