"""Real clients pull from a host that answers everything with application/octet-stream."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.daemons import run_containerd, run_docker
from tests.e2e.test_clients import LIMITS, sha256
from tests.hosts import ROOT, proxying, run, run_pages

pytestmark = pytest.mark.e2e
NAME = "vanessa/greeting"
HELLO = "Hello from a static registry"
ARCHIVE = f"{NAME}/tags/1.1.0/greeting_1.1.0-amd64.tar"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example registry with all that header-less hosts can have."""
    folder = tmp_path_factory.mktemp("pages")
    source = folder / "registry"
    shutil.copytree(ROOT / "collections", source / "collections")
    (source / "_config.yml").write_text(
        "registry: {schema1: true, platform_tags: true, archives: true}\n"
    )
    with run_pages(source, folder) as host:
        yield host


@pytest.fixture(scope="module")
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="h") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def podman(short_path: Path) -> Iterator[list[str]]:
    folder = short_path / "p"
    command = ["podman", "--storage-driver=vfs", "--runtime=runc", "--cgroup-manager=cgroupfs",
               f"--root={folder}/root", f"--runroot={folder}/run",
               "--tmpdir", str(folder / "tmp")]  # fmt: skip
    try:
        yield command
    finally:
        run(*command, "system", "reset", "--force")


@pytest.fixture(scope="module")
def docker(short_path: Path) -> Iterator[list[str]]:
    (short_path / "d").mkdir()
    with run_docker(short_path / "d") as command:
        yield command


@pytest.fixture(scope="module")
def ctr(short_path: Path) -> Iterator[list[str]]:
    (short_path / "c").mkdir()
    with run_containerd(short_path / "c") as command:
        yield command


def layers_of(layout: Path) -> tuple[list[str], list[str], str]:
    """Return the layers, diff IDs and architecture of an image layout's only image."""

    def blob(digest: str) -> bytes:
        return (layout / "blobs" / digest.replace(":", "/")).read_bytes()

    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads(blob(index["manifests"][0]["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    digests = [layer["digest"] for layer in manifest["layers"]]
    assert all(sha256(blob(digest)) == digest for digest in digests)
    return digests, config["rootfs"]["diff_ids"], config["architecture"]


def committed(architecture: str) -> tuple[list[str], list[str], str]:
    """Return the same of the image that is committed in the example."""
    folder = ROOT / "collections" / NAME

    def document(digest: str) -> Any:
        return json.loads((folder / "blobs" / digest.replace(":", "/")).read_bytes())

    index = json.loads((folder / "manifests/1.1.0/manifest.json").read_bytes())
    (entry,) = [
        item for item in index["manifests"] if item["platform"]["architecture"] == architecture
    ]
    manifest = document(entry["digest"])
    diff_ids = document(manifest["config"]["digest"])["rootfs"]["diff_ids"]
    return [layer["digest"] for layer in manifest["layers"]], diff_ids, architecture


def test_the_host_sets_no_types(pages: str) -> None:
    for tag in ("1.1.0", "1.1.0.s1", "1.1.0-arm64"):
        answer = requests.get(f"http://{pages}/v2/{NAME}/manifests/{tag}", timeout=10)
        assert answer.headers["Content-Type"] == "application/octet-stream"
    assert requests.get(f"http://{pages}/v2/", timeout=10).status_code == 200
    assert requests.get(f"http://{pages}/v2/{NAME}/manifests/no", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("tag", "architecture"), [("1.1.0.s1", "amd64"), ("1.1.0-arm64.s1", "arm64")]
)
def test_skopeo_copies_a_companion(tag: str, architecture: str, pages: str, tmp_path: Path) -> None:
    source = f"docker://{pages}/{NAME}:{tag}"
    run("skopeo", "copy", "--override-arch", architecture, "--src-tls-verify=false",
        source, f"oci:{tmp_path}:x")  # fmt: skip
    assert layers_of(tmp_path) == committed(architecture)


def test_a_companion_is_had_by_its_digest(pages: str, tmp_path: Path) -> None:
    twin = requests.get(f"http://{pages}/{NAME}/tags/1.1.0/index.json", timeout=10)
    digest = {item["name"]: item["digest"] for item in twin.json()["companions"]}["1.1.0.s1"]
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{pages}/{NAME}@{digest}",
        f"oci:{tmp_path}:x")  # fmt: skip
    assert layers_of(tmp_path) == committed("amd64")


def test_podman_runs_a_companion(pages: str, podman: list[str]) -> None:
    name = f"{pages}/{NAME}:1.1.0.s1"
    run(*podman, "pull", "-q", "--tls-verify=false", name)
    assert HELLO in run(*podman, "run", "--rm", "--network=none", *LIMITS, name)


def test_podman_loads_an_archive(pages: str, podman: list[str]) -> None:
    said = run(*podman, "load", "-i", f"http://{pages}/{ARCHIVE}")
    assert f"{pages}/{NAME}:1.1.0" in said
    name = f"{pages}/{NAME}:1.1.0"
    assert HELLO in run(*podman, "run", "--rm", "--network=none", *LIMITS, name)


def test_buildah_pulls_a_companion(pages: str, short_path: Path) -> None:
    storage = ["--storage-driver=vfs", "--root", str(short_path / "b/root"),
               "--runroot", str(short_path / "b/run")]  # fmt: skip
    name = f"{pages}/{NAME}:1.1.0.s1"
    run("buildah", *storage, "pull", "--tls-verify=false", name)
    assert "amd64" in run("buildah", *storage, "inspect", "--type", "image", name)


def test_docker_runs_a_companion(pages: str, docker: list[str]) -> None:
    name = f"{pages}/{NAME}:1.1.0.s1"
    run(*docker, "pull", "-q", name)
    assert HELLO in run(*docker, "run", "--rm", "--network=none", name)


def test_docker_loads_an_archive(pages: str, docker: list[str], tmp_path: Path) -> None:
    file = tmp_path / "archive.tar"
    run("curl", "-fsSL", "-o", str(file), f"http://{pages}/{ARCHIVE}")
    assert f"{pages}/{NAME}:1.1.0" in run(*docker, "load", "-i", str(file))
    assert HELLO in run(*docker, "run", "--rm", "--network=none", f"{pages}/{NAME}:1.1.0")
    shown = json.loads(run("skopeo", "inspect", f"docker-archive:{file}"))
    assert shown["Layers"] == committed("amd64")[1]
    assert shown["Architecture"] == "amd64"


def test_containerd_imports_an_archive(pages: str, ctr: list[str], tmp_path: Path) -> None:
    file = tmp_path / "archive.tar"
    run("curl", "-fsSL", "-o", str(file), f"http://{pages}/{ARCHIVE}")
    run(*ctr, "images", "import", "--snapshotter", "native", str(file))
    assert f"{pages}/{NAME}:1.1.0" in run(*ctr, "images", "list", "-q")


def test_a_proxy_in_front_serves_companions_as_well(pages: str, tmp_path: Path) -> None:
    with proxying(f"http://{pages}", "--cache", str(tmp_path / "cache")) as proxy:
        for tag in ("1.1.0.s1", "1.1.0"):
            layout = tmp_path / tag
            run("skopeo", "copy", "--src-tls-verify=false", f"docker://{proxy}/{NAME}:{tag}",
                f"oci:{layout}:x")  # fmt: skip
            assert layers_of(layout) == committed("amd64")
        answer = requests.get(f"http://{proxy}/v2/{NAME}/manifests/1.1.0.s1", timeout=10)
        assert answer.headers["Content-Type"].endswith("v1+prettyjws")
        digest = answer.headers["Docker-Content-Digest"]
        again = requests.get(f"http://{proxy}/v2/{NAME}/manifests/{digest}", timeout=10)
        assert again.content == answer.content
