"""The files that `workflows` and `new` write: all of them or none, and none of somebody else."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from builder.cli import run
from builder.workflows.render import render
from builder.workflows.write import plan, write
from tests.conftest import read_tree, write_tree
from tests.hosts import BUILDER

LIMITS = (1, 6, 20)  # KiB, of which the files written are smaller and larger
FILES = render("github", "plain") | render("gitlab", "plain")


def limited(blocks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = f"ulimit -f {blocks}; exec {shlex.join([*BUILDER, *arguments])}"
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_limits_are_between_the_sizes() -> None:
    sizes = sorted(len(text) for text in FILES.values())
    assert sizes[0] < LIMITS[1] << 10 < sizes[-1]


@pytest.mark.parametrize("blocks", LIMITS)
@pytest.mark.parametrize("state", ["new", "older", "forced"])
def test_workflows_are_written_together(state: str, blocks: int, registry: Path) -> None:
    if state != "new":
        assert run(["workflows", "-q", "-s", str(registry), "-t", "nginx"]) == 0
    if state == "forced":
        (registry / ".gitlab-ci.yml").write_text("mine\n")
    before = read_tree(registry)
    done = limited(blocks, "workflows", "-s", str(registry), "-t", "firebase", "--force")
    after = read_tree(registry)
    if done.returncode == 0:
        wanted = render("github", "firebase") | render("gitlab", "firebase")
        assert {path: after[path].decode() for path in wanted} == wanted
        assert after.keys() == before.keys() | wanted.keys()
    else:
        assert (done.returncode, done.stdout) == (3, "")
        assert "File too large\n  hint: let it write larger files" in done.stderr
        assert after == before
        assert state != "new" or not (registry / ".github").exists()


@pytest.mark.parametrize("blocks", LIMITS)
def test_a_registry_is_made_whole_or_not_at_all(blocks: int, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for folder in ("there", "deep/er"):
        assert limited(blocks, "new", str(tmp_path / folder)).returncode == 3
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_what_cannot_be_put_in_place_takes_the_rest_back(tmp_path: Path) -> None:
    write_tree(tmp_path, {".github/workflows/check.yml": "older\n", ".github/mine": "mine\n"})
    planned = plan(tmp_path, FILES)
    (tmp_path / ".gitlab-ci.yml").mkdir()  # somebody is at work here, too
    write_tree(tmp_path, {".gitlab-ci.yml/theirs": "theirs\n"})
    before = read_tree(tmp_path)
    with pytest.raises(OSError, match="directory"):
        write(tmp_path, planned)
    assert read_tree(tmp_path) == before
    assert not [path for path in tmp_path.rglob("*") if path.is_dir() and not any(path.iterdir())]


def test_new_leaves_alone_what_somebody_put_there(tmp_path: Path) -> None:
    write_tree(tmp_path, {"mine": "mine\n"})
    assert run(["new", str(tmp_path)]) == 1
    assert read_tree(tmp_path) == {"mine": b"mine\n"}
