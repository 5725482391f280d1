"""A machine that runs one job of a GitHub workflow: its scripts for real, its actions stood in for.

Scripts run as GitHub runs them, with the variables that it gives. What an
action does is done by a function here: cloning, and passing files on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

INSTALL = "Install the builder"
_EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
_TERM = re.compile(r"([\w.-]+) (==|!=) '(.*)'")
Action = Callable[["Job", Mapping[str, str]], Mapping[str, str] | None]


@dataclass
class Job:
    """A job: `context` answers expressions, `environment` is the machine's, `actions` by name.

    `installed` is a folder of programs that stands in for installing the
    builder again; without it that step runs as well.
    """

    folder: Path
    context: Mapping[str, str]
    environment: Mapping[str, str]
    actions: Mapping[str, Action]
    installed: Path | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    said: str = ""
    failed: bool = False

    @property
    def workspace(self) -> Path:
        return self.folder / "work"

    @property
    def temp(self) -> Path:
        return self.folder / "temp"

    @property
    def summary(self) -> str:
        file = self.temp / "summary"
        return file.read_text() if file.exists() else ""

    def run(self, workflow: Path, name: str) -> Job:
        """Run the job called `name`; a step after a failure runs only if it says so."""
        document: dict[str, Any] = yaml.safe_load(workflow.read_text())
        job = document["jobs"][name]
        for folder in (self.workspace, self.temp):
            folder.mkdir(parents=True)
        for step in job["steps"]:
            condition = step.get("if", "true")
            if self.holds(condition) and (not self.failed or "!cancelled()" in condition):
                self._step(step, job.get("env", {}))
        return self

    def holds(self, condition: str) -> bool:
        """Tell whether an `if:` holds, as far as these workflows use it."""
        found = _EXPRESSION.fullmatch(condition)
        return all(self._term(term) for term in (found[1] if found else condition).split(" && "))

    def _term(self, term: str) -> bool:
        if term in ("true", "!cancelled()"):
            return True
        found = _TERM.fullmatch(term)
        assert found, term
        return (self._value(found[1]) == found[3]) == (found[2] == "==")

    def _value(self, name: str) -> str:
        if found := re.fullmatch(r"steps\.([\w-]+)\.outputs\.([\w-]+)", name):
            return self.outputs.get(f"{found[1]}.{found[2]}", "")
        return str(self.temp) if name == "runner.temp" else self.context[name]

    def filled(self, values: Mapping[str, Any]) -> dict[str, str]:
        def fill(text: str) -> str:
            return _EXPRESSION.sub(lambda found: self._value(found[1]), text)

        return {key: fill(str(value)) for key, value in values.items()}

    def _step(self, step: Mapping[str, Any], common: Mapping[str, Any]) -> None:
        key = step.get("id", "")
        if "uses" in step:
            action = self.actions[step["uses"].partition("@")[0]]
            made = action(self, self.filled(step.get("with", {})))
            self.outputs |= {f"{key}.{name}": text for name, text in (made or {}).items()}
            return
        if self.installed and step["name"] == INSTALL:
            with (self.temp / "path").open("a") as stream:
                stream.write(f"{self.installed}\n")
            return
        self._script(step, self.filled({**common, **step.get("env", {})}), key)

    def _script(self, step: Mapping[str, Any], given: Mapping[str, str], key: str) -> None:
        output = self.temp / f"output-{key}"
        output.touch()
        added = self.temp / "path"
        programs = added.read_text().split() if added.exists() else []
        environment = {
            **self.environment,
            "CI": "true", "GITHUB_ACTIONS": "true",
            "RUNNER_TEMP": str(self.temp), "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(output), "GITHUB_PATH": str(added),
            "GITHUB_STEP_SUMMARY": str(self.temp / "summary"),
            "PATH": ":".join([*programs, self.environment["PATH"]]),
            **given,
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace / step.get("working-directory", "."), env=environment,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        self.said += done.stdout + done.stderr
        self.failed |= done.returncode != 0
        for line in output.read_text().splitlines():
            name, _, text = line.partition("=")
            self.outputs[f"{key}.{name}"] = text


def cloning(origin: Path, **commits: str) -> Action:
    """Return what `actions/checkout` does: of `commits` the one for the folder it is given."""

    def checkout(job: Job, given: Mapping[str, str]) -> None:
        assert given["persist-credentials"] == "False"
        folder = job.workspace / given.get("path", ".")
        commit = given.get("ref") or commits.get(given.get("path", ""), "main")
        subprocess.run(["git", "clone", "-q", "--no-checkout", str(origin), str(folder)],
                       check=True, capture_output=True, timeout=60)  # fmt: skip
        subprocess.run(["git", "-C", str(folder), "fetch", "-q", "origin", commit],
                       check=True, capture_output=True, timeout=60)  # fmt: skip
        subprocess.run(["git", "-C", str(folder), "checkout", "-q", "FETCH_HEAD"],
                       check=True, capture_output=True, timeout=60)  # fmt: skip

    return checkout


def passing_on(shelf: Path) -> Mapping[str, Action]:
    """Return the actions that keep a job's files, and give them to another."""

    def upload(job: Job, given: Mapping[str, str]) -> None:
        del job
        assert "/" not in given["name"]
        if Path(given["path"]).exists() or given["if-no-files-found"] != "ignore":
            shutil.copytree(given["path"], shelf / given["name"], symlinks=True)

    def download(job: Job, given: Mapping[str, str]) -> None:
        del job
        for folder in shelf.glob(given["pattern"]):
            shutil.copytree(folder, Path(given["path"]) / folder.name, symlinks=True)

    return {"actions/upload-artifact": upload, "actions/download-artifact": download}


def quiet_environment() -> dict[str, str]:
    """Return this process's environment without what concerns its own Python or CI."""
    drop = ("PYTHON", "VIRTUAL_ENV", "GITHUB_", "CI", "GIT_", "BUILDER_")
    return {key: text for key, text in os.environ.items() if not key.startswith(drop)}
