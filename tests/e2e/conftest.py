"""Real servers on loopback, each started here and ended here."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.browsing import chromium
from tests.gitting import git
from tests.hosts import BUILDER, ROOT, free_port, run, run_nginx, serving, started
from tests.workflows.stage import Stage

__all__ = ["BUILDER", "ROOT", "free_port", "run", "serving", "started"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, which logs what it says and asks for."""
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example registry with the theme."""
    folder = tmp_path_factory.mktemp("example") / "registry"
    for name in ("_config.yml", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "collections", folder / "collections")
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository as it lies here, of one commit."""
    folder = tmp_path_factory.mktemp("template") / "registry"
    for path in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(
        "\0"
    ):
        if path and (ROOT / path).is_file() and not path.startswith("tests/"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "All")
    return folder


@pytest.fixture(scope="session")
def installed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the builder, installed by the script of the workflow itself."""
    folder = tmp_path_factory.mktemp("installed")
    stage = Stage(folder, template, Path())
    stage.installed = None
    stage.program("gh")
    stage.environment["CONTAINERS_STORAGE_CONF"] = "/dev/null"
    job = stage.job("build", "plan")
    assert not job.failed, job.said
    programs = job.temp / "builder/bin"
    assert (job.temp / "path").read_text().split() == [str(programs)]
    return programs


@pytest.fixture
def stage(tmp_path: Path, template: Path, installed: Path) -> Stage:
    return Stage(tmp_path, template, installed)


@pytest.fixture(scope="session")
def served(example: Path) -> Iterator[str]:
    with serving(example) as host:
        yield host


@pytest.fixture(scope="session")
def nginx(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example registry behind Debian's nginx, with the configuration that was emitted."""
    with run_nginx(example, tmp_path_factory.mktemp("nginx")) as host:
        yield host


@contextmanager
def running_registry(folder: Path, more: str = "") -> Iterator[str]:
    """Run Debian's docker-registry with its content in `folder`; yields host and port."""
    port = free_port()
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n{more}"
    )
    with started(["docker-registry", "serve", str(config)], port):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry that anybody may push to."""
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A moto server with a bucket that everybody may read; yields its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a long secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with started([sys.executable, "-m", "moto.server", "-p", str(port)], port):
        made = requests.put(f"{address}/bucket", headers={"x-amz-acl": "public-read"}, timeout=30)
        assert made.status_code == 200
        yield address


@pytest.fixture(params=["served", "nginx"])
def host(request: pytest.FixtureRequest) -> str:
    """Each host in turn that claims to serve all clients."""
    name: str = request.getfixturevalue(request.param)
    return name


Edit = Callable[[str, str], None]
