"""Asking git: commits, what changed, files of the past."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builder.errors import UsageError
from builder.git import LINK, Change, Repository, head

WHO = ("-c", "user.name=A", "-c", "user.email=a@example.org")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *WHO, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/kept").write_text("one")
    (tmp_path / "gone").write_text("two")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return Repository(tmp_path / "sub")


def test_what_changed_is_told_with_modes(repository: Repository) -> None:
    top = repository.top
    (top / "sub/kept").write_text("other")
    (top / "gone").unlink()
    (top / "ignored").write_text("x")
    (top / "new\nline").write_text("x")
    (top / "link").symlink_to("/etc/passwd")
    assert repository.changes(repository.commit("HEAD")) == [
        Change("gone", "D", "100644", "000000"),
        Change("link", "A", "000000", LINK),
        Change("new\nline", "A", "000000", "100644"),
        Change("sub/kept", "M", "100644", "100644"),
    ]


def test_files_of_the_past(repository: Repository) -> None:
    commit = repository.commit("main")
    (repository.top / "sub/kept").write_text("other")
    assert head(repository.top) == commit
    assert repository.read(commit, "sub/kept") == b"one"
    assert repository.read(commit, "sub") is None
    assert repository.read(commit, "no") is None
    (file,) = repository.files(commit, "sub")
    assert (file.path, file.mode, file.size) == ("sub/kept", "100644", 3)
    assert repository.contents([file, file]) == [b"one", b"one"]
    assert repository.contents([]) == []
    assert repository.files(commit, "--name-only") == []


def test_the_base_is_what_two_branches_share(repository: Repository) -> None:
    first = repository.commit("HEAD")
    git(repository.top, "checkout", "--quiet", "-b", "other")
    git(repository.top, "commit", "--quiet", "--allow-empty", "-m", "theirs")
    git(repository.top, "checkout", "--quiet", "main")
    git(repository.top, "commit", "--quiet", "--allow-empty", "-m", "ours")
    assert repository.base("other") == first
    assert repository.base("main") == repository.commit("HEAD")


@pytest.mark.parametrize("revision", ["nothing", "--all", "-h", "HEAD:gone", ""])
def test_an_unknown_revision_is_refused(repository: Repository, revision: str) -> None:
    with pytest.raises(UsageError, match="unknown git revision"):
        repository.commit(revision)


def test_outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not in a git repository"):
        Repository(tmp_path)
    assert head(tmp_path) == ""


def test_who_asks_writes_nothing(repository: Repository) -> None:
    index = repository.top / ".git/index"
    before = index.read_bytes()
    kept = repository.top / "sub/kept"
    kept.write_text(kept.read_text())  # another time, which git would note
    assert not repository.changes(repository.commit("HEAD"))
    assert index.read_bytes() == before
