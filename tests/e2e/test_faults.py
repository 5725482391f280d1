"""Killed at every k-th system call, refused by the disk, interrupted: what is left is whole."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run as builder
from tests.conftest import read_tree, write_tree
from tests.e2e.conftest import BUILDER
from tests.images import Image
from tests.remote.hostile import Behaviour, hostile

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
MOST = 40  # calls of one name that are tried, spread over all of them
KILLED, ENDED = -signal.SIGKILL, 128 + signal.SIGKILL


@pytest.fixture
def registry_with(greeting: Path, tmp_path: Path) -> Path:
    (greeting / "_config.yml").write_text("title: T\nregistry:\n  commit_below: 100\n")
    Image.index(Image.of("new"), Image.of("other")).layout(tmp_path / "layout", "1")
    (tmp_path / "note.txt").write_text("a note")
    return greeting


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "add": lambda work: ["add", f"oci:{work}/layout:1", "vanessa/greeting:new"],
    "move a tag": lambda work: ["add", f"oci:{work}/layout:1", "vanessa/greeting:latest"],
    "tag": lambda _: ["tag", "vanessa/greeting:latest", "again"],
    "untag": lambda _: ["untag", "vanessa/greeting:latest"],
    "rm": lambda _: ["rm", "vanessa/greeting"],
    "mv": lambda _: ["mv", "vanessa/greeting", "anna/hello"],
    "attach": lambda work: ["attach", "vanessa/greeting", f"{work}/note.txt", "--type", "text"],
}


def whole(registry: Path) -> None:
    """Every blob has the bytes of its name, and every tag that is visible is complete."""
    for blob in [*registry.rglob("blobs/sha256/*")]:
        if blob.is_file() and not blob.name.startswith("."):
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert builder(["build", "-q", "-s", str(registry), "-d", "_check"]) == 0


def traced(registry: Path, inject: str, arguments: list[str]) -> int:
    command = ["strace", "-f", "-qq", "-o", "/dev/null", *inject.split(), *BUILDER,
               arguments[0], "-q", "-s", str(registry), *arguments[1:]]  # fmt: skip
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


def calls(registry: Path, name: str, arguments: list[str], work: Path) -> int:
    """Return how many calls of a name a run makes, on a copy."""
    copy = work / "counting"
    subprocess.run(["cp", "-a", str(registry), str(copy)], check=True)
    log = work / "log"
    command = ["strace", "-f", "-qq", "-e", f"trace={name}", "-o", str(log), *BUILDER,
               arguments[0], "-q", "-s", str(copy), *arguments[1:]]  # fmt: skip
    subprocess.run(command, capture_output=True, check=False, timeout=60)
    subprocess.run(["rm", "-rf", str(copy)], check=True)
    return sum(f"{name}(" in line for line in log.read_text().splitlines())


def steps(count: int) -> list[int]:
    stride = max(1, count // MOST)
    return list(range(1, count + 2, stride))


KILLS = [
    *((name, call) for name in COMMANDS for call in ("rename", "fsync", "unlink")),
    *(("add", call) for call in ("write", "mkdir", "openat")),
]


@pytest.mark.parametrize(("name", "call"), KILLS)
def test_killed_at_every_call(name: str, call: str, registry_with: Path, tmp_path: Path) -> None:
    arguments = COMMANDS[name](tmp_path)
    pristine = tmp_path / "pristine"
    subprocess.run(["cp", "-a", str(registry_with), str(pristine)], check=True)
    total = calls(registry_with, call, arguments, tmp_path)
    for k in steps(total):
        subprocess.run(["rm", "-rf", str(registry_with)], check=True)
        subprocess.run(["cp", "-a", str(pristine), str(registry_with)], check=True)
        inject = f"-e trace={call} -e inject={call}:signal=SIGKILL:when={k}"
        status = traced(registry_with, inject, arguments)
        assert status in (0, KILLED, ENDED), (k, status)
        whole(registry_with)
        again = builder([arguments[0], "-q", "-s", str(registry_with), *arguments[1:]])
        assert again in (0, 1)  # 1: what was to be removed is gone already
        whole(registry_with)
        assert not list(registry_with.rglob(".incoming-*")), k


@pytest.mark.parametrize(
    ("call", "error"),
    [("fsync", "EIO"), ("rename", "EACCES"), ("write", "ENOSPC"), ("mkdir", "EACCES")],
)
def test_a_disk_that_refuses(call: str, error: str, registry_with: Path, tmp_path: Path) -> None:
    arguments = COMMANDS["add"](tmp_path)
    total = calls(registry_with, call, arguments, tmp_path)
    seen = set()
    for k in steps(total):
        where = registry_with.parent / f"try{k}"
        subprocess.run(["cp", "-a", str(registry_with), str(where)], check=True)
        inject = f"-e trace={call} -e inject={call}:error={error}:when={k}"
        command = ["strace", "-f", "-qq", "-o", "/dev/null", *inject.split(), *BUILDER,
                   "add", "-q", "-s", str(where), *arguments[1:]]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "Traceback" not in done.stderr, (k, done.stderr)
        assert done.returncode in (0, 1, 3), (k, done.stderr)
        seen.add(done.returncode)
        whole(where)
        subprocess.run(["rm", "-rf", str(where)], check=True)
    assert seen & {1, 3} or total == 0


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
