"""What `builder check --url` says of a host is what real clients then meet there."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import requests
from oras.client import OrasClient

from builder.cli import run as builder
from tests.daemons import run_containerd, run_docker
from tests.hosts import BUILDER, HOSTS
from tests.images import MANIFEST, Image, as_json
from tests.page_host import Twists, pages
from tests.proxy.conftest import NAME, tree

pytestmark = pytest.mark.e2e
TREE = tree(Image.of("one"), "single") | tree(Image.index(Image.of("two"), Image.of("three")), "x")
TREE |= {
    f"v2/{NAME}/tags/list": as_json({"name": NAME, "tags": ["single", "x"]}),
    "v2/_catalog": as_json({"repositories": [NAME]}),
}


def own_type(raw: bytes) -> str:
    kind: str = json.loads(raw)["mediaType"]
    return kind


def with_charset(raw: bytes) -> str:
    return f"{own_type(raw)}; charset=utf-8"


TWISTS = {
    "own types": Twists(root="", typed=own_type),
    "octet-stream": Twists(root=""),
    "no type": Twists(root="", typed=lambda _: ""),
    "one type": Twists(root="", typed=lambda _: MANIFEST),
    "charset": Twists(root="", typed=with_charset),
    "forbidden root": Twists(root="", typed=own_type, statuses={"v2/": 403}),
    "a path": Twists(typed=own_type),
    "no HEAD": Twists(root="", typed=own_type, no_head=True),
}


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, list[str]]]:
    """How each of the clients with a daemon pulls."""
    flags = ["images", "pull", "--plain-http", "--snapshotter", "native"]
    with tempfile.TemporaryDirectory(prefix="e") as name:
        folders = [Path(name) / part for part in "dc"]
        for folder in folders:
            folder.mkdir()
        with run_docker(folders[0]) as docker, run_containerd(folders[1]) as ctr:
            yield {"docker": [*docker, "pull", "-q"], "containerd": [*ctr, *flags]}


def succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=90).returncode == 0


def pulls(place: str, folder: Path) -> bool:
    """Tell whether python oras pulls an image."""
    try:
        OrasClient(insecure=True).pull(target=place, outdir=str(folder))
    except (ValueError, requests.RequestException):
        return False
    return True


def serving(name: str, example: Path, folder: Path) -> AbstractContextManager[object]:
    return pages(TREE, TWISTS[name]) if name in TWISTS else HOSTS[name](example, folder)


@pytest.mark.parametrize("name", [*TWISTS, "builder proxy"])
def test_the_verdict_is_what_happens(
    name: str,
    example: Path,
    tmp_path: Path,
    engines: dict[str, list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(name, example, tmp_path) as running:
        url = getattr(running, "url", f"http://{running}")
        capsys.readouterr()
        assert builder(["check", "--url", url, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        fails = {verdict["clients"][0]: set(verdict["fails"]) for verdict in found["clients"]}
        for kind in {"single image", "index"} & found["samples"].keys():
            place = f"{url.removeprefix('http://')}/{found['samples'][kind]}"
            skopeo = ["skopeo", "copy", "--src-tls-verify=false", f"docker://{place}"]
            met = {client: succeeds(*pull, place) for client, pull in engines.items()}
            met["podman"] = succeeds(*skopeo, f"dir:{tmp_path}/copied")
            if kind == "single image":  # of an index it takes nothing, and says nothing
                met["python oras"] = pulls(place, tmp_path / "oras")
            said = {client: kind not in fails[client] for client in met}
            assert met == said, kind


def test_ctrl_c_does_not_wait_for_the_site() -> None:
    gates = {f"v2/{NAME}/tags/list": threading.Event()}
    with pages(TREE, Twists(gates=gates)) as host:
        process = subprocess.Popen(
            [*BUILDER, "check", "--url", host.url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while not host.asked("GET", "tags/list"):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, problems = process.communicate(timeout=20)
    assert (process.returncode, said, problems.strip()) == (130, "", "builder: interrupted")
