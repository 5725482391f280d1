"""Real clients pull from the preview and from nginx."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.daemons import run_containerd
from tests.e2e.conftest import ROOT, free_port, run, started

pytestmark = pytest.mark.e2e
# What podman would raise by default may not be raised in a container.
LIMITS = ("--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512")
GREETING = ROOT / "collections/vanessa/greeting"


def committed(tag: str) -> bytes:
    return (GREETING / "manifests" / tag / "manifest.json").read_bytes()


def raw(host: str, reference: str) -> bytes:
    text = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host}/{reference}")
    return text.encode()


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def copy(host: str, reference: str, to: Path, *flags: str) -> None:
    source = f"docker://{host}/{reference}"
    run("skopeo", "copy", *flags, "--src-tls-verify=false", source, f"oci:{to}:copied")


def test_skopeo_by_tag_and_digest(host: str, tmp_path: Path) -> None:
    copy(host, "vanessa/greeting:1.1.0-amd64", tmp_path / "tag")
    digest = sha256(committed("1.1.0-amd64"))
    copy(host, f"vanessa/greeting@{digest}", tmp_path / "digest")
    assert raw(host, "vanessa/greeting:1.1.0-amd64") == committed("1.1.0-amd64")
    assert raw(host, f"vanessa/greeting@{digest}") == committed("1.1.0-amd64")


def test_skopeo_copies_every_platform(host: str, tmp_path: Path) -> None:
    copy(host, "vanessa/greeting:latest", tmp_path, "--all")
    index = json.loads((tmp_path / "index.json").read_bytes())
    assert index["manifests"][0]["digest"] == sha256(committed("latest"))
    assert raw(host, "vanessa/greeting:latest") == committed("latest")


def test_skopeo_lists_tags(host: str) -> None:
    text = run("skopeo", "list-tags", "--tls-verify=false", f"docker://{host}/vanessa/greeting")
    folders = sorted(path.name for path in (GREETING / "manifests").iterdir() if path.is_dir())
    assert json.loads(text)["Tags"] == folders


def test_curl_gets_a_layer(host: str, tmp_path: Path) -> None:
    layer = json.loads(committed("1.1.0-amd64"))["layers"][0]
    out = tmp_path / "layer"
    url = f"http://{host}/v2/vanessa/greeting/blobs/{layer['digest']}"
    run("curl", "-fsSL", "-H", "Authorization: Bearer QQ==", "-o", str(out), url)
    assert sha256(out.read_bytes()) == layer["digest"]
    run("curl", "-fsSL", "-o", str(out), f"http://{host}/vanessa/greeting/blobs/{layer['digest']}/")
    assert sha256(out.read_bytes()) == layer["digest"]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for podman's sockets."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        yield Path(folder)


def test_podman_pulls_and_runs(host: str, short_path: Path) -> None:
    podman = ["podman", "--storage-driver=vfs", "--runtime=runc", "--cgroup-manager=cgroupfs",
              f"--root={short_path}/root", f"--runroot={short_path}/run",
              "--tmpdir", str(short_path / "tmp")]  # fmt: skip
    name = f"{host}/vanessa/greeting:latest"
    try:
        run(*podman, "pull", "-q", "--tls-verify=false", name)
        said = run(*podman, "run", "--rm", "--network=none", *LIMITS, name)
        assert said.strip()
    finally:
        run(*podman, "system", "reset", "--force")


def test_python_oras_pulls_the_artifact(host: str, tmp_path: Path) -> None:
    import oras.client  # noqa: PLC0415 - only here

    tag = requests.get(f"http://{host}/vanessa/dataset/tags/", timeout=10).json()["tags"][-1]
    client = oras.client.OrasClient(insecure=True)
    files = client.pull(target=f"{host}/vanessa/dataset:{tag}", outdir=str(tmp_path))
    titles = "org.opencontainers.image.title"
    manifest = (ROOT / f"collections/vanessa/dataset/manifests/{tag}/manifest.json").read_bytes()
    wanted = {layer["annotations"][titles]: layer for layer in json.loads(manifest)["layers"]}
    assert {Path(file).name for file in files} == set(wanted)
    for name, layer in wanted.items():
        assert sha256((tmp_path / name).read_bytes()) == layer["digest"]


@pytest.fixture(scope="module")
def ctr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with run_containerd(tmp_path_factory.mktemp("cd")) as command:
        yield command


def test_containerd_pulls(host: str, ctr: list[str]) -> None:
    name = f"{host}/vanessa/greeting:latest"
    run(*ctr, "images", "pull", "--plain-http", "--snapshotter", "native", name)
    assert sha256(committed("latest")) in run(*ctr, "images", "list")


def test_the_original_registry_s_fragments(host: str) -> None:
    """The three ways its documents show, with the address alone changed."""
    registry, namespace, tag = f"http://{host}", "library/lolcow", "latest"
    manifest = requests.get(f"{registry}/{namespace}/manifests/{tag}", timeout=10).json()
    assert [layer["digest"] for layer in manifest["layers"]]
    listed = json.loads(run("curl", "-fsS", f"{registry}/{namespace}/tags/"))
    assert set(listed) == {"name", "tags"}
    assert tag in listed["tags"]
    answer = run("curl", "-fsS", f"{registry}/{namespace}/manifests/{tag}/")
    assert json.loads(answer)["layers"][0]["urls"][0].startswith("https://")


def test_head_has_what_get_has(host: str) -> None:
    url = f"http://{host}/v2/vanessa/greeting/manifests/latest"
    head, get = (requests.request(method, url, timeout=10) for method in ("HEAD", "GET"))
    for name in ("Content-Type", "Content-Length", "Docker-Content-Digest"):
        assert head.headers[name] == get.headers[name]
    assert get.headers["Docker-Content-Digest"] == sha256(get.content)
    assert not head.content


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("vanessa/greeting/manifests/nope", 404, "MANIFEST_UNKNOWN"),
        (f"vanessa/greeting/blobs/sha256:{'0' * 64}", 404, "BLOB_UNKNOWN"),
        ("nobody/nothing/tags/list", 404, "NAME_UNKNOWN"),
        ("vanessa/greeting/manifests/sha256:zz", 400, "DIGEST_INVALID"),
    ],
)
def test_errors_are_json(host: str, path: str, status: int, code: str) -> None:
    answer = requests.get(f"http://{host}/v2/{path}", timeout=10)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["code"] == code


def test_what_must_not_be_served(host: str) -> None:
    for path in (".builder-site", ".git/config", "%2e%2e/%2e%2e/etc/passwd"):
        answer = requests.get(f"http://{host}/{path}", timeout=10)
        assert answer.status_code in (400, 403, 404), path
        assert b"root:" not in answer.content


@pytest.mark.parametrize("target", ["plain", "github-pages"])
def test_a_plain_file_server_answers_curl(target: str, example: Path, tmp_path: Path) -> None:
    import sys  # noqa: PLC0415

    from tests.e2e.conftest import BUILDER  # noqa: PLC0415

    site = tmp_path / "site"
    run(*BUILDER, "build", "-q", "-s", str(example), "-t", target, "-d", str(site))
    port = free_port()
    server = [sys.executable, "-m", "http.server", "-d", str(site), "-b", "127.0.0.1", str(port)]
    with started(server, port):
        url = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{url}/vanessa/greeting/tags/") as answer:
            assert json.loads(answer.read())["name"] == "vanessa/greeting"
        assert requests.get(f"{url}/library/lolcow/manifests/latest", timeout=10).json()["layers"]
        raw_manifest = requests.get(f"{url}/v2/vanessa/greeting/manifests/latest", timeout=10)
        assert raw_manifest.content == committed("latest")
    assert (site / ".nojekyll").exists() == (target == "github-pages")


@pytest.mark.parametrize("tool", ["skopeo", "podman", "nginx", "containerd", "curl"])
def test_the_tools_are_here(tool: str) -> None:
    assert shutil.which(tool)
