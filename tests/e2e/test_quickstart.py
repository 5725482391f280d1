"""The quick start, as a new user would follow it: its own commands, in their order."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import free_port, run
from tests.gitting import IDENTITY, git

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.e2e


def guide(name: str) -> list[str]:
    """Return the commands of a page, each with the text it is fed."""
    text = (ROOT / name).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return re.findall(r".*<<'END'\n(?:.*\n)*?END\n|.+\n", "".join(blocks))


def test_the_readme_shows_the_same_commands() -> None:
    shown = guide("README.md")
    assert len(shown) > 6
    assert shown == [text for text in guide("docs/guide/quickstart.md") if text in shown]


def test_an_image_can_be_pulled_after_fewer_than_ten_commands(
    template: Path, tmp_path: Path
) -> None:
    commands = guide("docs/guide/quickstart.md")
    served = next(n for n, text in enumerate(commands) if "builder serve" in text)
    assert served + 1 < 10
    assert all(not re.search(r"&&|;|\|\|", text) for text in commands)
    port = free_port()
    wait = f"until curl -sf http://127.0.0.1:{port}/v2/ >/dev/null; do sleep 0.1; done\n"
    commands.insert(served + 1, wait)
    script = "".join(commands).replace("REPOSITORY", str(template)).replace(":4000", f":{port}")
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/images"\n'
    )
    environment = {
        **os.environ, **IDENTITY,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "BUILDER_SERVE_PORT": str(port),
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
    index = json.loads((tmp_path / "hello/index.json").read_text())
    digest = index["manifests"][0]["digest"]
    committed = git(mine, "show", "HEAD:collections/team/hello/manifests/1.0/manifest.json")
    assert (
        committed == (tmp_path / f"hello/blobs/sha256/{digest.removeprefix('sha256:')}").read_text()
    )
    assert git(mine, "status", "--porcelain") == ""  # what was pulled is no part of the registry
    assert run("git", "-C", str(mine), "log", "--format=%s") == "Add team/hello\n"
