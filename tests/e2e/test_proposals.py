"""Pull requests, with the real command in real repositories: hostile ones, and an honest one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write_tree
from tests.e2e.conftest import BUILDER, run, serving
from tests.gitting import IDENTITY, commit, git
from tests.images import Image

pytestmark = pytest.mark.e2e
GREETING = "collections/vanessa/greeting"
README = "---\ntitle: X\n---\n"


@pytest.fixture
def repository(greeting: Path) -> Path:
    """A registry of an organisation; the branch `proposal` is checked out."""
    Image.of("fixed").tag(greeting / GREETING, "v1")
    write_tree(
        greeting,
        {
            "_config.yml": "title: T\nregistry:\n  immutable: ['v*']\n",
            ".github/workflows/check.yml": "on: pull_request\n",
            "OWNERS": "* @boss\ncollections/ *\n",
        },
    )
    git(greeting, "init", "-q", "-b", "main")
    commit(greeting, "base")
    git(greeting, "checkout", "-qb", "proposal")
    return greeting


def check(repository: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "mallory"}
    return subprocess.run(
        [*BUILDER, "check", "--base", "main", *flags],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def link(repository: Path) -> None:
    (repository / f"{GREETING}/logo.png").symlink_to("/etc/passwd")


def linked_folder(repository: Path) -> None:
    (repository / "collections/vanessa/other").symlink_to("../../..")


def submodule(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD").strip()
    entry = f"160000,{head},{GREETING}/sub"
    git(repository, "update-index", "--add", "--cacheinfo", entry)
    (repository / GREETING / "sub").mkdir()


def configuration(repository: Path) -> None:
    text = "title: T\nsource: /tmp\nregistry:\n  commit_below: 9 GiB\n"
    write_tree(repository, {"_config.yml": text})


def workflow(repository: Path) -> None:
    write_tree(repository, {".github/workflows/more.yml": "on: pull_request_target\n"})


def rights(repository: Path) -> None:
    write_tree(repository, {"OWNERS": "* @mallory\n"})


def huge(repository: Path) -> None:
    with (repository / f"{GREETING}/logo.png").open("wb") as stream:
        stream.truncate(17 << 20)


def moved(repository: Path) -> None:
    Image.of("other").tag(repository / GREETING, "v1")


def removed(repository: Path) -> None:
    git(repository, "rm", "-rq", f"{GREETING}/manifests/v1")


def squatting(repository: Path) -> None:
    write_tree(repository, {"collections/vanessa/gr33ting/README.md": README})
    write_tree(repository, {"collections/vanessa/greet1ng/README.md": README})


def namespace(repository: Path) -> None:
    write_tree(repository, {"collections/vanesssa/greeting/README.md": README})


def command(repository: Path) -> None:
    write_tree(repository, {"::error file=x::##[error]pwned": "x"})


HOSTILE: dict[Callable[[Path], None], tuple[str, str]] = {
    link: (f"{GREETING}/logo.png", "is a symbolic link"),
    linked_folder: ("collections/vanessa/other", "is a symbolic link"),
    submodule: (f"{GREETING}/sub", "is a submodule"),
    configuration: ("_config.yml", "is the registry's configuration"),
    workflow: (".github/workflows/more.yml", "is a workflow"),
    rights: ("OWNERS", "says who may change what"),
    huge: (f"{GREETING}/logo.png", "is 17825792 bytes; the limit"),
    moved: (f"{GREETING}/manifests/v1", "is immutable and would move from sha256:"),
    removed: (f"{GREETING}/manifests/v1", "is immutable and would go"),
    squatting: ("collections/vanessa/greet1ng", "is too similar to 'vanessa/greeting'"),
    namespace: ("collections/vanesssa/greeting", "is too similar to 'vanessa'"),
}


@pytest.mark.parametrize("attack", HOSTILE, ids=lambda attack: attack.__name__)
def test_a_hostile_pull_request_is_refused_with_one_clear_problem(
    repository: Path, attack: Callable[[Path], None]
) -> None:
    attack(repository)
    commit(repository, "proposed")
    done = check(repository, "--no-fetch")
    path, what = HOSTILE[attack]
    lines = done.stderr.splitlines()
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert lines[0].startswith(f"{path}: ")
    assert what in lines[0]
    assert lines[1].startswith("  hint: ")
    (annotation,) = [line for line in lines if line.startswith("::")]
    assert annotation.startswith(f"::error file={path},line=1::")
    assert lines[-1].startswith("builder: 1 problem;")


def test_a_name_is_no_command(repository: Path) -> None:
    command(repository)
    commit(repository, "proposed")
    done = check(repository)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("::")]
    assert line.startswith("::error file=%3A%3Aerror file=x%3A%3A## [error]pwned,line=1::")
    assert "##[" not in done.stderr
    assert "##[" not in check(repository, "--json").stdout


def test_names_that_are_not_text_are_still_json(repository: Path) -> None:
    (repository / GREETING / os.fsdecode(b"x\xff.txt")).write_text("x")
    commit(repository, "proposed")
    problems = json.loads(check(repository, "--json").stdout)["problems"]
    assert {problem["path"] for problem in problems} == {f"{GREETING}/x\udcff.txt"}


def test_a_configuration_that_cannot_be_read_is_one_problem(
    repository: Path, tmp_path: Path
) -> None:
    write_tree(repository, {"_config.yml": "a: [\n"})
    commit(repository, "proposed")
    done = check(repository, "--summary", str(tmp_path / "summary.md"))
    assert done.stderr.startswith("_config.yml: is the registry's configuration")
    assert "builder: 1 problem;" in done.stderr
    assert "**1 problem: not yet.**" in (tmp_path / "summary.md").read_text()


def test_all_at_once_are_all_told(repository: Path, tmp_path: Path) -> None:
    for attack in (link, configuration, workflow, moved, namespace):
        attack(repository)
    commit(repository, "proposed")
    done = check(repository, "--summary", str(tmp_path / "summary.md"), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert len(found["problems"]) == 5
    assert "**5 problems: not yet.**" in (tmp_path / "summary.md").read_text()


def test_an_honest_pull_request(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "summary.md"
    page.write_text("# Job\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    before = Image.of("one").digest
    image = Image.of("two")
    image.tag(repository / GREETING, "latest")
    commit(repository, "proposed")
    done = check(repository, "--summary", str(page))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    text = page.read_text()
    assert text.startswith("# Job\n## What this changes\n\n**No problems.** ")
    assert f"| `vanessa/greeting:latest` | moved | `{before}` | `{image.digest}` |" in text
    found = json.loads(check(repository, "--json").stdout)
    assert found["author"] == "mallory"
    assert found["problems"] == []
    assert [(tag["change"], tag["old"], tag["new"]) for tag in found["tags"]] == [
        ("moved", before, image.digest)
    ]


def test_from_another_repository_to_a_pull(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "-q", "main")
    server, clone = tmp_path / "server.git", tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(server))
    Image.of("built elsewhere").layout(tmp_path / "elsewhere/image", "2.0")
    environment = {**os.environ, **IDENTITY}
    subprocess.run(
        [*BUILDER, "submit", "oci:image", "vanessa/greeting:2.0", "--push", "--author", "mallory",
         "--registry", f"file://{server}"],
        cwd=tmp_path / "elsewhere",
        env=environment,
        check=True,
        timeout=120,
    )  # fmt: skip
    branch = "submit/vanessa-greeting-2.0"
    git(tmp_path, "clone", "-q", "--branch", branch, str(server), str(clone))
    done = check(clone, "--base", "origin/main")
    assert done.returncode == 0, done.stderr
    git(clone, "checkout", "-q", "main")
    git(clone, "merge", "-q", "--no-ff", "-m", "merge", f"origin/{branch}")
    with serving(clone) as host:
        place = f"docker://{host}/vanessa/greeting:2.0"
        shown = run("skopeo", "inspect", "--tls-verify=false", "--format={{.Digest}}", place)
    assert shown.strip() == Image.of("built elsewhere").digest


def test_large_layers_are_brought_to_their_place_once_the_rules_have_passed(
    repository: Path, tmp_path: Path, docker_registry: str
) -> None:
    git(repository, "checkout", "-q", "main")
    text = "title: T\nregistry:\n  immutable: ['v*']\n  commit_below: 10\n"
    blobs = f"  blobs: docker://{docker_registry}/layers\n"
    write_tree(repository, {"_config.yml": text + blobs})
    commit(repository, "elsewhere")
    image = Image.of("brought there by a proposal")
    image.layout(tmp_path / "image", "2.0")
    (layer,) = (digest for digest, raw in image.blobs.items() if raw[:1] == b"\x1f")
    place = f"http://{docker_registry}/v2/layers/blobs/{layer}"

    def submit(name: str, *flags: str) -> int:
        command = [*BUILDER, "submit", f"oci:{tmp_path}/image", name, "--author", "mallory"]
        where = ["--registry", str(repository)]
        environment = {**os.environ, **IDENTITY}
        done = subprocess.run([*command, *where, *flags], env=environment, check=False, timeout=120)
        return done.returncode

    assert submit("vanessa/greeting:v1") == 1
    assert submit("vanessa/greeting:2.0", "--dry-run") == 0
    assert run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", place) == "404"
    assert submit("vanessa/greeting:2.0") == 0
    assert run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", place) == "200"
    git(repository, "checkout", "-q", "submit/vanessa-greeting-2.0")
    assert not list(repository.rglob(layer.partition(":")[2]))
    done = check(repository)
    assert done.returncode == 0, done.stderr


def test_flags_that_need_a_base(repository: Path) -> None:
    done = subprocess.run(
        [*BUILDER, "check", "--author", "x"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "--author is for pull requests" in done.stderr
