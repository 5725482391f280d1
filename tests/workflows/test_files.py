"""The CI files: the same as in this repository, never over somebody's edits, safe by their text."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder.cli import run
from builder.remote.credentials import find_credentials
from builder.targets import target_names
from builder.workflows.deployments import DEPLOYMENTS, LAYER_STORES
from builder.workflows.render import CIS, PINS, deployable, render, updates

ROOT = Path(__file__).parent.parent.parent
FILES = tuple(path for ci in CIS for path in render(ci, "plain"))


def steps(text: str) -> list[dict[str, Any]]:
    document = yaml.safe_load(text)
    return [step for job in document["jobs"].values() for step in job.get("steps", ())]


@pytest.mark.parametrize("ci", CIS)
def test_this_repository_has_what_the_command_writes(ci: str) -> None:
    """Write them anew with `make workflows`."""
    for path, text in render(ci, "plain").items():
        assert (ROOT / path).read_text() == text, path
    for path, text in updates().items():
        assert (ROOT / path).read_text() == text, path


def test_every_host_can_be_deployed_to() -> None:
    wanted = set(target_names()) - {"plain"}
    assert set(deployable()) == wanted, "DEPLOYMENTS in builder/workflows/deployments.py"


@pytest.mark.parametrize("target", DEPLOYMENTS)
def test_a_deployment_has_its_script_and_is_in_the_guide(target: str) -> None:
    needs = DEPLOYMENTS[target]
    script = ROOT / "builder/workflows/templates/shell" / needs.script
    assert script.is_file(), f"there is no {script}"
    guide = (ROOT / "docs/guide/ci.md").read_text()
    row = re.search(rf"^\| [^|]*`{target}`.*$", guide, re.MULTILINE)
    assert row is not None, f"docs/guide/ci.md has no row of {target}"
    given = {*needs.secrets, *needs.variables} - {"BUILDER_SIGNING_KEY"}
    assert sorted(name for name in given if f"`{name}`" not in row[0]) == [], row[0]


TEMPLATE = (
    "README.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "OWNERS", "builder.txt",
    "requirements.txt", ".editorconfig", ".gitattributes", ".pre-commit-config.yaml",
    ".devcontainer/devcontainer.json", ".github/dependabot.yml", ".github/CODEOWNERS.example",
    ".github/pull_request_template.md", ".github/PULL_REQUEST_TEMPLATE/code.md",
    ".github/workflows/test.yml", ".gitlab/own.yml", ".github/ISSUE_TEMPLATE/add-a-collection.yml",
    ".github/ISSUE_TEMPLATE/report-a-problem.yml",
)  # fmt: skip


def test_this_repository_is_a_template() -> None:
    assert [path for path in TEMPLATE if not (ROOT / path).is_file()] == []
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make setup"


def test_the_hook_before_a_commit_finds_problems(greeting: Path) -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hook, *others = repository["hooks"]
    program, *arguments = hook["entry"].split()
    assert (program, hook["pass_filenames"]) == ("builder", False)
    assert run([*arguments, "-s", str(greeting)]) == 0
    (greeting / "collections/vanessa/greeting/manifests/latest/manifest.json").write_text("{}")
    assert run([*arguments, "-s", str(greeting)]) == 1
    assert {Path(item["entry"].split()[0]).name for item in others} == {"ruff", "mypy"}
    content = "collections/vanessa/greeting/manifests/latest/build.py"
    assert not any(re.match(item["files"], content) for item in others)


OWN = (".github/workflows/test.yml", ".gitlab/own.yml")


def test_the_builders_own_tests_are_no_part_of_what_is_written(greeting: Path) -> None:
    assert not set(OWN) & {*FILES, *updates()}
    for path in OWN:
        (greeting / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, greeting / path)
    assert run(["workflows", "-s", str(greeting), "--force"]) == 0
    assert [(greeting / path).read_bytes() for path in OWN] == [
        (ROOT / path).read_bytes() for path in OWN
    ]


def triggers() -> list[list[str]]:
    """Return the patterns of paths whose change runs the builder's own tests, event by event."""
    workflow = yaml.safe_load((ROOT / OWN[0]).read_text())[True]  # `on:`
    pipeline = yaml.safe_load((ROOT / OWN[1]).read_text())[".code"]["rules"]
    return [
        *(event["paths"] for event in workflow.values()),
        *(rule["changes"] for rule in pipeline),
    ]


@pytest.mark.parametrize("patterns", triggers())
def test_the_builders_own_tests_run_for_code_and_not_for_content(patterns: list[str]) -> None:
    deep = [
        re.escape(item).replace(r"/\*\*/\*", "/.*").replace(r"/\*\*", "/.*") for item in patterns
    ]
    words = [item.replace(r"\*", "[^/]*") for item in deep]

    def runs(path: str) -> bool:
        return any(re.fullmatch(item, path) for item in words)

    for path in (
        "collections/a/b/README.md",
        "_config.yml",
        "_data/x.yml",
        "OWNERS",
        "builder.txt",
    ):
        assert not runs(path), path
    for path in ("builder/cli/add.py", "tests/cli/test_help.py", "_layouts/tag.html", "Makefile",
                 "assets/style.css", ".ci/run", "README.md"):  # fmt: skip
        assert runs(path), path


@pytest.mark.parametrize("target", deployable())
def test_actions_are_pinned_and_may_do_little(target: str) -> None:
    for path, text in render("github", target).items():
        document = yaml.safe_load(text)
        assert document["permissions"] == {}, path
        assert document["concurrency"]["group"]
        assert not {"pull_request_target", "workflow_run"} & set(document[True])  # `on:`
        uses = re.findall(r"uses: (.*)", text)
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", item) for item in uses)
        for job in document["jobs"].values():
            assert "permissions" in job
            assert job["timeout-minutes"]
        for step in steps(text):
            assert "${{" not in step.get("run", ""), path
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
    assert {len(commit) for commit, _ in PINS.values()} == {40}


@pytest.mark.parametrize("target", deployable())
def test_secrets_are_where_the_site_is_put_and_nowhere_else(target: str) -> None:
    for path, text in render("github", target).items():
        if not path.endswith(("deploy.yml", "submit.yml")):
            assert "secrets." not in text, path


@pytest.mark.parametrize("layers", LAYER_STORES)
def test_the_login_for_layers_is_in_one_step_of_a_job_that_runs_no_recipe(layers: str) -> None:
    secrets = LAYER_STORES[layers].secrets
    document = yaml.safe_load(render("github", "plain", layers)[".github/workflows/build.yml"])
    for name, job in document["jobs"].items():
        *before, last = job.pop("steps")
        assert not any(secret in str((job, before)) for secret in secrets)
        assert all(secret in str(last) for secret in secrets) == (name == "save")
        assert job.get("environment") == {"build": "recipes", "save": "layers"}.get(name)
        assert "recipes build" not in str(last) or name != "save"
        assert not {"actions/cache", "setup-python"} & set(
            re.findall(r"actions/[\w-]+", str(before))
        )


def test_the_login_for_a_registry_is_what_the_builder_reads(tmp_path: Path) -> None:
    script = (ROOT / "builder/workflows/templates/shell/login.sh").read_text()
    given = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "LAYERS_HOST": "r.example:5000",
             "LAYERS_USER": "me", "LAYERS_PASSWORD": 'a "secret" %s \\ word'}  # fmt: skip
    for end in ("", "\nfalse"):
        command = (
            f'{script}\ncp "$REGISTRY_AUTH_FILE" {tmp_path}/kept; stat -c %a {tmp_path}/tmp*{end}'
        )
        done = subprocess.run(["bash", "-ec", command], env=given, capture_output=True, text=True,
                              check=False, timeout=10)  # fmt: skip
        assert done.stdout == "600\n"
        found = find_credentials(
            "r.example:5000", "of/layers", {"REGISTRY_AUTH_FILE": f"{tmp_path}/kept"}
        )
        assert (found.user, found.password) == ("me", given["LAYERS_PASSWORD"])
        assert not list(tmp_path.glob("tmp*"))


@pytest.mark.parametrize(
    ("blobs", "secret"),
    [
        ("s3://b/p\n  blobs_url: https://b.example", "AWS_SECRET_ACCESS_KEY"),
        ("docker://r.example/of/layers", "LAYERS_PASSWORD"),
        ("github-release://o/r/t", ""),
        ("https://layers.example", ""),
    ],
)
def test_where_layers_go_says_what_ci_is_told(registry: Path, blobs: str, secret: str) -> None:
    (registry / "_config.yml").write_text(f"registry:\n  blobs: {blobs}\n")
    assert run(["workflows", "-s", str(registry)]) == 0
    text = (registry / ".github/workflows/build.yml").read_text()
    assert f"secrets.{secret}" in text if secret else "secrets." not in text


@pytest.mark.parametrize("layers", ["", *LAYER_STORES])
def test_mirrors_have_a_job_of_their_own_where_there_are_some(layers: str) -> None:
    path = ".github/workflows/sync.yml"
    assert path not in render("github", "plain", layers)
    document = yaml.safe_load(render("github", "plain", layers, mirrors=True)[path])
    assert set(document[True]) == {"schedule", "workflow_dispatch"}
    *before, last = document["jobs"]["sync"]["steps"]
    assert "secrets." not in str(before)
    secrets = ("MIRRORS_AUTH", *(LAYER_STORES[layers].secrets if layers else ()))
    assert all(f"secrets.{name}" in str(last["env"]) for name in secrets)
    assert "builder sync" in last["run"]
    pipeline = yaml.safe_load(render("gitlab", "plain", layers, mirrors=True)[".gitlab-ci.yml"])
    assert "sync" not in yaml.safe_load(render("gitlab", "plain", layers)[".gitlab-ci.yml"])
    assert pipeline["sync"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]


def test_a_registry_that_mirrors_gets_the_job(registry: Path) -> None:
    (registry / "_config.yml").write_text("registry:\n  sync: [example.org/team/app]\n")
    assert run(["workflows", "-s", str(registry), "--ci", "github"]) == 0
    assert (registry / ".github/workflows/sync.yml").is_file()


def test_a_proposal_is_read_by_the_builder_of_the_base() -> None:
    text = render("github", "plain")[".github/workflows/check.yml"]
    assert yaml.safe_load(text)[True] == {"pull_request": None}
    base, proposal, install, check = steps(text)
    assert base["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert (base["with"]["path"], proposal["with"]["path"]) == ("base", "proposal")
    assert install["working-directory"] == "base"
    assert "--source proposal" in check["run"]


def test_an_unknown_target_is_refused(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["workflows", "-s", str(registry), "-t", "preview"]) == 2
    said = capsys.readouterr().err
    assert "preview" in said
    assert "netlify" in said
    assert list(registry.iterdir()) == [registry / "_config.yml"]


def test_files_are_written_once_and_brought_up_to_date(
    registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def states(*flags: str) -> dict[str, str]:
        assert run(["workflows", "-s", str(registry), "--json", *flags]) == 0
        return {row["path"]: row["state"] for row in json.loads(capsys.readouterr().out)}

    assert states("--dry-run") == dict.fromkeys(FILES, "new")
    assert not (registry / ".github").exists()
    assert states() == dict.fromkeys(FILES, "new")
    assert states() == dict.fromkeys(FILES, "same")
    moved = states("-t", "netlify")
    assert {path for path, state in moved.items() if state == "older"} == {
        ".github/workflows/deploy.yml", ".github/workflows/verify.yml", ".gitlab-ci.yml",
    }  # fmt: skip
    assert "netlify" in (registry / ".github/workflows/deploy.yml").read_text()
    assert set(states("--ci", "gitlab")) == {".gitlab-ci.yml"}


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("timeout-minutes: 20", "timeout-minutes: 5", "timeout-minutes: 5"),
        ("# Made by", "# Edited, once made by", "check.yml:1:"),
        ("name: check\n", "", ""),
    ],
)
def test_an_edited_file_is_left_alone(
    registry: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: str
) -> None:
    assert run(["workflows", "-s", str(registry)]) == 0
    file = registry / ".github/workflows/check.yml"
    edited = file.read_text().replace(old, new)
    file.write_text(edited)
    (registry / ".gitlab-ci.yml").unlink()
    capsys.readouterr()

    assert run(["workflows", "-s", str(registry)]) == 1
    said = capsys.readouterr().err
    assert re.search(r"\.github/workflows/check\.yml:\d+: was edited", said)
    assert line in said
    assert "--force" in said
    assert file.read_text() == edited
    assert not (registry / ".gitlab-ci.yml").exists()

    assert run(["workflows", "-s", str(registry), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "+name: check" in shown if not new else new.splitlines()[0] in shown
    assert run(["workflows", "-s", str(registry), "--force"]) == 0
    assert file.read_text() == render("github", "plain")[".github/workflows/check.yml"]


def test_a_folder_in_the_way_is_trouble_here(
    registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (registry / ".gitlab-ci.yml").mkdir()
    assert run(["workflows", "-s", str(registry)]) == 3
    assert ".gitlab-ci.yml" in capsys.readouterr().err
    assert not (registry / ".github").exists()


def test_a_new_registry_has_all_that_ci_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builder.cli.new.requirement", lambda: "static-container-registry==1.4.2")
    mine = tmp_path / "mine"
    assert run(["new", str(mine)]) == 0
    assert all((mine / path).is_file() for path in (*FILES, *updates()))
    assert (mine / "builder.txt").read_text().splitlines()[-1] == "static-container-registry==1.4.2"
    assert (mine / "requirements.txt").read_text() == (ROOT / "requirements.txt").read_text()
    assert (mine / "OWNERS").read_text() == (ROOT / "OWNERS").read_text()
    assert not (mine / "_layouts").exists()
    assert (mine / ".git").is_dir()
    assert run(["new", str(mine / "inner")]) == 0
    assert not (mine / "inner/.git").exists()
    assert run(["new", "--no-git", str(tmp_path / "plain")]) == 0
    assert not (tmp_path / "plain/.git").exists()
    shutil.rmtree(mine / "inner")
    assert run(["check", "-s", str(mine)]) == 0
    assert run(["workflows", "-s", str(mine)]) == 0
    assert run(["build", "-s", str(mine), "-q"]) == 0
    published = {path.name for path in (mine / "_site").iterdir()}
    assert not {"builder.txt", "requirements.txt", "OWNERS"} & published
    monkeypatch.setattr("builder.cli.new.requirement", lambda: None)
    capsys.readouterr()
    assert run(["new", str(tmp_path / "other")]) == 0
    assert "builder.txt" in capsys.readouterr().err
    lines = (tmp_path / "other/builder.txt").read_text().splitlines()
    assert all(line.startswith("#") for line in lines)
