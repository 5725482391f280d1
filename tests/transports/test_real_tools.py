"""Images made by skopeo, umoci and buildah, added and compared."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from builder.cli import run

pytestmark = pytest.mark.e2e
EXAMPLE = Path(__file__).parents[2] / "collections"


def call(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def _inside(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(greeting)


def made(tool: str) -> str:
    """Make an image in an image layout; return `DIR:REF`."""
    Path("content").mkdir()
    Path("content/hello.txt").write_text("hello\n")
    if tool == "umoci":
        call("umoci", "init", "--layout", "made")
        call("umoci", "new", "--image", "made:1.0")
        call("umoci", "insert", "--image", "made:1.0", "content", "/content")
    else:
        container = call("buildah", "from", "scratch").strip()
        call("buildah", "copy", container, "content", "/content")
        call("buildah", "commit", "--rm", container, "oci:made:1.0")
    return "made:1.0"


def stored(tag: str) -> bytes:
    return Path(f"collections/vanessa/greeting/manifests/{tag}/manifest.json").read_bytes()


@pytest.mark.parametrize("tool", ["umoci", "buildah"])
def test_an_image_keeps_its_bytes(tool: str) -> None:
    image = made(tool)
    assert run(["add", f"oci:{image}", "vanessa/greeting:new"]) == 0
    raw = call("skopeo", "inspect", "--raw", f"oci:{image}").encode()
    assert stored("new") == raw


def test_archives_hold_the_same_image() -> None:
    image = made("umoci")
    call("skopeo", "copy", f"oci:{image}", "oci-archive:oci.tar:1.0")
    call("skopeo", "copy", f"oci:{image}", "docker-archive:docker.tar:x/y:1.0")
    call("gzip", "-k", "docker.tar")
    assert run(["add", f"oci:{image}", "vanessa/greeting:layout"]) == 0
    assert run(["add", "oci.tar", "vanessa/greeting:oci"]) == 0
    assert stored("oci") == stored("layout")
    for number, source in enumerate(("docker.tar", "docker.tar.gz", "docker-archive:docker.tar")):
        assert run(["add", source, f"vanessa/greeting:docker{number}"]) == 0
        assert stored(f"docker{number}") == stored("docker0")
    diff_ids = [config(tag)["rootfs"]["diff_ids"] for tag in ("docker0", "layout")]
    assert diff_ids[0] == diff_ids[1]


def config(tag: str) -> dict[str, dict[str, list[str]]]:
    digest = json.loads(stored(tag))["config"]["digest"]
    raw = Path("collections/vanessa/greeting/blobs", digest.replace(":", "/")).read_bytes()
    loaded: dict[str, dict[str, list[str]]] = json.loads(raw)
    return loaded


def test_what_is_converted_reads_as_an_image() -> None:
    image = made("buildah")
    call("skopeo", "copy", f"oci:{image}", "docker-archive:docker.tar:x:1.0")
    assert run(["add", "docker.tar", "vanessa/greeting:new"]) == 0
    layout = Path("again")
    folder = Path("collections/vanessa/greeting")
    layout.mkdir()
    (layout / "blobs").symlink_to(Path("../collections/vanessa/greeting/blobs"))
    raw = stored("new")
    digest = hashlib.sha256(raw).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(raw)
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{digest}",
        "size": len(raw),
        "annotations": {"org.opencontainers.image.ref.name": "1.0"},
    }
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    call("skopeo", "copy", "oci:again:1.0", "docker-archive:back.tar:x:1.0")
    call("umoci", "unpack", "--rootless", "--image", "again:1.0", "unpacked")
    assert Path("unpacked/rootfs/content/hello.txt").read_text() == "hello\n"
