"""Servers for benchmarks: each on a free port of loopback, ended with its block."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from measure import BUILDER

# The environment of whoever writes to the S3 server, but for AWS_ENDPOINT_URL.
S3_LOGIN = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "a-long-secret",
    "AWS_REGION": "us-east-1",
}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, log: Path | None = None) -> Iterator[int]:
    """Run a server in the foreground; yields its process when it listens."""
    with (log or Path("/dev/null")).open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        _wait(process, port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"did not listen: {process.args!r}")


@contextmanager
def docker_registry(work: Path) -> Iterator[str]:
    """Run docker-registry with its content below `work`; yields host and port."""
    port = free_port()
    config = work / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {work}/registry}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n"
    )
    with running(["docker-registry", "serve", str(config)], port):
        yield f"127.0.0.1:{port}"


@contextmanager
def nginx(work: Path, site: Path) -> Iterator[str]:
    """Run nginx for a built site, with the configuration that was written beside it."""
    port = free_port()
    (work / "nginx.conf").write_text(
        f"daemon off; worker_processes auto; pid {work}/nginx.pid; error_log {work}/error.log;\n"
        "user root; events {}\n"
        f"http {{ access_log off; sendfile on; include {site}.nginx/http.conf;\n"
        "variables_hash_max_size 2048;\n"
        f"server {{ listen 127.0.0.1:{port}; root {site}; include {site}.nginx/server.conf; }} }}\n"
    )
    with running(nginx_command(work), port):
        yield f"127.0.0.1:{port}"


def nginx_command(work: Path) -> list[str]:
    """Return the command that runs nginx for `work`, and with a flag more tests or reloads it."""
    return ["nginx", "-c", str(work / "nginx.conf")]


@contextmanager
def preview(source: Path, site: Path) -> Iterator[str]:
    """Run `builder serve` for a registry; yields host and port when its first build is done."""
    port = free_port()
    flags = ["-s", str(source), "-d", str(site), "-P", str(port), "--no-livereload"]
    with running([*BUILDER, "serve", *flags], port):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=600).close()
        yield f"127.0.0.1:{port}"


@contextmanager
def s3(work: Path) -> Iterator[tuple[str, Path]]:
    """Run moto's S3 server with an empty bucket, `bench`; yields its URL and its log."""
    port, log = free_port(), work / "s3.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, log):
        endpoint = f"http://127.0.0.1:{port}"
        make = urllib.request.Request(f"{endpoint}/bench", method="PUT")
        urllib.request.urlopen(make, timeout=60).close()
        yield endpoint, log


@contextmanager
def dask(work: Path, workers: int) -> Iterator[tuple[str, int]]:
    """Run a cluster of workers with one thread each; yields its engine, the scheduler's process."""
    port = free_port()
    program, flags = [sys.executable, "-m"], ["--no-dashboard", "--host", "127.0.0.1"]
    command = [*program, "distributed.cli.dask_scheduler", *flags, "--port", str(port), "--no-show"]
    with ExitStack() as stack:
        scheduler = stack.enter_context(running(command, port))
        for number in range(workers):
            own = free_port()
            command = [
                *program, "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", *flags,
                "--worker-port", str(own), "--nthreads", "1", "--no-nanny",
                "--local-directory", str(work / f"worker{number}"),
            ]  # fmt: skip
            stack.enter_context(running(command, own))
        yield f"dask://127.0.0.1:{port}", scheduler
