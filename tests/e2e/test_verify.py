"""`builder verify` over real servers: every path of a release is where its host serves it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from builder.publish.signing import SigningKey
from tests.hosts import BUILDER, HOSTS
from tests.verify.published import release

pytestmark = pytest.mark.e2e
KEY = SigningKey.make()


@pytest.mark.parametrize("name", ["nginx", "caddy", "apache", "github-pages", "plain"])
def test_a_released_site_behind_a_server(name: str, example: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with HOSTS[name](example, tmp_path) as host:
        made = release(tmp_path / "site", key=KEY)
        command = [*BUILDER, "verify", "--json", f"http://{host}", "--public-key", KEY.public.text,
                   "--name", made.name]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        (found,) = json.loads(done.stdout)
        assert found["files"] == made.files
        assert found["release"]["checkedBy"] == KEY.public.id
        layer = max(
            (tmp_path / "site/v2").rglob("blobs/sha256:*"), key=lambda it: it.stat().st_size
        )
        layer.write_bytes(layer.read_bytes()[:-1] + b"x")
        command += ["--only", "v2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 1
        assert f"{layer.relative_to(tmp_path / 'site')}: has other content" in done.stderr


def test_a_site_that_is_previewed(served: str) -> None:
    command = [*BUILDER, "verify", "--json", f"http://{served}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["names"] > 1
    assert found["blobs"] > 10
