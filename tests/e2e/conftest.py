"""Real servers on loopback, each started here and ended here."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BUILDER = [sys.executable, "-m", "builder"]


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a program; return its output, or fail with all it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=90)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(command: list[str], port: int, **options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the foreground until the block ends."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options
    )  # type: ignore[call-overload]
    try:
        _wait(process, port)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended: {process.stderr.read()!r}" if process.stderr else "")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the server did not listen in time")


@contextmanager
def serving(source: Path, *arguments: str) -> Iterator[str]:
    """Run `builder serve`; yields host and port."""
    environment = {key: value for key, value in os.environ.items() if key != "GITHUB_REPOSITORY"}
    port = free_port()
    process = subprocess.Popen(
        [*BUILDER, "serve", "-s", str(source), "-P", str(port), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 60)
    line = process.stdout.readline() if ready else ""
    try:
        assert line.startswith("serving "), process.stderr.read() if process.stderr else line
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example registry with the theme."""
    folder = tmp_path_factory.mktemp("example") / "registry"
    for name in ("_config.yml", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "collections", folder / "collections")
    return folder


@pytest.fixture(scope="session")
def served(example: Path) -> Iterator[str]:
    with serving(example) as host:
        yield host


@pytest.fixture(scope="session")
def nginx(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example registry behind Debian's nginx, with the configuration that was emitted."""
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    site = folder / "site"
    run(*BUILDER, "build", "-q", "-s", str(example), "-t", "nginx", "-d", str(site))
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; user root;\n"
        "events {}\n"
        f"http {{ access_log off; include {site}.nginx/http.conf;\n"
        f"server {{ listen 127.0.0.1:{port}; root {site}; include {site}.nginx/server.conf; }} }}\n"
    )
    with started(["nginx", "-c", str(config)], port):
        yield f"127.0.0.1:{port}"


@contextmanager
def running_registry(folder: Path, more: str = "") -> Iterator[str]:
    """Run Debian's docker-registry with its content in `folder`; yields host and port."""
    port = free_port()
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n{more}"
    )
    with started(["docker-registry", "serve", str(config)], port):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry that anybody may push to."""
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(params=["served", "nginx"])
def host(request: pytest.FixtureRequest) -> str:
    """Each host in turn that claims to serve all clients."""
    name: str = request.getfixturevalue(request.param)
    return name


Edit = Callable[[str, str], None]
