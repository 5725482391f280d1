"""The scripts of the CI files, each run in a scratch clone with the variables that CI gives."""

from __future__ import annotations

import getpass
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from builder.workflows.render import render
from tests.conftest import write_tree
from tests.e2e.conftest import free_port, run, started
from tests.gitting import commit, git
from tests.images import Image
from tests.publish.fake_s3 import fake_s3
from tests.workflows.runner import Job, cloning
from tests.workflows.stage import BROKEN, HELLO, REPOSITORY, WORKFLOWS, Stage

pytestmark = pytest.mark.e2e


def proposed(
    stage: Stage, tree: Mapping[str, str | bytes], branch: str, association: str = "NONE"
) -> Job:
    base = git(stage.work, "rev-parse", "HEAD").strip()
    head = stage.push(tree, branch)
    stage.actions["actions/checkout"] = cloning(stage.origin, proposal=head)
    context = {"github.event.pull_request.base.sha": base,
               "github.event.pull_request.author_association": association,
               "github.event.pull_request.user.login": "stranger; touch x"}  # fmt: skip
    return stage.job("check", "check", **context)


def test_a_proposal_is_summed_up(stage: Stage) -> None:
    job = proposed(stage, HELLO, "a-branch")
    assert not job.failed, job.said
    assert "team/hello/manifests/1.0/Containerfile" in job.summary
    assert "No problems" in job.summary


def test_a_hostile_proposal_is_told_where_and_runs_nothing(stage: Stage) -> None:
    evil = "on: pull_request_target\n"
    tree = {
        **HELLO,
        ".github/workflows/check.yml": evil,
        "builder/__init__.py": "raise SystemExit(0)\n",
        "builder.txt": "./elsewhere\n",
        "_config.yml": "title: Mine\n",
    }
    job = proposed(stage, tree, 'x";touch${IFS}pwned;"')
    assert job.failed
    for path in (".github/workflows/check.yml", "builder/__init__.py", "_config.yml"):
        assert f"::error file={path},line=1::" in job.said
        assert path in job.summary
    assert not list(stage.folder.rglob("pwned"))


def test_members_may_change_more(stage: Stage) -> None:
    tree = {"_config.yml": "title: Ours\n", ".github/dependabot.yml": "version: 2\n"}
    job = proposed(stage, tree, "settings", "MEMBER")
    assert not job.failed, job.said


def built(stage: Stage) -> list[Job]:
    plan = stage.job("build", "plan")
    assert not plan.failed, plan.said
    shards: list[str] = json.loads(plan.outputs["plan.shards"])
    stage.context["needs.plan.outputs.shards"] = json.dumps(shards)
    return [
        stage.job("build", "build", f"-{number}",
                  **{"matrix.shard": shard, "strategy.job-index": str(number)})
        for number, shard in enumerate(shards)
    ]  # fmt: skip


def test_recipes_are_built_apart_and_committed_together(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push({**HELLO, **BROKEN})
    gh = stage.program("gh")
    jobs = built(stage)
    assert [job.failed for job in jobs] == [True, False]  # in the order of the names
    save = stage.job("build", "save")
    assert not save.failed, save.said
    assert gh.read_text().splitlines() == ["auth setup-git", "workflow run deploy.yml --ref main"]
    log = git(stage.origin, "log", "-1", "--format=%an %s", "main")
    assert log == "github-actions[bot] Build recipes\n"
    changed = git(stage.origin, "show", "--name-only", "--format=", "main").split()
    assert "collections/team/hello/manifests/1.0/manifest.json" in changed
    assert all(path.startswith("collections/team/hello/") for path in changed)
    again = stage.job("build", "plan", "-again")
    assert json.loads(again.outputs["plan.shards"]) == ["1/1"]  # what failed is still pending


def test_what_main_does_not_take_is_proposed(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push(HELLO)
    before = git(stage.origin, "rev-parse", "main")
    hook = stage.origin / "hooks/update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    gh = stage.program("gh")
    built(stage)
    save = stage.job("build", "save")
    assert not save.failed, save.said
    assert git(stage.origin, "rev-parse", "main") == before
    assert git(stage.origin, "log", "-1", "--format=%s", "recipes-7") == "Build recipes\n"
    assert gh.read_text().splitlines()[-1].startswith("pr create --base main --head recipes-7")


def test_work_of_others_in_the_meantime_is_kept(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push(HELLO)
    stage.program("gh", f'[ "$1" != auth ] || git -C {stage.work} push -q origin other:main')
    git(stage.work, "checkout", "-qb", "other")
    write_tree(stage.work, {"collections/team/README.md": "# Team\n"})
    commit(stage.work, "Meanwhile")
    built(stage)
    save = stage.job("build", "save")
    assert not save.failed, save.said
    subjects = git(stage.origin, "log", "-2", "--format=%s", "main").splitlines()
    assert subjects == ["Build recipes", "Meanwhile"]


def test_nothing_but_content_that_passes_the_check_is_committed(stage: Stage) -> None:
    """What a recipe's machine hands on is not trusted: it ran somebody's code."""
    shutil.rmtree(stage.work / "collections")
    stage.push(HELLO)
    before = git(stage.origin, "rev-parse", "main").strip()
    stage.program("gh")
    hands = {
        "built-0": {"builder.txt": "./elsewhere\n", ".github/workflows/check.yml": "on: push\n"},
        "built-1": {"collections/team/hello/manifests/1.0/manifest.json": '{"schemaVersion": 2}'},
    }
    for name, tree in hands.items():
        write_tree(stage.work, tree)
        git(stage.work, "add", "-A")
        patch = git(stage.work, "diff", "--cached", "--binary", "HEAD")
        write_tree(stage.folder / "index_" / name, {"built.patch": patch})
        git(stage.work, "reset", "-q", "--hard")
    stage.context["needs.plan.outputs.shards"] = '["1/1"]'
    save = stage.job("build", "save")
    assert save.failed
    assert "manifest.json" in save.said
    assert git(stage.origin, "rev-parse", "main").strip() == before


def test_a_large_layer_without_a_place_is_refused_in_words(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push({**HELLO, "_config.yml": "title: T\nregistry: {commit_below: 0}\n"})
    stage.program("gh")
    built(stage)
    save = stage.job("build", "save")
    assert save.failed
    assert "registry.blobs" in save.said


def test_apptainer_is_installed_where_a_recipe_needs_it(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push({"collections/team/sing/manifests/1/Singularity": "Bootstrap: scratch\n"})
    sudo = stage.program("sudo")
    stage.program("apptainer", "exit 1")
    (job,) = built(stage)
    assert job.failed
    assert sudo.read_text().splitlines() == [
        "add-apt-repository --yes ppa:apptainer/ppa", "apt-get install --yes --quiet apptainer",
    ]  # fmt: skip


def test_the_site_is_deployed_to_pages_and_verified(stage: Stage) -> None:
    said = {"origin": "https://octo-org.github.io", "base_path": "/registry",
            "base_url": str(stage.folder / "site")}  # fmt: skip
    stage.actions["actions/configure-pages"] = lambda job, given: said  # noqa: ARG005

    def upload(job: Job, given: Mapping[str, str]) -> None:
        shutil.copytree(job.workspace / given["path"], stage.folder / "site")

    stage.actions["actions/upload-pages-artifact"] = upload
    job = stage.job("deploy", "site")
    assert not job.failed, job.said
    assert 'href="/registry/' in (stage.folder / "site/index.html").read_text()
    verify = stage.job("verify", "verify")
    assert not verify.failed, verify.said
    layer = next((stage.folder / "site/v2").glob("*/*/blobs/sha256*"))
    layer.write_bytes(b"rotten")
    again = stage.job("verify", "verify", "-again")
    assert again.failed
    assert layer.name in again.said


PROGRAMS = {
    "netlify": ("netlify-cli@", "deploy --prod --no-build --dir _site --site vars.NETLIFY_SITE"),
    "cloudflare-pages": ("wrangler@", "pages deploy _site --branch main --project-name vars."),
    "vercel": ("vercel@", "deploy _site --prod --yes --token secrets.VERCEL_TOKEN"),
    "firebase": ("firebase-tools@", "--config _site/firebase.json"),
}


def deployed(stage: Stage, target: str, given: Mapping[str, str]) -> Job:
    """Run the deployment to a target; what is not `given` is said by its own name."""

    class Named(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return name

    path = ".github/workflows/deploy.yml"
    write_tree(stage.folder, {path: render("github", target)[path]})
    context = Named({**stage.context, "vars.REGISTRY_URL": "https://registry.example", **given})
    job = Job(stage.folder / "deploy", context, stage.environment, stage.actions, stage.installed)
    return job.run(stage.folder / path, "deploy")


@pytest.mark.parametrize("target", PROGRAMS)
def test_hosts_get_the_site_from_their_own_program(stage: Stage, target: str) -> None:
    npx = stage.program("npx", "test -e _site/index.html")
    job = deployed(stage, target, {})
    assert not job.failed, job.said
    package, arguments = PROGRAMS[target]
    (call,) = npx.read_text().splitlines()
    assert call.startswith(f"--yes {package}")
    assert arguments in call


def test_a_deployment_without_an_address_says_what_is_missing(stage: Stage) -> None:
    npx = stage.program("npx")
    job = deployed(stage, "netlify", {"vars.REGISTRY_URL": ""})
    assert job.failed
    assert "REGISTRY_URL: set this variable" in job.said
    assert not npx.exists()


def test_a_runner_on_the_server_publishes_to_its_folder(stage: Stage) -> None:
    served = stage.folder / "served"
    given = {"vars.PUBLISH_TO": str(served), "secrets.BUILDER_SIGNING_KEY": "",
             "vars.RELOAD": f"touch {stage.folder}/reloaded"}  # fmt: skip
    job = deployed(stage, "nginx", given)
    assert not job.failed, job.said
    assert (served / "current/v2/index.json").exists()
    assert (served / "current.nginx/http.conf").exists()
    assert (stage.folder / "reloaded").exists()


def test_a_bucket_gets_the_site(stage: Stage) -> None:
    with fake_s3() as bucket:
        given = {"vars.PUBLISH_TO": "s3://bucket/registry", "vars.AWS_ENDPOINT_URL": bucket.address,
                 "vars.AWS_REGION": "", "secrets.BUILDER_SIGNING_KEY": ""}  # fmt: skip
        job = deployed(stage, "s3", given)
    assert not job.failed, job.said
    assert "registry/index.html" in bucket.objects
    assert "registry/v2/vanessa/greeting/manifests/latest" in bucket.objects


@contextmanager
def ssh_server(folder: Path) -> Iterator[tuple[int, str, str]]:
    """Run sshd for whoever runs this; yields its port, a key that may in, and its own as known."""
    for name in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        "Subsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    known = f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}"
    with started(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], port):
        yield port, (folder / "user").read_text(), known


def test_a_server_gets_the_site_by_ssh(stage: Stage) -> None:
    served = stage.folder / "served"
    served.mkdir()
    with ssh_server(stage.folder) as (port, key, known):
        given = {"vars.PUBLISH_TO": f"{getpass.getuser()}@127.0.0.1:{served}",
                 "vars.SSH_PORT": str(port), "vars.SSH_KNOWN_HOSTS": known, "secrets.SSH_KEY": key,
                 "vars.RELOAD": f"touch {stage.folder}/reloaded",
                 "secrets.BUILDER_SIGNING_KEY": ""}  # fmt: skip
        job = deployed(stage, "caddy", given)
    assert not job.failed, job.said
    assert (served / "current/v2/vanessa/greeting/manifests/latest").exists()
    assert (stage.folder / "reloaded").exists()
    assert str(stage.folder) not in Path("/proc/mounts").read_text()


def test_another_repository_proposes_its_image(stage: Stage, tmp_path: Path) -> None:
    """Its second run brings the open pull request up to date, and opens no other."""
    place = f"https://git.example/{REPOSITORY}.git"
    stage.environment |= {
        "GITHUB_REPOSITORY": "octocat/solver", "GITHUB_SHA": "c0ffee",
        "GITHUB_SERVER_URL": "https://git.example",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_VALUE_0": place,
        "GIT_CONFIG_KEY_0": f"url.{stage.origin}.insteadOf",
    }  # fmt: skip
    stage.context |= {"inputs.registry": REPOSITORY, "inputs.name": "physics/solver:2.1",
                      "inputs.artifact": "image", "inputs.source": "oci:image",
                      "secrets.token": "a-token"}  # fmt: skip
    answers = f'case "$1 $2" in "pr list") cat {tmp_path}/open;; "api user") echo boss;; esac'
    gh = stage.program("gh", answers)
    stage.push({"OWNERS": "* @boss\n"})
    (tmp_path / "open").touch()
    for label in ("first", "second"):
        layout = tmp_path / label
        Image.of(label).layout(layout, "2.1")

        def download(job: Job, given: Mapping[str, str], layout: Path = layout) -> None:
            shutil.copytree(layout, job.workspace / given["path"])

        stage.actions["actions/download-artifact"] = download
        job = stage.job("submit", "submit", f"-{label}")
        assert not job.failed, job.said
        (tmp_path / "open").write_text("https://git.example/pull/1\n")
    branch = "submit/physics-solver-2.1"
    changed = git(stage.origin, "diff", "--name-only", f"main...{branch}").split()
    assert all(path.startswith("collections/physics/solver/") for path in changed)
    calls = [line for line in gh.read_text().splitlines() if line.startswith("pr create")]
    (opened,) = calls
    assert f"--repo {REPOSITORY} --base main --head {branch} --title Add physics/solver" in opened
    assert git(stage.origin, "rev-list", "--count", f"main..{branch}") == "1\n"


def test_every_script_of_a_workflow_is_run_by_a_test() -> None:
    """A job that is added needs its test here."""
    jobs = {
        f"{path.stem}/{name}"
        for path in WORKFLOWS.iterdir()
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
        if any("run" in step for step in job["steps"])
    }
    assert jobs == {"check/check", "build/plan", "build/build", "build/save", "deploy/site",
                    "verify/verify", "submit/submit"}  # fmt: skip
