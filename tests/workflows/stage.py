"""A registry's repository on its host, and machines that work for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.conftest import write_tree
from tests.gitting import IDENTITY, commit, git
from tests.workflows.runner import Action, Job, cloning, passing_on, quiet_environment

WORKFLOWS = Path(__file__).parent.parent.parent / ".github/workflows"
REPOSITORY = "Octo-Org/registry"

HELLO = {
    "collections/team/hello/manifests/1.0/Containerfile": "FROM scratch\nCOPY hello.txt /\n",
    "collections/team/hello/manifests/1.0/hello.txt": "Hello\n",
}
BROKEN = {"collections/team/broken/manifests/1.0/build.sh": "exit 3\n"}


class Stage:
    """A registry on its host: the origin that jobs clone, and what they all have around them."""

    def __init__(self, folder: Path, template: Path, installed: Path) -> None:
        self.folder = folder
        self.origin = folder / "origin.git"
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.installed: Path | None = installed
        self.context: dict[str, str] = {"github.token": "a-token", "github.ref_name": "main",
                                        "inputs.owner": "", "inputs.name": ""}  # fmt: skip
        self.actions: dict[str, Action] = {
            "actions/checkout": cloning(self.origin),
            **passing_on(folder / "index_"),
        }
        git(folder, "clone", "-q", "--bare", str(template), str(self.origin))
        self.work = folder / "registry"
        git(folder, "clone", "-q", str(self.origin), str(self.work))
        storage = folder / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/images"\n'
        )
        environment = quiet_environment()
        self.environment = {
            **environment, **IDENTITY,
            "PATH": f"{self.programs}:{environment['PATH']}",
            "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_RUN_ID": "7", "GITHUB_ACTOR": "octocat",
            "GITHUB_BASE_REF": "main", "GITHUB_REF": "refs/heads/main",
            "CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot",
        }  # fmt: skip

    def program(self, name: str, script: str = "") -> Path:
        """Put a program on the machines' path that writes down how it was called."""
        log = self.folder / f"{name}.log"
        file = self.programs / name
        file.write_text(f'#!/bin/bash\necho "$*" >> "{log}"\n{script}\n')
        file.chmod(0o755)
        return log

    def push(self, tree: Mapping[str, str | bytes], branch: str = "main") -> str:
        """Commit files, and bring them to the origin; return the commit."""
        write_tree(self.work, tree)
        made = commit(self.work, "More")
        git(self.work, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return made

    def job(self, workflow: str, name: str, label: str = "", **context: str) -> Job:
        folder = self.folder / f"{workflow}-{name}{label}"
        job = Job(folder, {**self.context, **context}, self.environment, self.actions,
                  self.installed)  # fmt: skip
        return job.run(WORKFLOWS / f"{workflow}.yml", name)
