"""Git as tests use it: an identity of its own, no settings of this machine's user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; return what it prints."""
    command = ["git", "-C", os.fspath(folder), *arguments]
    environment = {**os.environ, **IDENTITY}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def commit(folder: Path, message: str) -> str:
    """Commit all that lies there; return the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message, "--allow-empty")
    return git(folder, "rev-parse", "HEAD").strip()
