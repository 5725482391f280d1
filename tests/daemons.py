"""Daemons that tests pull with: real ones, each with folders and a socket of its own.

Each runner is a context manager; its folder's path must be short enough for
a Unix socket, 80 characters or so.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts import free_port, started


@contextmanager
def run_containerd(folder: Path) -> Iterator[list[str]]:
    """Run Debian's containerd; yields the command that talks to it."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    config = folder / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        f'[grpc]\n  address = "{folder}/sock"\n'
        f'[metrics]\n  address = "127.0.0.1:{port}"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
    )
    with started(["containerd", "--config", str(config)], port):
        yield ["ctr", "--address", f"{folder}/sock"]


@contextmanager
def run_docker(folder: Path) -> Iterator[list[str]]:
    """Run Debian's Docker; yields the command that talks to it."""
    folder.mkdir(exist_ok=True)
    address = folder / "sock"
    command = [
        "dockerd", "--storage-driver=vfs", "--iptables=false", "--bridge=none",
        f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid",
        "-H", f"unix://{address}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(process, address, folder / "log")
            yield ["docker", "-H", f"unix://{address}"]
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: subprocess.Popen[bytes], address: Path, log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(address)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"dockerd did not start: {log.read_text()[-2000:]}")
