"""Servers for benchmarks: each on a free port of loopback, ended with its block."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import BUILDER


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int) -> Iterator[str]:
    """Run a server in the foreground; yields host and port."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if process.poll() is not None:
                sys.exit(f"{command[0]} ended")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def docker_registry(work: Path) -> Iterator[str]:
    """Run docker-registry with its content below `work`."""
    port = free_port()
    config = work / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {work}/registry}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n"
    )
    with running(["docker-registry", "serve", str(config)], port) as host:
        yield host


@contextmanager
def nginx(work: Path, site: Path) -> Iterator[str]:
    """Run nginx for a built site, with the configuration that was written beside it."""
    port = free_port()
    config = work / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes auto; pid {work}/nginx.pid; error_log {work}/error.log;\n"
        "user root; events {}\n"
        f"http {{ access_log off; sendfile on; include {site}.nginx/http.conf;\n"
        f"server {{ listen 127.0.0.1:{port}; root {site}; include {site}.nginx/server.conf; }} }}\n"
    )
    with running(["nginx", "-c", str(config)], port) as host:
        yield host


@contextmanager
def preview(source: Path, site: Path) -> Iterator[str]:
    """Run `builder serve` for a registry."""
    port = free_port()
    flags = ["-s", str(source), "-d", str(site), "-P", str(port), "--no-livereload"]
    with running([*BUILDER, "serve", *flags], port) as host:
        yield host
