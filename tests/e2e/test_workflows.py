"""The scripts of the CI files, each run in a scratch clone with the variables that CI gives."""

from __future__ import annotations

import getpass
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from builder.workflows.render import render
from tests.conftest import read_tree, write_tree
from tests.e2e.conftest import free_port, run, started
from tests.gitting import commit, git
from tests.images import Image
from tests.publish.fake_s3 import fake_s3
from tests.remote.hostile import Behaviour, hostile
from tests.workflows.runner import Job, cloning, passing_on
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
    tree = {
        "_config.yml": "title: Ours\nexclude: [README.md]\n",
        ".github/dependabot.yml": "version: 2\n",
    }
    job = proposed(stage, tree, "settings", "MEMBER")
    assert not job.failed, job.said


@dataclass
class Run:
    """A run of the workflow for one owner, with a shelf for artifacts that is its own."""

    stage: Stage
    owner: str
    name: str

    @property
    def shelf(self) -> Path:
        return self.stage.folder / "shelves" / f"{self.owner}+{self.name.replace('/', '+')}"

    def job(self, job: str, label: str = "") -> Job:
        self.stage.actions |= passing_on(self.shelf)
        given = {"inputs.owner": self.owner, "inputs.name": self.name}
        return self.stage.job("build", job, f"-{self.shelf.name}{label}", **given)

    def hand_on(self, tree: Mapping[str, str | bytes], inner: str = "") -> None:
        """Put files where the machine that ran recipes leaves what it made."""
        write_tree(self.shelf / "built" / inner, tree)


def runs(stage: Stage, label: str = "") -> list[Run]:
    """Return the runs that a push starts."""
    gh = stage.program("gh")
    gh.unlink(missing_ok=True)
    plan = stage.job("build", "plan", label)
    assert not plan.failed, plan.said
    lines = gh.read_text().splitlines() if gh.exists() else []
    found = [re.search(r"--raw-field owner=(.*) --raw-field name=(.*)$", line) for line in lines]
    return [Run(stage, match[1], match[2]) for match in found if match]


def only_run(stage: Stage) -> Run:
    (run,) = runs(stage)
    return run


def test_recipes_are_built_apart_and_committed(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push({**HELLO, **BROKEN})
    broken, hello = runs(stage)
    assert [(run.owner, run.name) for run in (broken, hello)] == [
        ("-", "team/broken"), ("-", "team/hello"),
    ]  # fmt: skip
    assert broken.job("build").failed
    nothing = broken.job("save")
    assert not nothing.failed, nothing.said
    built = hello.job("build")
    assert not built.failed, built.said
    save = hello.job("save")
    assert not save.failed, save.said
    calls = (stage.folder / "gh.log").read_text().splitlines()
    assert calls[-2:] == ["auth setup-git", "workflow run deploy.yml --ref main"]
    log = git(stage.origin, "log", "-1", "--format=%an %s", "main")
    assert log == "github-actions[bot] Build recipes\n"
    changed = git(stage.origin, "show", "--name-only", "--format=", "main").split()
    assert "collections/team/hello/manifests/1.0/manifest.json" in changed
    assert all(path.startswith("collections/team/hello/") for path in changed)
    assert [run.name for run in runs(stage, "-again")] == ["team/broken"]


def test_what_main_does_not_take_is_proposed(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push(HELLO)
    before = git(stage.origin, "rev-parse", "main")
    hook = stage.origin / "hooks/update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    run = only_run(stage)
    run.job("build")
    save = run.job("save")
    assert not save.failed, save.said
    assert git(stage.origin, "rev-parse", "main") == before
    assert git(stage.origin, "log", "-1", "--format=%s", "recipes-7") == "Build recipes\n"
    last = (stage.folder / "gh.log").read_text().splitlines()[-1]
    assert last.startswith("pr create --base main --head recipes-7")


def test_work_of_others_in_the_meantime_is_kept(stage: Stage) -> None:
    """What is judged is what is pushed: the branch as it is after they came first."""
    shutil.rmtree(stage.work / "collections")
    stage.push(HELLO)
    run = only_run(stage)
    hook = stage.origin / "hooks/pre-receive"  # the first push finds that somebody was faster
    hook.write_text(
        f"#!/bin/sh\nrm {hook}; unset GIT_QUARANTINE_PATH\n"
        f"git -C {stage.origin} update-ref refs/heads/main other; exit 1\n"
    )
    hook.chmod(0o755)
    run.job("build")
    git(stage.work, "checkout", "-qb", "other")
    write_tree(stage.work, {"collections/team/README.md": "# Team\n"})
    commit(stage.work, "Meanwhile")
    git(stage.origin, "fetch", "-q", str(stage.work), "other:other")
    save = run.job("save")
    assert not save.failed, save.said
    subjects = git(stage.origin, "log", "-2", "--format=%s", "main").splitlines()
    assert subjects == ["Build recipes", "Meanwhile"]


def test_mirrors_are_committed_or_proposed(stage: Stage) -> None:
    text = render("github", "plain", mirrors=True)[".github/workflows/sync.yml"]
    (stage.folder / "sync.yml").write_text(text)
    stage.environment["HOME"] = str(stage.folder)
    gh = stage.program("gh")
    context = {**stage.context, "secrets.MIRRORS_AUTH": '{"auths": {}}'}

    def sync(label: str) -> Job:
        folder = stage.folder / label
        job = Job(folder, context, stage.environment, stage.actions, stage.installed)
        return job.run(stage.folder / "sync.yml", "sync")

    shutil.rmtree(stage.work / "collections")
    with hostile(Behaviour(image=Image.of("far"))) as server:
        place = f"127.0.0.1:{server.server_address[1]}/lib/app"
        config = f"exclude: [README.md]\nregistry:\n  sync: [{place}, '127.0.0.1:9/lost']\n"
        stage.push({"_config.yml": config})
        first = sync("first")
        assert first.failed  # one source is lost, and all else was committed
        assert "127.0.0.1:9: cannot connect" in first.said
        assert git(stage.origin, "log", "-1", "--format=%s", "main").startswith("Bring mirrors up")
        assert gh.read_text().splitlines()[-1] == "workflow run deploy.yml --ref main"
        assert (stage.folder / ".config/containers/auth.json").stat().st_mode & 0o777 == 0o600
        git(stage.work, "pull", "-q")
        stage.push({"_config.yml": config.replace(", '127.0.0.1:9/lost'", "")})
        before = git(stage.origin, "rev-parse", "main")
        again = sync("again")
        assert not again.failed, again.said
        hook = stage.origin / "hooks/update"
        hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
        hook.chmod(0o755)
        server.behaviour = Behaviour(image=Image.of("moved"))
        proposed = sync("proposed")
        assert not proposed.failed, proposed.said
    assert git(stage.origin, "rev-parse", "main") == before
    assert git(stage.origin, "log", "-1", "--format=%s", "mirrors").startswith("Bring mirrors up")
    assert "pr create --base main --head mirrors" in gh.read_text()


OWNED = {
    "OWNERS": "*  @boss\ncollections/team/  @anna\ncollections/other/  @bert\n",
    "_config.yml": "exclude: [README.md]\nregistry: {immutable: ['v*']}\n",
    "collections/team/tool/manifests/1/build.sh": 'echo one > "$BUILDER_OUTPUT/tool.txt"\n',
    "collections/other/tool/manifests/1/build.sh": 'echo two > "$BUILDER_OUTPUT/tool.txt"\n',
}
RENAME = (
    "diff --git a/OWNERS b/collections/team/tool/OWNERS\nsimilarity index 100%\n"
    "rename from OWNERS\nrename to collections/team/tool/OWNERS\n"
)


def layout(folder: Path, words: str, tag: str) -> dict[str, bytes]:
    Image.of(words).layout(folder, tag)
    return read_tree(folder)


def test_a_recipe_reaches_the_tags_of_its_owner_and_no_others(stage: Stage, tmp_path: Path) -> None:
    """The machine that ran it hands on whatever it likes, and is nobody's witness."""
    shutil.rmtree(stage.work / "collections")
    stage.push(OWNED)
    before = git(stage.origin, "rev-parse", "main").strip()
    anna, bert = runs(stage)
    assert [(run.owner, run.name) for run in (anna, bert)] == [("anna", "-"), ("bert", "-")]
    evil = layout(tmp_path / "evil", "evil", "1")
    honest = layout(tmp_path / "honest", "honest", "1")
    anna.hand_on({
        **{f"other+tool+1/{path}": raw for path, raw in evil.items()},
        **{f"team+tool+2/{path}": raw for path, raw in evil.items()},
        **{f"team+tool+1/{path}": raw for path, raw in honest.items()},
        "built.patch": RENAME, "collections/other/tool/manifests/1/manifest.json": "{}",
        ".github/workflows/check.yml": "on: push\n", "OWNERS": "* @anna\n",
    })  # fmt: skip
    save = anna.job("save")
    assert save.failed
    for name in ("other+tool+1", "team+tool+2", "built.patch", "collections", ".github", "OWNERS"):
        assert f"{name}: is not a tag of the plan" in save.said
    changed = git(stage.origin, "diff", "--name-status", before, "main").splitlines()
    assert changed
    assert all(re.match(r"A\tcollections/team/tool/", line) for line in changed), changed


@pytest.mark.parametrize(
    "what", ["digest", "blob-link", "folder-link", "index-link", "two", "missing"]
)
def test_a_layout_that_lies_is_refused(stage: Stage, tmp_path: Path, what: str) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push(OWNED)
    before = git(stage.origin, "rev-parse", "main").strip()
    _, bert = runs(stage)
    bert.hand_on(layout(tmp_path / "image", "evil", "1"), "other+tool+1")
    folder = bert.shelf / "built/other+tool+1"
    blob = max((folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    if what == "digest":
        blob.write_bytes(b"x" * blob.stat().st_size)
    elif what == "two":
        index = json.loads((folder / "index.json").read_bytes())
        index["manifests"].append(index["manifests"][0] | {"digest": f"sha256:{'0' * 64}"})
        (folder / "index.json").write_text(json.dumps(index))
    elif what == "missing":
        blob.unlink()
    else:
        place = {"blob-link": blob, "folder-link": folder, "index-link": folder / "index.json"}[
            what
        ]
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    save = bert.job("save")
    assert save.failed
    assert "other/tool:1" in save.said
    assert "Traceback" not in save.said
    assert git(stage.origin, "rev-parse", "main").strip() == before


def test_an_immutable_tag_is_not_moved_by_its_own_recipe(stage: Stage, tmp_path: Path) -> None:
    shutil.rmtree(stage.work / "collections")
    tag = "collections/team/tool/manifests/v1"
    stage.push({**OWNED, f"{tag}/build.sh": "true\n"})
    anna, _ = runs(stage)
    anna.hand_on(layout(tmp_path / "first", "first", "v1"), "team+tool+v1")
    assert not anna.job("save").failed
    git(stage.work, "pull", "-q", "origin", "main")
    (stage.work / tag / "README.md").unlink()  # asks for a build
    stage.push({})
    moved = git(stage.origin, "rev-parse", f"main:{tag}/manifest.json")
    shutil.rmtree(anna.shelf)
    anna.hand_on(layout(tmp_path / "second", "second", "v1"), "team+tool+v1")
    save = anna.job("save", "-again")
    assert save.failed
    assert "immutable" in save.said
    assert git(stage.origin, "rev-parse", f"main:{tag}/manifest.json") == moved


def test_an_owner_who_may_not_change_a_folder_is_refused(stage: Stage, tmp_path: Path) -> None:
    """Rights that were taken away while it was built are gone."""
    shutil.rmtree(stage.work / "collections")
    stage.push(OWNED)
    anna, _ = runs(stage)
    anna.hand_on(layout(tmp_path / "image", "image", "1"), "team+tool+1")
    built = git(stage.work, "rev-parse", "HEAD").strip()
    stage.actions["actions/checkout"] = cloning(stage.origin, **{"": built})
    before = stage.push({"OWNERS": "* @boss\n"})
    save = anna.job("save")
    assert save.failed
    assert "belongs to @boss, not to @anna" in save.said
    assert git(stage.origin, "rev-parse", "main").strip() == before


def test_a_large_layer_without_a_place_is_refused_in_words(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push({**HELLO, "_config.yml": "exclude: [README.md]\nregistry: {commit_below: 0}\n"})
    run = only_run(stage)
    run.job("build")
    save = run.job("save")
    assert save.failed
    assert "registry.blobs" in save.said


def test_large_layers_of_recipes_reach_a_bucket(stage: Stage) -> None:
    """With secrets that only the job has that runs no recipe."""
    shutil.rmtree(stage.work / "collections")
    with fake_s3() as bucket:
        place = f"blobs: 's3://bucket/layers', blobs_url: '{bucket.address}/bucket/layers'"
        config = f"exclude: [README.md]\nregistry: {{commit_below: 0, {place}}}\n"
        stage.push({**HELLO, "_config.yml": config})
        path = ".github/workflows/build.yml"
        write_tree(stage.folder, {path: render("github", "plain", "s3")[path]})
        run = only_run(stage)
        built = run.job("build")
        assert not built.failed, built.said
        context = {
            **stage.context, "inputs.owner": run.owner, "inputs.name": run.name,
            "vars.AWS_ENDPOINT_URL": bucket.address, "vars.AWS_REGION": "",
            "secrets.AWS_ACCESS_KEY_ID": "id", "secrets.AWS_SECRET_ACCESS_KEY": "key",
        }  # fmt: skip
        job = Job(stage.folder / "save", context, stage.environment, stage.actions, stage.installed)
        save = job.run(stage.folder / path, "save")
        assert not save.failed, save.said
        layers = [name for name in bucket.objects if name.startswith("layers/blobs/sha256/")]
    assert len(layers) == 1
    assert git(stage.origin, "log", "-1", "--format=%s", "main") == "Build recipes\n"
    assert layers[0].rpartition("/")[2] not in git(stage.origin, "ls-tree", "-r", "main")


def test_apptainer_is_installed_where_a_recipe_needs_it(stage: Stage) -> None:
    shutil.rmtree(stage.work / "collections")
    stage.push({"collections/team/sing/manifests/1/Singularity": "Bootstrap: scratch\n"})
    sudo = stage.program("sudo")
    stage.program("apptainer", "exit 1")
    assert only_run(stage).job("build").failed
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
    "vercel": ("vercel@", "deploy _site --prod --yes"),
    "firebase": ("firebase-tools@", "--config _site/firebase.json"),
}


def deployed(stage: Stage, target: str, given: Mapping[str, str], folder: str = "deploy") -> Job:
    """Run the deployment to a target; what is not `given` is said by its own name."""

    class Named(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return name

    path = ".github/workflows/deploy.yml"
    write_tree(stage.folder, {path: render("github", target)[path]})
    context = Named({**stage.context, "vars.REGISTRY_URL": "https://registry.example", **given})
    job = Job(stage.folder / folder, context, stage.environment, stage.actions, stage.installed)
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


@pytest.mark.parametrize(("target", "program"), [("firebase", "npx"), ("nginx", "sshfs")])
def test_a_deployment_that_fails_leaves_no_secret_behind(
    stage: Stage, target: str, program: str
) -> None:
    scratch = stage.folder / "scratch"
    scratch.mkdir()
    stage.environment["TMPDIR"] = str(scratch)
    stage.program(program, f"grep -rl ssecret {scratch} > {stage.folder}/there; exit 1")
    given = {"vars.PUBLISH_TO": "me@host:/srv", "secrets.SSH_KEY": "ssecret", "vars.RELOAD": "",
             "secrets.FIREBASE_ACCOUNT": "ssecret", "secrets.BUILDER_SIGNING_KEY": ""}  # fmt: skip
    job = deployed(stage, target, given)
    assert job.failed
    assert (stage.folder / "there").read_text()  # it was there, for the program
    assert not any(b"ssecret" in raw for raw in read_tree(scratch).values())


def test_no_secret_is_an_argument(stage: Stage) -> None:
    """Arguments of programs can be read by everybody on the machine."""
    for target in PROGRAMS:
        npx = stage.program("npx")
        job = deployed(stage, target, {}, folder=f"deploy-{target}")
        assert not job.failed, job.said
        assert "secrets." not in npx.read_text(), target


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


def proposing(stage: Stage, answers: str) -> Path:
    """Let the next jobs propose an image, with a `gh` that knows `answers`; return its log."""
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
    stage.push({"OWNERS": "* @boss\n"})

    def download(job: Job, given: Mapping[str, str]) -> None:
        Image.of(str(job.folder)).layout(job.workspace / given["path"], "2.1")

    stage.actions["actions/download-artifact"] = download
    return stage.program("gh", f'case "$1 $2" in {answers} esac')


def test_another_repository_proposes_its_image(stage: Stage, tmp_path: Path) -> None:
    """Its second run brings the open pull request up to date, and opens no other."""
    gh = proposing(stage, f'"pr list") cat {tmp_path}/open;; "api graphql") echo boss;;')
    (tmp_path / "open").touch()
    for label in ("first", "second"):
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


@pytest.mark.parametrize(
    "answer",
    ['{"message": "boss", "status": "403"}', "boss\\nboss", "boss,association/owner", "", "null x"],
)
def test_an_error_is_not_taken_for_who_proposes(stage: Stage, answer: str) -> None:
    gh = proposing(stage, f'"api graphql") printf %b {shlex.quote(answer)};;')
    job = stage.job("submit", "submit")
    assert job.failed
    assert "GitHub does not say whose the token is" in job.said
    assert "pr create" not in gh.read_text()
    assert git(stage.origin, "branch", "--list", "submit/*") == ""


def test_every_script_of_a_workflow_is_run_by_a_test() -> None:
    """A job that is added needs its test here."""
    jobs = {
        f"{path.stem}/{name}"
        for path in WORKFLOWS.iterdir()
        if path.stem != "test"  # the builder's own: its steps are make's targets and .ci/run
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
        if any("run" in step for step in job["steps"])
    }
    assert jobs == {"check/check", "build/plan", "build/build", "build/save", "deploy/site",
                    "verify/verify", "submit/submit"}  # fmt: skip
