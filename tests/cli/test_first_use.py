"""A newcomer's first hour: what is lacking, the wrong folder, arguments in the wrong order."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builder.cli import run
from tests.conftest import NPM_TOOLS, TOOLS, remedies

ROOT = Path(__file__).parent.parent.parent
Capture = pytest.CaptureFixture[str]


def findings(capsys: Capture, *flags: str) -> dict[str, dict[str, str]]:
    assert run(["doctor", "--json", *flags]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(set(row) == {"what", "state", "found", "hint"} for row in rows)
    return {row["what"]: row for row in rows}


def test_doctor_says_what_is_lacking_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    for name in ("skopeo", "podman"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    found = findings(capsys, "-s", str(tmp_path))
    assert found["images from a Containerfile"]["state"] == "has"
    assert found["images from a Containerfile"]["found"] == "podman"
    assert found["history, check --base, submit"]["hint"] == "on Debian: apt-get install git"
    assert found["images from a .def"]["found"] == "apptainer or singularity"
    assert found["a registry in this folder"]["state"] == "lacks"
    assert all(row["hint"] for row in found.values() if row["state"] == "lacks")
    assert run(["doctor", "-s", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["lacks", "history,", "check", "--base,", "submit", "git"]
    assert lines[2].strip() == "on Debian: apt-get install git"


def test_doctor_looks_at_the_login_that_the_settings_need(
    registry: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (registry / "_config.yml").write_text(
        "registry:\n  blobs: s3://layers/of\n  blobs_url: https://layers.example\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    what = "write layers to s3://layers/of"
    lacking = findings(capsys, "-s", str(registry))[what]
    assert (lacking["state"], lacking["found"]) == (
        "lacks", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
    )  # fmt: skip
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    assert findings(capsys, "-s", str(registry))[what]["found"] == "AWS_SECRET_ACCESS_KEY"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert findings(capsys, "-s", str(registry))[what]["state"] == "has"


def test_a_new_registry_says_the_next_steps_and_asks_for_the_host(
    tmp_path: Path, capsys: Capture
) -> None:
    assert run(["new", str(tmp_path / "mine")]) == 0
    said = capsys.readouterr().out
    for step in ("builder add ", "recipe", "builder serve", "git push", "registry.target"):
        assert step in said


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["add", "team/x:1", "oci:layout"], "write builder add oci:layout team/x:1"),
        (["add", "team/x:1", "docker://h.example/x:1"], "are the arguments in the right order?"),
        (["add", "alpine:3", "team/x:1"], "docker://HOST/NAME:TAG"),
        (["add", "alpine", "team/x:1"], "docker://HOST/NAME:TAG"),
        (["add", "team/x:1"], "write builder add SOURCE NAME:TAG"),
        (["push", "docker://h.example/x", "team/x:1"], "are the arguments in the right order?"),
        (["export", "oci:layout", "team/x:1"], "write NAME:TAG, then one of oci:PATH"),
        (["bundle", "team/x:1", "../app"], "are the arguments in the right order?"),
        (["tag", "latest", "team/x:1"], "write NAME:OLD NEW"),
        (["build", "."], "pass the registry's folder with --source ."),
        (["serve", "."], "pass the registry's folder with --source ."),
        (["check", "."], "pass the registry's folder with --source ."),
        (["bild"], "did you mean 'build'?"),
    ],
)
def test_a_slip_on_the_command_line_is_met_with_what_to_write(
    registry: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    typed: list[str],
    hint: str,
) -> None:
    monkeypatch.chdir(registry)
    before = set(registry.rglob("*"))
    assert run(typed) in (1, 2)
    assert hint in capsys.readouterr().err
    assert {path for path in registry.rglob("*") if ".builder-cache" not in path.parts} == before


COMMANDS = ("build", "check", "serve", "list", "du", "gc", "recipes", "publish /srv/none")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_a_registry_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(command.split()) == 2
    said = capsys.readouterr().err
    assert "not a registry" in said
    assert "builder new PATH" in said
    assert list(tmp_path.iterdir()) == []


def test_without_git_a_command_says_how_to_get_it(
    greeting: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("PATH", str(greeting))
    assert run(["history", "vanessa/greeting", "-s", str(greeting)]) == 3
    assert "apt-get install git" in capsys.readouterr().err


def test_without_an_engine_a_recipe_says_what_to_install(
    greeting: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    recipe = greeting / "collections/team/hello/manifests/1.0/Containerfile"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("FROM scratch\n")
    monkeypatch.setenv("PATH", str(greeting))
    assert run(["recipes", "build", "-s", str(greeting)]) == 1
    assert "install buildah or podman or docker" in capsys.readouterr().err


def test_the_tests_say_how_to_get_what_they_lack() -> None:
    assert remedies(["nginx", "mksquashfs"]) == ["apt-get install nginx-light squashfs-tools"]
    assert remedies(["wrangler", "curl"]) == ["apt-get install curl", "make hosts"]
    assert remedies(["firebase"]) == ["make hosts"]
    assert len(TOOLS) + len(NPM_TOOLS) > 25


def test_ci_installs_every_package_that_the_tests_name() -> None:
    text = (ROOT / ".ci/run").read_text()
    found = re.search(r"packages=\((.*?)\)", text, re.DOTALL)
    assert found is not None
    assert sorted(set(TOOLS.values()) - set(found[1].split())) == []


def test_a_slip_in_a_name_or_a_tag_is_met_with_what_was_meant(
    greeting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wanted, hint in (
        ("vanessa/greetng", "did you mean 'vanessa/greeting'?"),
        ("vanessa/greeting:lates", "did you mean 'latest'?"),
        ("vanessa/greeting:nope", "its tags: latest"),
    ):
        assert run(["inspect", wanted, "-s", str(greeting)]) == 1
        assert hint in capsys.readouterr().err


def test_a_list_of_some_names(greeting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "vanessa/", "-s", str(greeting)]) == 0
    assert "vanessa/greeting" in capsys.readouterr().out
    assert run(["list", "other", "-s", str(greeting)]) == 0
    assert "no name begins with other" in capsys.readouterr().out
