"""Servers that speak S3, run for tests: real ones on loopback, ended here."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.hosts import free_port, run, started

ACCESS, SECRET = "somebody", "a-long-secret"
# The environment of whoever writes to a gateway, but for AWS_ENDPOINT_URL.
WRITER = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}

_GUIDE = Path(__file__).parent.parent / "docs/guide/publishing.md"

_CEPH = """[global]
fsid = {identity}
mon initial members = a
mon host = v1:127.0.0.1:{monitor}
public addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon max pg per osd = 1000
mon data avail crit = 1
mon data = {folder}/mon
osd data = {folder}/osd
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
log file = {folder}/$name.log
rgw frontends = beast endpoint=127.0.0.1:{port}
"""


@contextmanager
def run_moto(folder: Path) -> Iterator[str]:
    """Run moto's server; yields its URL."""
    del folder
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with started(command, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def run_ceph(folder: Path) -> Iterator[str]:
    """Run Ceph's RADOS Gateway over one monitor and one OSD in memory; yields its URL."""
    monitor, port = free_port(), free_port()
    for name in ("mon", "osd", "run"):
        (folder / name).mkdir()
    config, identity, disk = folder / "ceph.conf", str(uuid.uuid4()), str(uuid.uuid4())
    config.write_text(_CEPH.format(identity=identity, monitor=monitor, port=port, folder=folder))
    map_file = str(folder / "map")
    who = ["-c", str(config), "--setuser", "root", "--setgroup", "root"]
    run("monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{monitor}]",
        "--fsid", identity, map_file)  # fmt: skip
    run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_file, *who)
    with ExitStack() as stack:

        def serve(port: int, *command: str) -> None:
            stack.enter_context(started([*command, *who], port, seconds=90))

        serve(monitor, "ceph-mon", "-i", "a", "-f")
        _patiently("ceph", "-c", str(config), "--connect-timeout", "30", "osd", "new", disk)
        run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk, *who)
        osd = _lasting(["ceph-osd", "-i", "0", "-f", *who])
        stack.callback(_end, osd)
        serve(port, "radosgw", "-n", "client.rgw.a", "-f")
        run("radosgw-admin", "-c", str(config), "user", "create", "--uid=test",
            "--display-name=test", f"--access-key={ACCESS}", f"--secret-key={SECRET}")  # fmt: skip
        yield f"http://127.0.0.1:{port}"


def _patiently(*command: str) -> None:
    """Run a command until it succeeds: a monitor that listens may not know yet who may do what."""
    for _ in range(9):
        if subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0:
            return
        time.sleep(2)
    run(*command)


def _lasting(command: list[str]) -> subprocess.Popen[bytes]:
    """Start an OSD until it stays.

    One that speaks to a monitor before it has read its map is of a "wrong fsid", and ends.
    """
    for _ in range(9):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return process
    pytest.fail("the OSD did not stay")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def make_bucket(endpoint: str, name: str) -> None:
    """Make a bucket that everybody may read, by the policy of the guide."""
    import boto3  # noqa: PLC0415 - slow, and for these tests only

    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
    )  # fmt: skip
    client.create_bucket(Bucket=name)
    (policy,) = re.findall(r"^```json\n(.*?)^```", _GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    client.put_bucket_policy(Bucket=name, Policy=policy.replace("BUCKET", name))


@contextmanager
def bucket_at_root(endpoint: str, name: str, folder: Path) -> Iterator[str]:
    """Let a host of its own answer from a bucket, as a domain does; yields host and port."""
    port = free_port()
    config = folder / f"root-{name}.conf"
    config.write_text(
        f"daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.log; user root;\n"
        f"events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{port};\n"
        f"location / {{ proxy_pass {endpoint}/{name}/; }} }} }}\n"
    )
    with started(["nginx", "-c", str(config)], port):
        yield f"127.0.0.1:{port}"


GATEWAYS: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "moto": run_moto,
    "ceph": run_ceph,
}
