"""Whole registries, and what Docker, podman and skopeo save, brought in."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import pytest

from builder.cli import run as builder
from tests.conftest import read_tree
from tests.daemons import run_docker
from tests.e2e.conftest import run
from tests.images import Image

pytestmark = pytest.mark.e2e
COLLECTIONS = Path("collections")


@pytest.fixture(autouse=True)
def _inside(greeting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(greeting)
    monkeypatch.setenv("HOME", str(tmp_path))


def pushed(host: str, names: dict[str, Image]) -> None:
    for number, (name, image) in enumerate(names.items()):
        layout = Path(f"../pushed{number}")
        image.layout(layout, "1")
        run("skopeo", "copy", "-q", "--all", "--dest-tls-verify=false",
            f"oci:{layout}:1", f"docker://{host}/{name}")  # fmt: skip


def tags() -> list[str]:
    found = (path.parent for path in COLLECTIONS.rglob("manifest.json"))
    return sorted(f"{path.parts[1:-2]}:{path.name}" for path in found)


def test_a_whole_registry(docker_registry: str, capsys: pytest.CaptureFixture[str]) -> None:
    host = docker_registry
    one, index = Image.of("one"), Image.index(Image.of("one"), Image.of("two"))
    pushed(host, {"all/a:1": one, "all/a:2": index, "all/b/c:1": one, "other/d:1": one})
    assert builder(["add", "--all", f"docker://{host}/all/*", "mirror", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert {(item["name"], item["tag"], item["changed"]) for item in first} == {
        ("mirror/all/a", "1", True), ("mirror/all/a", "2", True), ("mirror/all/b/c", "1", True),
    }  # fmt: skip
    raw = (COLLECTIONS / "mirror/all/a/manifests/2/manifest.json").read_bytes()
    assert raw == index.manifest
    before = read_tree(COLLECTIONS)
    pushed(host, {"all/a:3": Image.of("three")})
    assert builder(["add", "--all", f"docker://{host}/all/*", "mirror", "--json"]) == 0
    again = {(item["name"], item["tag"]): item["changed"]
             for item in json.loads(capsys.readouterr().out)}  # fmt: skip
    assert [key for key, changed in again.items() if changed] == [("mirror/all/a", "3")]
    assert before.items() <= read_tree(COLLECTIONS).items()
    assert builder(["build", "-q"]) == 0


def test_a_registry_with_a_name_that_cannot_be_here(
    docker_registry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Image.of("one")
    pushed(docker_registry, {"odd/blobs:1": one, "odd/fine:1": one})
    assert builder(["add", "--all", f"docker://{docker_registry}/odd/*"]) == 1
    out, said = capsys.readouterr()
    assert "added odd/fine:1" in out
    assert "1 tag came in, odd/blobs did not" in said
    assert builder(["add", "--all", f"docker://{docker_registry}/none/*"]) == 1
    assert builder(["add", "--all", "oci:x"]) == 2


@pytest.mark.parametrize("packer", ["gzip", "zstd", "xz", "bzip2"])
def test_archives_however_compressed(packer: str) -> None:
    Image.of("one").layout(Path("../layout"), "1")
    Image.of("two").layout(Path("../layout2"), "1")
    run("skopeo", "copy", "-q", "oci:../layout:1", "docker-archive:image.tar:app:1")
    packed = subprocess.run([packer, "-c", "image.tar"], capture_output=True, check=True).stdout
    Path("image.tar.packed").write_bytes(packed)
    assert builder(["add", "image.tar.packed:app:1", "x/y:packed"]) == 0
    assert builder(["add", "image.tar", "x/y:plain"]) == 0
    folder = COLLECTIONS / "x/y/manifests"
    same = [(folder / tag / "manifest.json").read_bytes() for tag in ("packed", "plain")]
    assert same[0] == same[1]


def test_two_images_that_podman_saves(tmp_path: Path) -> None:
    for name in ("one", "two"):
        image = Image.of(name)
        image.layout(tmp_path / name, "1")
        run("podman", "pull", "-q", f"oci:{tmp_path}/{name}:1")
        run("podman", "tag", image_id(image), f"localhost/saved/{name}:1")
    run("podman", "save", "-q", "-m", "-o", f"{tmp_path}/both.tar",
        "localhost/saved/one:1", "localhost/saved/two:1")  # fmt: skip
    run("podman", "save", "-q", "--format", "oci-dir", "-o", f"{tmp_path}/dir",
        "localhost/saved/two:1")  # fmt: skip
    assert builder(["add", f"{tmp_path}/both.tar:saved/one:1", "x/y:one"]) == 0
    assert builder(["add", f"{tmp_path}/both.tar:@1", "x/y:two"]) == 0
    assert builder(["add", f"{tmp_path}/dir", "x/y:dir"]) == 0
    assert builder(["add", "--all-tags", f"{tmp_path}/both.tar", "x/all"]) == 1
    folder = COLLECTIONS / "x/y"
    configs = [json.loads((folder / f"manifests/{tag}/manifest.json").read_bytes())["config"]
               for tag in ("one", "two", "dir")]  # fmt: skip
    assert configs[0]["digest"] == f"sha256:{image_id(Image.of('one'))}"
    assert configs[1]["digest"] == configs[2]["digest"] == f"sha256:{image_id(Image.of('two'))}"
    assert builder(["build", "-q"]) == 0


def image_id(image: Image) -> str:
    digest: str = json.loads(image.manifest)["config"]["digest"]
    return digest.removeprefix("sha256:")


def test_what_docker_saves_comes_in_and_out_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Image.of(name).layout(tmp_path / name, "1")
        run("skopeo", "copy", "-q", f"oci:{tmp_path}/{name}:1",
            f"docker-archive:{tmp_path}/{name}.tar:saved/{name}:latest")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="d") as folder, run_docker(Path(folder)) as docker:
        for name in ("one", "two"):
            run(*docker, "load", "-q", "-i", f"{tmp_path}/{name}.tar")
        run(*docker, "save", "-o", f"{tmp_path}/both.tar", "saved/one", "saved/two")
        assert builder(["add", f"{tmp_path}/both.tar:saved/two", "x/y:two"]) == 0
        assert builder(["add", f"{tmp_path}/both.tar:docker.io/saved/one:latest", "x/y:one"]) == 0
        out = f"{tmp_path}/out.tar"
        assert builder(["export", "x/y:two", f"docker-archive:{out}", "--as", "back:1"]) == 0
        assert "back:1" in run(*docker, "load", "-i", out)
        found = json.loads(run(*docker, "image", "inspect", "back:1"))
        assert found[0]["RootFS"]["Layers"] == diff_ids("two")
    assert builder(["build", "-q"]) == 0


def diff_ids(name: str) -> list[str]:
    image = Image.of(name)
    raw = image.blobs[json.loads(image.manifest)["config"]["digest"]]
    found: list[str] = json.loads(raw)["rootfs"]["diff_ids"]
    return found
