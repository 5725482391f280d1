"""The scripts of the GitLab pipeline, run in scratch clones with the variables GitLab gives."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import write_tree
from tests.gitting import git
from tests.pull_requests.test_author import gitlab
from tests.workflows.stage import BROKEN, HELLO, Stage

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parent.parent.parent


class Pipeline:
    """Jobs of the pipeline; `apt-get` is written down and does nothing."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.document: dict[str, Any] = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
        self.apt = stage.program("apt-get")
        self.count = 0
        self.shelf = stage.folder / "artifacts"

    def job(
        self, name: str, given: Mapping[str, str], *, setup: bool = False, at: str = "origin/main"
    ) -> tuple[Path, str, bool]:
        """Run a job in a clone; return its folder, what it said and whether it went well."""
        job = self._extended(name)
        self.count += 1
        folder = self.stage.folder / f"job-{self.count}"
        git(self.stage.folder, "clone", "-q", str(self.stage.origin), str(folder))
        git(folder, "checkout", "-q", "--detach", at)
        commit = git(folder, "rev-parse", "HEAD").strip()
        if job.get("variables", {}).get("GIT_STRATEGY") == "none":
            shutil.rmtree(folder)
            folder.mkdir()
        for needed in job.get("needs", ()):
            if (self.shelf / needed).exists():
                shutil.copytree(self.shelf / needed, folder, dirs_exist_ok=True, symlinks=True)
        variables = {
            "CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(folder),
            "CI_DEFAULT_BRANCH": "main", "CI_PROJECT_URL": str(self.stage.origin)[:-4],
            "CI_REPOSITORY_URL": str(self.stage.origin), "CI_SERVER_HOST": "git.example",
            "CI_PIPELINE_ID": "9", "CI_PIPELINE_IID": "3", "CI_COMMIT_SHA": commit, **given,
        }  # fmt: skip
        for key, text in job.get("variables", {}).items():
            variables[key] = _filled(str(text), variables)
        if not setup:  # the builder is here
            self.stage.program("python3", 'mkdir -p "$3/bin"; ln -s /bin/true "$3/bin/pip"')
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join([*job["before_script"], *job["script"]])],
            cwd=folder, env=self._environment(variables), capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        for path in job.get("artifacts", {}).get("paths", ()):
            if (folder / path).is_dir():
                shutil.copytree(folder / path, self.shelf / name / path)
        return folder, done.stdout + done.stderr, done.returncode == 0

    def _extended(self, name: str) -> dict[str, Any]:
        """Return a job with all that it extends: mappings are merged, all else is replaced."""
        job: dict[str, Any] = self.document[name]
        if "extends" not in job:
            return job
        above = self._extended(job["extends"])
        both = {key: {**above[key], **job[key]} for key in above.keys() & job.keys()
                if isinstance(job[key], dict)}  # fmt: skip
        return {**above, **job, **both}

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        environment = {key: text for key, text in self.stage.environment.items()
                       if not key.startswith("GITHUB_")}  # fmt: skip
        isolation = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
        path = f"{self.stage.programs}:{self.stage.installed}:{environment['PATH']}"
        return {**environment, "PATH": path, **isolation, **variables}


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], text)


@pytest.fixture
def pipeline(stage: Stage) -> Pipeline:
    return Pipeline(stage)


def test_a_merge_request_is_read_by_the_builder_of_its_base(pipeline: Pipeline) -> None:
    base = git(pipeline.stage.work, "rev-parse", "HEAD").strip()
    evil = {**HELLO, "builder/__init__.py": "raise SystemExit(0)\n", "builder.txt": "./evil\n"}
    given = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "GITLAB_USER_LOGIN": "stranger",
             "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}  # fmt: skip
    head = pipeline.stage.push(evil, "proposal")
    folder, said, well = pipeline.job("check", given, setup=True, at=head)
    assert not well
    assert "builder/__init__.py" in said
    assert "builder/__init__.py" in (folder / "summary.md").read_text()
    assert "git python3-venv" in pipeline.apt.read_text()
    git(pipeline.stage.work, "reset", "-q", "--hard", base)
    head = pipeline.stage.push(HELLO, "honest")
    folder, said, well = pipeline.job("check", given, at=head)
    assert well, said
    assert "No problems" in (folder / "summary.md").read_text()


def test_who_starts_the_pipeline_lends_no_rights(pipeline: Pipeline) -> None:
    stage = pipeline.stage
    base = stage.push({"OWNERS": "* @boss\n"})
    head = stage.push(HELLO, "proposal")
    given = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
             "GITLAB_USER_LOGIN": "boss"}  # fmt: skip
    for author, allowed in (("stranger", False), ("boss", True), ("", False)):
        with gitlab(f'{{"author": {{"username": "{author}"}}}}') as told:
            _, said, well = pipeline.job("check", {**told, **given}, at=head)
        assert well == allowed, said
        assert well or "team/hello belongs to @boss" in said


def test_recipes_are_built_apart_and_committed(pipeline: Pipeline) -> None:
    stage = pipeline.stage
    shutil.rmtree(stage.work / "collections")
    stage.push({**HELLO, **BROKEN})
    ends = [pipeline.job(f"build {number}", {}) for number in (1, 2, 3)]
    assert sorted(well for _, _, well in ends[:2]) == [False, True]
    assert ends[2][2]  # there is nothing left for it
    assert not (ends[2][0] / "built").exists()
    at = git(stage.work, "rev-parse", "HEAD").strip()
    for number in (1, 2):
        _, said, well = pipeline.job(f"save {number}", {"REGISTRY_TOKEN": "a-token"}, at=at)
        assert well, said
        assert "a-token" not in said
    assert git(stage.origin, "log", "-1", "--format=%an %s", "main") == "Registry Build recipes\n"
    assert git(stage.origin, "rev-list", "--count", f"{at}..main") == "1\n"
    assert git(stage.origin, "ls-tree", "main", "collections/team/hello/manifests/1.0/")


def test_what_a_recipes_machine_hands_on_runs_nothing(pipeline: Pipeline) -> None:
    """It lies in the project's folder before any line of the job is run."""
    stage = pipeline.stage
    shutil.rmtree(stage.work / "collections")
    stage.push(HELLO)
    before = git(stage.origin, "rev-parse", "main")
    trap = f"touch {stage.folder}/pwned"
    write_tree(pipeline.shelf / "build 1", {
        ".git/config": f'[core]\nfsmonitor = "{trap}"\nsshCommand = "{trap}"\n',
        ".git/HEAD": "ref: refs/heads/main\n", ".git/hooks/post-checkout": f"#!/bin/sh\n{trap}\n",
        "builder.txt": "./evil\n", "builder/__init__.py": "raise SystemExit(0)\n",
        "_config.yml": "registry: {blobs: 's3://theirs', blobs_url: 'https://x.example'}\n",
        "collections/team/hello/manifests/1.0/manifest.json": "{}",
        "built/team+hello+2.0/oci-layout": "{}", "OWNERS": "* *\n",
    })  # fmt: skip
    _, said, well = pipeline.job("save 1", {"REGISTRY_TOKEN": "a-token"})
    assert not well
    assert "team+hello+2.0: is not a tag of the plan" in said
    assert git(stage.origin, "rev-parse", "main") == before
    assert not list(stage.folder.rglob("pwned"))


def test_a_protected_branch_gets_a_merge_request(pipeline: Pipeline) -> None:
    stage = pipeline.stage
    shutil.rmtree(stage.work / "collections")
    stage.push(HELLO)
    git(stage.origin, "config", "receive.advertisePushOptions", "true")
    options = stage.folder / "options"
    hook = stage.origin / "hooks/pre-receive"
    hook.write_text(
        f'#!/bin/sh\nread -r _ _ ref; [ "$ref" != refs/heads/main ] || exit 1\n'
        f'echo "$GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1" > {options}\n'
    )
    hook.chmod(0o755)
    pipeline.job("build 1", {})
    _, said, well = pipeline.job("save 1", {"REGISTRY_TOKEN": "a-token"})
    assert well, said
    assert options.read_text() == "merge_request.create merge_request.target=main\n"
    assert git(stage.origin, "log", "-1", "--format=%s", "recipes-9-1") == "Build recipes\n"


def test_pages_are_built_and_verified(pipeline: Pipeline) -> None:
    folder, said, well = pipeline.job(
        "pages", {"CI_PAGES_URL": "https://team.pages.example/registry"}
    )
    assert well, said
    assert 'href="/registry/' in (folder / "public/index.html").read_text()
    _, said, well = pipeline.job("verify", {"REGISTRY_URL": str(folder / "public")})
    assert well, said
    write_tree(folder / "public", {"v2/vanessa/greeting/manifests/latest": "{}"})
    _, said, well = pipeline.job("verify", {"CI_PAGES_URL": str(folder / "public")})
    assert not well
    assert "greeting" in said


def test_every_job_is_run_by_a_test() -> None:
    document = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
    jobs = {name for name, job in document.items() if isinstance(job, dict) and "script" in job}
    assert jobs == {"check", ".build", ".save", "pages", "verify"}
