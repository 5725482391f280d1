"""The package: what the wheel holds, whose version it has, and that it is made the same again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
THEME = ("_layouts", "_includes", "assets")
EPOCH = "1700000000"


def _copy(folder: Path) -> Path:
    """Copy what a package is made of, as a commit without tags."""
    for name in ("builder", *THEME):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "requirements.txt"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(
        ["git", *identity, "-c", "init.defaultBranch=main", *arguments],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def _commit(folder: Path, *tags: str) -> Path:
    (folder / ".gitignore").write_text("/dist/\n")
    _git(folder, "init")
    _git(folder, "add", ".")
    _git(folder, "commit", "--message", "All")
    for tag in tags:
        _git(folder, "tag", tag)
    return folder


def _wheel(source: Path, target: str = "wheel", umask: int = 0o022) -> Path:
    """Build without an index, in a process of its own; return the one file made."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target],
        cwd=source, env=environment, umask=umask, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made,) = (source / "dist").iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _wheel(_commit(_copy(tmp_path_factory.mktemp("source")), "v3.2.1"))


def test_the_wheel_holds_the_package_and_the_theme(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "builder").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    theme = {
        f"builder/theme_files/{path.relative_to(ROOT)}"
        for folder in THEME
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert len(theme) >= 20
    info = {name for name in names if name.startswith("static_container_registry-3.2.1.dist-info/")}
    assert names == source | theme | {"builder/workflows/requirements.txt"} | info


def test_the_same_commit_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another place"
    elsewhere.mkdir()
    _commit(_copy(elsewhere), "v3.2.1")
    (elsewhere / "untracked.txt").write_text("not of the package")
    os.utime(elsewhere / "pyproject.toml", (1, 1))
    again = _wheel(elsewhere, umask=0o077)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_versions_come_from_git_and_go_without(tmp_path: Path) -> None:
    for name in ("untagged", "plain"):
        (tmp_path / name).mkdir()
        _copy(tmp_path / name)
    _commit(tmp_path / "untagged")
    names = {name: _wheel(tmp_path / name).name.split("-")[1] for name in ("untagged", "plain")}
    assert names == {"untagged": "0.0.1.dev1", "plain": "0.0.0"}


def test_a_wheel_comes_out_of_the_source_archive(wheel: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    archive = _wheel(_commit(_copy(source), "v3.2.1"), "sdist")
    shutil.unpack_archive(archive, tmp_path / "out", filter="data")
    (unpacked,) = (tmp_path / "out").iterdir()
    again = _wheel(unpacked)
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(wheel) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


def test_what_ci_installs_is_locked_with_hashes() -> None:
    """Make it anew with `make lock` after a change of the dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    locked: dict[str, list[tuple[str, str]]] = {}
    for line in (ROOT / "requirements.txt").read_text().replace("\\\n", " ").splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", item) for item in hashes)
        pin = Requirement(requirement)
        (clause,) = pin.specifier
        assert clause.operator == "=="
        locked.setdefault(canonicalize_name(pin.name), []).append((clause.version, requirement))
    for text in wanted:
        need = Requirement(text)
        pins = locked.get(canonicalize_name(need.name), [])
        assert any(need.specifier.contains(version) for version, _ in pins), text


@pytest.mark.e2e
def test_the_installed_wheel_makes_and_builds_a_registry(wheel: Path, tmp_path: Path) -> None:
    """Install the wheel alone; libraries are those of the tests, so that no index is asked."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")],
                   check=True, timeout=60)  # fmt: skip
    python = tmp_path / "venv/bin/python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps",
         "--no-index", str(wheel)],
        check=True, timeout=120,
    )  # fmt: skip
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {**os.environ, "PYTHONPATH": libraries}
    builder = str(tmp_path / "venv/bin/builder")

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [builder, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("new", "mine")
    call("build", "-s", "mine", "-d", str(tmp_path / "site"))
    page = (tmp_path / "site/index.html").read_text()
    assert "My registry" in page
    assert list((tmp_path / "site/assets").glob("style*.css"))
