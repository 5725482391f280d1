"""Real clients pull from a host like GitHub Pages, below a path, by `builder proxy`."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.daemons import run_docker
from tests.hosts import BUILDER, ROOT, built, proxying, run, run_plain
from tests.images import Image
from tests.page_host import Host, Twists, pages
from tests.proxy.conftest import NAME, tree
from tests.remote.hostile import big_image

pytestmark = pytest.mark.e2e
GREETING = ROOT / "collections/vanessa/greeting/manifests"
IMAGE = big_image(b"x" * 900_000)
LAYER = max(IMAGE.blobs, key=lambda digest: len(IMAGE.blobs[digest]))
BLOB = f"v2/{NAME}/blobs/{LAYER}"


def digest_of(tag: str) -> str:
    return f"sha256:{hashlib.sha256((GREETING / tag / 'manifest.json').read_bytes()).hexdigest()}"


@pytest.fixture(scope="module")
def host(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    site = built(example, tmp_path_factory.mktemp("pages"), "github-pages", "-b", "/registry")
    with pages(site) as server:
        yield server


@pytest.fixture(scope="module")
def proxied(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with proxying(host.url, "--cache", str(tmp_path_factory.mktemp("cache"))) as address:
        yield address


@pytest.fixture(scope="module")
def docker() -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory(prefix="d") as folder, run_docker(Path(folder)) as command:
        yield command


def test_the_clients_cannot_without_it(host: Host) -> None:
    name = f"{host.url.removeprefix('http://')}/vanessa/greeting:latest"
    done = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0


@pytest.mark.parametrize("reference", [":latest", f"@{digest_of('latest')}"])
def test_docker_pulls(reference: str, proxied: str, docker: list[str]) -> None:
    name = f"{proxied}/vanessa/greeting{reference}"
    said = run(*docker, "pull", "-q", name)
    assert said.strip() == name
    found = json.loads(run(*docker, "image", "inspect", name))[0]
    assert found["RepoDigests"] == [f"{proxied}/vanessa/greeting@{digest_of('latest')}"]


def test_podman_pulls_and_runs(proxied: str) -> None:
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        podman = ["podman", "--storage-driver=vfs", "--runtime=runc", "--cgroup-manager=cgroupfs",
                  f"--root={folder}/root", f"--runroot={folder}/run",
                  "--tmpdir", f"{folder}/tmp"]  # fmt: skip
        limits = ("--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512")
        name = f"{proxied}/vanessa/greeting:latest"
        try:
            run(*podman, "pull", "-q", "--tls-verify=false", name)
            assert run(*podman, "run", "--rm", "--network=none", *limits, name).strip()
        finally:
            run(*podman, "system", "reset", "--force")


def test_skopeo_copies_every_platform_and_lists_tags(proxied: str, tmp_path: Path) -> None:
    source = f"docker://{proxied}/vanessa/greeting"
    run("skopeo", "copy", "--all", "--src-tls-verify=false", f"{source}:latest", f"oci:{tmp_path}")
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert index["manifests"][0]["digest"] == digest_of("latest")
    listed = json.loads(run("skopeo", "list-tags", "--tls-verify=false", source))["Tags"]
    assert listed == sorted(path.name for path in GREETING.iterdir() if path.is_dir())


def test_oras_pulls_the_artifact(proxied: str, tmp_path: Path) -> None:
    import oras.client  # noqa: PLC0415 - only here

    tags = requests.get(f"http://{proxied}/v2/vanessa/dataset/tags/list", timeout=10).json()["tags"]
    client = oras.client.OrasClient(insecure=True)
    assert client.pull(target=f"{proxied}/vanessa/dataset:{tags[-1]}", outdir=str(tmp_path))


def test_a_hundred_pulls_at_once(tmp_path: Path) -> None:
    with (
        pages(tree(IMAGE, "latest")) as host,
        proxying(host.url, "--cache", str(tmp_path / "cache")) as address,
    ):

        def pull(_: int) -> str:
            answer = requests.get(f"http://{address}/{BLOB}", timeout=60)
            answer.raise_for_status()
            return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"

        with ThreadPoolExecutor(100) as pool:
            assert set(pool.map(pull, range(100))) == {LAYER}
        assert host.asked("GET", BLOB) == 1


@pytest.mark.parametrize("client", ["http", "skopeo"])
def test_a_wrong_blob_breaks_off(client: str, tmp_path: Path) -> None:
    data = IMAGE.blobs[LAYER]
    wrong = data[:-1] + bytes([data[-1] ^ 1])
    gate = threading.Event()
    with (
        pages(tree(IMAGE, "latest") | {BLOB: wrong}, Twists(gates={BLOB: gate})) as host,
        proxying(host.url, "--cache", str(tmp_path / "cache")) as address,
    ):
        if client == "http":
            with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
                connection.request("GET", f"/{BLOB}")
                answer = connection.getresponse()
                assert answer.getheader("Content-Length") == str(len(data))
                gate.set()
                with pytest.raises((http.client.IncompleteRead, ConnectionError)) as caught:
                    answer.read()
            assert len(getattr(caught.value, "partial", b"")) < len(data)
        else:
            gate.set()
            place = f"docker://{address}/{NAME}:latest"
            done = subprocess.run(
                ["skopeo", "copy", "--src-tls-verify=false", place, f"oci:{tmp_path}/out:x"],
                capture_output=True, check=False, timeout=90,
            )  # fmt: skip
            assert done.returncode != 0
        assert LAYER[7:] not in os.listdir(tmp_path / "cache/blobs/sha256")


def test_only_its_own_names_are_answered(proxied: str) -> None:
    port = proxied.rpartition(":")[2]
    for name, status in ((f"localhost:{port}", 200), ("evil.example", 421),
                         (f"evil.example:{port}", 421), ("localhost:1", 200)):  # fmt: skip
        answer = requests.get(f"http://{proxied}/v2/", headers={"Host": name}, timeout=10)
        assert answer.status_code == status, name


def test_another_name_can_be_allowed_and_nothing_be_kept(tmp_path: Path) -> None:
    image = Image.of("one")
    flags = ("--no-cache", "--allow-host", "registry.internal")
    with pages(tree(image, "latest"), Twists(root="")) as host, proxying(host.url, *flags) as place:
        name = f"registry.internal:{place.rpartition(':')[2]}"
        for digest, data in image.blobs.items():
            for _ in range(2):
                answer = requests.get(f"http://{place}/v2/{NAME}/blobs/{digest}", timeout=10,
                                      headers={"Host": name})  # fmt: skip
                assert answer.content == data
            assert host.asked("GET", digest) == 2
    del tmp_path


def test_ctrl_c_does_not_wait_for_downloads(tmp_path: Path) -> None:
    with pages(tree(IMAGE, "latest"), Twists(drips={BLOB})) as host:
        process = subprocess.Popen(
            [*BUILDER, "proxy", host.url, "-P", "0", "--cache", str(tmp_path / "cache")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        address = process.stdout.readline().split()[1].removeprefix("http://").rstrip("/")
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(f"GET /{BLOB} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
            while not host.asked("GET", BLOB):
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.strip() == "builder: interrupted"


def test_the_plainest_host_will_do(example: Path, tmp_path: Path) -> None:
    """Python's file server: HTTP/1.0, pages for folders, no Range."""
    with run_plain(example, tmp_path) as far, proxying(f"http://{far}", "--no-cache") as address:
        place = f"docker://{address}/vanessa/greeting:latest"
        run("skopeo", "copy", "--all", "--src-tls-verify=false", place, f"oci:{tmp_path}/out")
        answer = requests.get(f"http://{address}/v2/vanessa/nobody/tags/list", timeout=10)
        assert answer.status_code == 404


def test_a_registry_will_do(docker_registry: str, tmp_path: Path) -> None:
    image = Image.index(Image.of("proxied"), Image.of("too"))
    image.layout(tmp_path / "layout", "1")
    there = f"docker://{docker_registry}/{NAME}:1"
    run("skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci:{tmp_path}/layout:1", there)
    with proxying(f"http://{docker_registry}", "--no-cache") as address:
        place = f"docker://{address}/{NAME}:1"
        run("skopeo", "copy", "--all", "--src-tls-verify=false", place, f"oci:{tmp_path}/out")
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", place)
        assert raw.encode() == image.manifest


def test_a_killed_proxy_leaves_nothing_half(tmp_path: Path) -> None:
    gate = threading.Event()
    with pages(tree(IMAGE, "latest"), Twists(gates={BLOB: gate})) as host:
        process = subprocess.Popen(
            [*BUILDER, "proxy", host.url, "-P", "0", "--cache", str(tmp_path / "cache")],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        address = process.stdout.readline().split()[1].removeprefix("http://").rstrip("/")
        with requests.get(f"http://{address}/{BLOB}", stream=True, timeout=30) as answer:
            assert answer.raw.read(1000)
            process.kill()
            process.communicate()
        assert not [name for name in os.listdir(tmp_path / "cache/blobs/sha256") if "." not in name]
        gate.set()
        with proxying(host.url, "--cache", str(tmp_path / "cache")) as again:
            answer = requests.get(f"http://{again}/{BLOB}", timeout=30)
            assert answer.content == IMAGE.blobs[LAYER]


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    """Files end at 100 KiB, as on a full disk: the layer breaks off, the rest is served."""
    config = min(IMAGE.blobs, key=lambda digest: len(IMAGE.blobs[digest]))
    command = " ".join([*BUILDER, "proxy", '"$0"', "-P", "0", "--cache", '"$1"'])
    with pages(tree(IMAGE, "latest")) as host:
        process = subprocess.Popen(
            ["bash", "-c", f"ulimit -f 100; exec {command}", host.url, str(tmp_path / "cache")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        address = process.stdout.readline().split()[1].removeprefix("http://").rstrip("/")
        for _ in range(2):
            answer = requests.get(f"http://{address}/{BLOB}", timeout=30)
            assert answer.status_code == 500
            assert "the cache: File too large" in answer.json()["errors"][0]["message"]
        answer = requests.get(f"http://{address}/v2/{NAME}/blobs/{config}", timeout=30)
        assert answer.content == IMAGE.blobs[config]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not [name for name in os.listdir(tmp_path / "cache/blobs/sha256") if "." in name]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["http://127.0.0.1:1"], 4, "cannot connect"),
        (["example.org/registry"], 2, "is not a site"),
        (["http://127.0.0.1:1", "--cache-size", "many"], 2, "is not a size"),
        (["http://127.0.0.1:1", "--cache", "x", "--no-cache"], 2, "exclude each other"),
    ],
)
def test_what_keeps_it_from_starting(arguments: list[str], status: int, said: str) -> None:
    done = subprocess.run(
        [*BUILDER, "proxy", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert said in done.stderr
