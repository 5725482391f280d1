"""Killed at every k-th system call, refused by the disk, interrupted: what is left is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from builder.cli import run as builder
from tests.conftest import read_tree, write_tree
from tests.e2e.conftest import BUILDER
from tests.gateways import WRITER, run_moto
from tests.images import Image
from tests.proof.operations import OPERATIONS, blobs_are_whole
from tests.proof.spoiling import WAYS, Bench, ways_of
from tests.remote.hostile import Behaviour, hostile

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
IN_EVERY_WAY = ("add", "build", "publish to a folder", "push")  # `make proof`: all of them
MOST = 1  # of the calls of a name; `make proof` tries all


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A server with buckets, and the environment to write to them."""
    with run_moto(tmp_path_factory.mktemp("moto")) as url, pytest.MonkeyPatch.context() as patch:
        for key, value in {**WRITER, "AWS_ENDPOINT_URL": url}.items():
            patch.setenv(key, value)
        yield


@pytest.fixture(scope="module")
def bench_of(gateway: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    """Return the bench of an operation, made once: each way begins from a fresh state."""
    del gateway  # it is there, and the environment leads to it
    return cache(lambda name: Bench(OPERATIONS[name], tmp_path_factory.mktemp("proof") / "bench"))


@pytest.mark.parametrize(
    ("name", "way"), [
        (name, way) for name in OPERATIONS for way in ways_of(OPERATIONS[name])
        if name in IN_EVERY_WAY or way.endswith("a call")
    ],
)  # fmt: skip
def test_all_holds_when_it_is_spoiled(
    name: str, way: str, bench_of: Callable[[str], Bench]
) -> None:
    points = list(WAYS[way](bench_of(name), MOST))
    assert points
    assert [point for point in points if point.fault] == []


def whole(registry: Path) -> None:
    """Every blob has the bytes of its name, and every tag that is visible is complete."""
    blobs_are_whole(registry)
    assert builder(["build", "-q", "-s", str(registry), "-d", f"{registry}/_check"]) == 0


LONG: dict[str, Callable[[Path], list[str]]] = {
    "add": lambda work: ["add", f"oci:{work}/large:1", "x/large:1"],
    "export": lambda work: ["export", "vanessa/large", f"oci-archive:{work}/out.tar"],
    "build": lambda _: ["build"],
    "bundle": lambda work: ["bundle", f"{work}/site", "x/site:1"],
}


def large_image() -> Image:
    image = Image.of("large")
    layer, *_ = [key for key, raw in image.blobs.items() if raw[:2] == b"\x1f\x8b"]
    manifest = json.loads(image.manifest)
    data = os.urandom(1 << 20) * 60
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    manifest["layers"][0] |= {"digest": digest, "size": len(data)}
    blobs = {key: raw for key, raw in image.blobs.items() if key != layer} | {digest: data}
    return Image(json.dumps(manifest).encode(), blobs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
@pytest.mark.parametrize("name", LONG)
def test_interrupted(name: str, number: signal.Signals, greeting: Path, tmp_path: Path) -> None:
    image = large_image()
    image.layout(tmp_path / "large", "1")
    image.tag(greeting / "collections/vanessa/large", "latest")
    write_tree(tmp_path / "site", {"index.html": "x", "data.bin": os.urandom(1 << 20) * 30})
    arguments = LONG[name](tmp_path)
    for pause in (0.15, 0.25, 0.35, 0.5):
        process = subprocess.Popen(
            [*BUILDER, arguments[0], "-q", "-s", str(greeting), *arguments[1:]],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(pause)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert "Traceback" not in said, said
        expected = {0, 128 + number, -number}
        assert process.returncode in expected, said
        if process.returncode == 128 + number:
            left = [path for path in greeting.rglob(".incoming-*") if "_site" not in path.parts]
            assert left == []
            assert not list(tmp_path.glob(".incoming-*"))
        # An export may have ended just before: then what it wrote is whole.
        if (tmp_path / "out.tar").exists():
            with tarfile.open(tmp_path / "out.tar") as archive:
                assert "index.json" in archive.getnames()
            (tmp_path / "out.tar").unlink()
    whole(greeting)


def test_interrupted_while_a_registry_is_slow(greeting: Path, tmp_path: Path) -> None:
    before = read_tree(greeting / "collections")
    with hostile(Behaviour(drip=True)) as server:
        place = f"docker://127.0.0.1:{server.server_address[1]}/lib/app:latest"
        process = subprocess.Popen(
            [*BUILDER, "add", "-q", "-s", str(greeting), place, "x/y:1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if any("/blobs/" in path for path in server.log.paths()):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert read_tree(greeting / "collections") == before
    assert not list(greeting.rglob(".incoming-*"))


READING = (
    "list", "inspect vanessa/greeting", "du", "check",
    *(f"export vanessa/greeting {kind}:OUT" for kind in ("oci", "oci-archive", "docker-archive")),
)  # fmt: skip


@pytest.mark.parametrize("command", READING)
def test_a_registry_on_a_read_only_disk_is_read(
    command: str, greeting: Path, tmp_path: Path
) -> None:
    name, *rest = command.replace("OUT", str(tmp_path / "out")).split()
    line = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    apart = ["unshare", "-Urm", "sh", "-c", line, str(greeting)]
    done = subprocess.run(
        [*apart, *BUILDER, name, "-s", str(greeting), *rest],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").exists() == (name == "export")


@pytest.mark.parametrize("inner", ["manifest.json", "README.md", ""])
def test_a_tag_that_moved_in_part_has_its_content(
    inner: str, greeting: Path, tmp_path: Path
) -> None:
    """The disk refuses to put a file of the tag in place, or to keep that it did."""
    Image.index(Image.of("new"), Image.of("other")).layout(tmp_path / "layout", "1")
    call, end = ("rename", f"/{inner}") if inner else ("fsync", ">")
    pristine = greeting.with_name("pristine")
    shutil.copytree(greeting, pristine)

    def add(registry: Path, *flags: str) -> subprocess.CompletedProcess[str]:
        command = ["add", "-q", "-s", str(registry), f"oci:{tmp_path}/layout:1"]
        return subprocess.run(
            ["strace", "-f", "-y", "-qq", "-o", str(tmp_path / "log"), "-e", f"trace={call}",
             *flags, *BUILDER, *command, "vanessa/greeting:latest"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    assert add(pristine).returncode == 0
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if f" {call}(" in line]
    own = [line for line in lines if line.split()[0] == lines[-1].split()[0]]
    place = f"pristine/collections/vanessa/greeting/manifests/latest{end}"
    step = next(number for number, line in enumerate(own, 1) if place in line)
    before = read_tree(greeting / "collections")
    done = add(greeting, "-e", f"inject={call}:error=EIO:when={step}")
    assert (done.returncode, "Input/output error" in done.stderr) == (3, True), done
    assert (read_tree(greeting / "collections") == before) == (inner == "manifest.json")
    whole(greeting)
    assert add(greeting).returncode == 0
    whole(greeting)


def test_two_adds_of_one_tag(greeting: Path, tmp_path: Path) -> None:
    images = [Image.of(str(number)) for number in range(4)]
    for number, image in enumerate(images):
        image.layout(tmp_path / str(number), "1")
    running = [
        subprocess.Popen(
            [*BUILDER, "add", "-q", "-s", str(greeting), f"oci:{tmp_path}/{number}:1", "x/y:t"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for number in range(4)
    ]  # fmt: skip
    statuses = [process.wait(60) for process in running]
    assert set(statuses) <= {0, 5}
    assert 0 in statuses
    manifest = (greeting / "collections/x/y/manifests/t/manifest.json").read_bytes()
    assert manifest in [image.manifest for image in images]
    whole(greeting)


def test_eight_builders_at_once(greeting: Path) -> None:
    running = [
        subprocess.Popen(
            [*BUILDER, "build", "-q", "-s", str(greeting)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for _ in range(8)
    ]  # fmt: skip
    assert {process.wait(120) for process in running} <= {0, 5}
    assert builder(["build", "-q", "-s", str(greeting)]) == 0
    tag = greeting / "_site/v2/vanessa/greeting/manifests/latest"
    assert tag.read_bytes() == Image.of("one").manifest
