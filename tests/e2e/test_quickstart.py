"""The quick start, as a new user would follow it: its own commands, in their order."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import free_port, run
from tests.gitting import IDENTITY, git
from tests.page_host import Twists, pages

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.e2e


def guide(name: str) -> list[str]:
    """Return the commands of a page, each with the text it is fed."""
    text = (ROOT / name).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return re.findall(r".*<<'END'\n(?:.*\n)*?END\n|.+\n", "".join(blocks))


def test_the_readme_shows_the_same_commands() -> None:
    shown = guide("README.md")
    assert len(shown) == 6
    assert shown == guide("docs/guide/quickstart.md")[:6]


@pytest.fixture(scope="module")
def forge(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a clone of this repository, as a forge gives it to everybody."""
    folder = tmp_path_factory.mktemp("forge") / "registry.git"
    run("git", "clone", "--quiet", "--bare", "--no-local", str(template), str(folder))
    run("git", "-C", str(folder), "update-server-info")
    with pages(folder, Twists(root="registry.git")) as host:
        yield host.url


def waiting(commands: list[str], host: str) -> Iterator[str]:
    """Yield the commands, each after what a person would wait for: that it can be done."""
    for text in commands:
        if "--dest-tls-verify" in text:
            yield f"until curl -sf http://{host}/v2/ >/dev/null; do sleep 0.1; done\n"
        elif found := re.search(rf"docker://{host}/(\S+):(\S+)", text):
            url = f"http://{host}/v2/{found[1]}/manifests/{found[2]}"
            yield f"until curl -sf {url} >/dev/null; do sleep 0.1; done\n"
        yield text


def pulled(mine: Path, name: str, folder: Path) -> None:
    """Assert that a folder holds the image that the registry has committed."""
    index = json.loads((folder / "index.json").read_text())
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    committed = git(mine, "show", f"HEAD:collections/team/{name}/manifest.json")
    assert committed == (folder / "blobs/sha256" / digest).read_text()


def test_images_can_be_pulled_after_the_commands_of_the_quick_start(
    forge: str, served: str, tmp_path: Path
) -> None:
    commands = guide("docs/guide/quickstart.md")
    assert all(not re.search(r"&&|;|\|\|", text) for text in commands)
    host = f"127.0.0.1:{free_port()}"
    script = "".join(waiting(commands, "127.0.0.1:4000"))
    for written, here in (
        ("REPOSITORY", forge),
        ("docker://docker.io/library/alpine:3.20",
         f"--src-tls-verify=false docker://{served}/vanessa/greeting:1.1.0-amd64"),
        ("127.0.0.1:4000", host),
    ):  # fmt: skip
        assert written in script
        script = script.replace(written, here)
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/images"\n'
    )
    environment = {
        **os.environ, **IDENTITY,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "BUILDER_SERVE_PORT": host.rpartition(":")[2],
        "CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot",
    }  # fmt: skip
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    end = "trap 'kill $(jobs -p); wait' EXIT\n"
    done = subprocess.run(
        ["bash", "-e"], input=end + script, cwd=tmp_path, env=environment, text=True,
        capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    mine = tmp_path / "mine"
    pulled(mine, "alpine/manifests/3.20", tmp_path / "alpine")
    pulled(mine, "hello/manifests/1.0", tmp_path / "hello")
    assert git(mine, "status", "--porcelain") == ""  # what was pulled is no part of the registry
    assert run("git", "-C", str(mine), "log", "--format=%s") == "Add team/alpine and team/hello\n"
