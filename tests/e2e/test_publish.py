"""Publishing while clients pull, and onto full disks."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.cli import run as builder
from tests.hosts import BUILDER, free_port, run, serve_apache, started
from tests.images import Image
from tests.proof.operations import reader
from tests.publish.conftest import complete

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# Clients at once and publishes while they pull; PUBLISH_LOAD=100x50 is the full size.
PULLS, PUBLISHES = map(int, os.environ.get("PUBLISH_LOAD", "10x3").split("x"))


def publish(registry: Path, dest: Path, *arguments: str) -> int:
    return builder(["publish", str(dest), "-q", "-s", str(registry), "-t", "nginx", *arguments])


@contextmanager
def nginx(dest: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Serve what is published as docs/guide/publishing.md says; yields host and reload command."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; user root;\n"
        "worker_processes 2; events { worker_connections 2048; }\n"
        f"http {{ access_log off; include {dest}/current.nginx/http.conf;\n"
        f"server {{ listen 127.0.0.1:{port}; open_file_cache max=1000; root $registry_root;\n"
        f"include {dest}/current.nginx/server.conf; }} }}\n"
    )
    with started(["nginx", "-c", str(config)], port):
        yield f"127.0.0.1:{port}", f"nginx -c {config} -s reload"


@contextmanager
def caddy(dest: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Likewise by Caddy."""
    port, admin = free_port(), free_port()
    config = folder / "Caddyfile"
    config.write_text(
        f"{{\n admin 127.0.0.1:{admin}\n auto_https off\n}}\n"
        f"http://127.0.0.1:{port} {{\n bind 127.0.0.1\n"
        f" import {dest}/current.caddy/site.caddy\n}}\n"
    )
    flags = ["--adapter", "caddyfile", "--config", str(config)]
    with started(["env", f"XDG_CONFIG_HOME={folder}", "caddy", "run", *flags], port):
        yield f"127.0.0.1:{port}", " ".join(["caddy", "reload", *flags])


@contextmanager
def apache(dest: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Likewise by Apache."""
    root = f"Include {dest}/current.apache/root.conf"
    with serve_apache(dest / "releases", folder, root) as host:
        yield host, f"apache2 -f {folder}/apache.conf -k graceful"


SERVERS = {"nginx": nginx, "caddy": caddy, "apache": apache}


def picture(number: int, seed: bytes) -> Image:
    """Return an index of two images that share nothing with other numbers'."""
    one = Image.of(f"{number} {(seed * 4000).hex()}")
    return Image.index(one, Image.of(f"other {number}", architecture="arm64"))


@pytest.mark.parametrize("server", SERVERS)
def test_pulls_go_on_while_releases_come(server: str, greeting: Path, tmp_path: Path) -> None:
    folder, dest = greeting / "collections/vanessa/greeting", tmp_path / "srv"
    assert publish(greeting, dest, "-t", server) == 0
    over = threading.Event()
    failures: list[str] = []
    pulled: list[int] = []

    def pull(number: int) -> None:
        for turn in range(10_000):
            target = tmp_path / f"pulled-{number}-{turn}"
            command = ["skopeo", "copy", "-q", "--all", "--src-tls-verify=false",
                       f"docker://{host}/vanessa/greeting:latest", f"dir:{target}"]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
            pulled.append(number)
            # Caddy 2.6 resets the connections that wait for it while it reloads.
            if done.returncode and not (server == "caddy" and "reset by peer" in done.stderr):
                failures.append(done.stderr)
            subprocess.run(["rm", "-rf", str(target)], check=True)
            if over.is_set() or failures:
                return

    with SERVERS[server](dest, tmp_path) as (host, reload), ThreadPoolExecutor(PULLS) as pool:
        waiting = [pool.submit(pull, number) for number in range(PULLS)]
        try:
            for number in range(PUBLISHES):
                for blob in (folder / "blobs/sha256").glob("*"):
                    blob.unlink()
                kind = picture(number, os.urandom(64)) if number % 2 else Image.of(f"{number}")
                kind.tag(folder, "latest")
                run(*BUILDER, "publish", str(dest), "-q", "-s", str(greeting), "-t", server,
                    "--prune", "--keep", "2", "--reload", reload)  # fmt: skip
        finally:
            over.set()
        for each in waiting:
            each.result()
    assert failures == []
    assert len(pulled) >= PULLS
    print(f"{len(pulled)} pulls during {PUBLISHES} publishes")  # noqa: T201 - of the full size


@pytest.mark.parametrize("size", ["400k", "600k", "800k", "1m", "2m"])
def test_a_full_disk(size: str, greeting: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk))
    try:
        assert publish(greeting, disk / "srv") == 0
        old = complete(reader(disk / "srv/current"))
        image = Image.of(os.urandom(1_000_000).hex())
        image.tag(greeting / "collections/vanessa/greeting", "latest")
        done = subprocess.run(
            [*BUILDER, "publish", str(disk / "srv"), "-q", "-s", str(greeting), "-t", "nginx"],
            capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip
        assert done.returncode in (0, 3), done.stderr
        if done.returncode == 3:
            assert str(disk) in done.stderr
            assert "No space" in done.stderr
        found = complete(reader(disk / "srv/current"))
        assert found == (old if done.returncode else image.digest)
    finally:
        run("umount", str(disk))
