"""`builder submit`, with real git: what the branch holds, who may, what is refused."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from builder.cli import run
from builder.errors import UsageError
from builder.oci.reference import Reference
from builder.pull_requests.origin import Origin, Request, request_for
from builder.pull_requests.submit import default_branch
from tests.conftest import write_tree
from tests.gitting import IDENTITY, commit, git
from tests.images import Image
from tests.remote.hostile import Behaviour, hostile

Capture = pytest.CaptureFixture[str]
Submit = Callable[..., int]
IMAGE = Image.of("two")
CONFIG = "title: T\nregistry:\n  immutable: ['v*']\n"
TAG = "collections/vanessa/greeting/manifests"


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in IDENTITY.items():
        if name != "GIT_CONFIG_NOSYSTEM":
            monkeypatch.setenv(name, value)


@pytest.fixture
def organisation(greeting: Path) -> Path:
    """The organisation's registry, as somebody's clone of it."""
    Image.of("fixed").tag(greeting / "collections/vanessa/greeting", "v1")
    write_tree(
        greeting,
        {
            "_config.yml": CONFIG,
            ".gitignore": "/_blobs/\n/.builder-cache/\nblobs/\n",
            ".gitattributes": "* text=auto\n*.json filter=lfs\n",
            "OWNERS": "collections/vanessa/ @vanessa\n",
        },
    )
    git(greeting, "init", "-q", "-b", "main")
    git(greeting, "add", "-f", "-A")
    git(greeting, "commit", "-qm", "base")
    return greeting


@pytest.fixture
def submit(organisation: Path, tmp_path: Path) -> Submit:
    """Submit an image's layout to the organisation, as vanessa."""

    def call(name: str, *flags: str, image: Image = IMAGE, registry: str = "") -> int:
        IMAGE.layout(tmp_path / "layout", "1")
        image.layout(tmp_path / "layout", "1")
        where = registry or str(organisation)
        return run(["submit", f"oci:{tmp_path}/layout", name, "--registry", where,
                    "--author", "vanessa", *flags])  # fmt: skip

    return call


def test_a_clone_gets_a_branch_and_nothing_else(
    organisation: Path, submit: Submit, capsys: Capture
) -> None:
    (organisation / "README.md").write_text("not committed")
    before = git(organisation, "status", "--porcelain"), git(organisation, "rev-parse", "HEAD")
    assert submit("vanessa/greeting:2.0") == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert out.startswith(f"committed vanessa/greeting:2.0 {IMAGE.digest} on submit/vanessa-gree")
    assert "git push origin submit/vanessa-greeting-2.0" in out
    assert before == (git(organisation, "status", "--porcelain"),
                      git(organisation, "rev-parse", "HEAD"))  # fmt: skip
    branch = "submit/vanessa-greeting-2.0"
    changed = git(organisation, "diff", "--name-only", f"main...{branch}").split()
    blobs = [f"collections/vanessa/greeting/blobs/{name.replace(':', '/')}" for name in IMAGE.blobs]
    assert sorted(changed) == sorted([*blobs, f"{TAG}/2.0/README.md", f"{TAG}/2.0/manifest.json"])
    git(organisation, "checkout", "-q", "-f", branch)
    written = (organisation / f"{TAG}/2.0/manifest.json").read_bytes()
    assert written == IMAGE.manifest
    assert git(organisation, "log", "-1", "--format=%an %s") == "t Add vanessa/greeting:2.0\n"
    assert run(["check", "-s", str(organisation), "--base", "main", "--author", "vanessa"]) == 0


def test_json(submit: Submit, capsys: Capture) -> None:
    assert submit("vanessa/new:2.0", "--json", "--message", "Hello\n", "--branch", "b") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"][-1] == "collections/vanessa/new/manifests/2.0/manifest.json"
    assert "collections/vanessa/new/README.md" in found["files"]
    assert {key: found[key] for key in ("name", "tag", "digest", "changed", "base", "branch",
                                        "pushed", "dryRun", "compare", "command")} == {
        "name": "vanessa/new",
        "tag": "2.0",
        "digest": IMAGE.digest,
        "changed": True,
        "base": "main",
        "branch": "b",
        "pushed": False,
        "dryRun": False,
        "compare": None,
        "command": None,
    }  # fmt: skip


def test_a_dry_run_leaves_no_branch(organisation: Path, submit: Submit, capsys: Capture) -> None:
    assert submit("vanessa/greeting:2.0", "--dry-run") == 0
    assert "would propose vanessa/greeting:2.0" in capsys.readouterr().out
    assert git(organisation, "branch", "--format=%(refname:short)") == "main\n"


def test_what_is_there_is_unchanged(organisation: Path, submit: Submit, capsys: Capture) -> None:
    assert submit("vanessa/greeting:latest", image=Image.of("one")) == 0
    write_tree(organisation, {"x": "y"})
    assert submit("vanessa/greeting:latest", image=Image.of("one")) == 0
    assert "unchanged: main has vanessa/greeting:latest" in capsys.readouterr().out


def test_a_branch_that_is_there(organisation: Path, submit: Submit, capsys: Capture) -> None:
    assert submit("vanessa/greeting:2.0") == 0
    assert submit("vanessa/greeting:2.0", image=Image.of("three")) == 2
    assert "is there already" in capsys.readouterr().err
    assert submit("vanessa/greeting:2.0", "--replace", image=Image.of("three")) == 0
    shown = git(organisation, "show", f"submit/vanessa-greeting-2.0:{TAG}/2.0/manifest.json")
    assert shown.encode() == Image.of("three").manifest
    for name in ("main", "-x", "a..b", "a b", "--upload-pack=touch"):
        assert submit("vanessa/greeting:2.0", f"--branch={name}") == 2


REFUSED = {
    "vanessa/greeting:v1": "the tag vanessa/greeting:v1 is immutable and would move",
    "boss/tool:1": "boss/tool belongs to nobody yet, not to @vanessa",
    "vanesssa/tool:1": "belongs to nobody yet",
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_registry_s_rules_count(
    organisation: Path, submit: Submit, capsys: Capture, name: str
) -> None:
    assert submit(name) == 1
    assert REFUSED[name] in capsys.readouterr().err
    assert git(organisation, "branch", "--format=%(refname:short)") == "main\n"


def test_what_a_build_would_refuse_is_not_proposed(
    organisation: Path, submit: Submit, capsys: Capture
) -> None:
    """A host that goes by names would show this tag's manifest as a page."""
    write_tree(organisation, {"_config.yml": "title: T\nregistry: {target: github-pages}\n"})
    git(organisation, "add", "-A")
    git(organisation, "commit", "-qm", "where it is served")
    assert submit("vanessa/greeting:1.0.html") == 1
    assert "1.0.html" in capsys.readouterr().err
    assert git(organisation, "branch", "--list", "submit/*") == ""


def test_a_layer_that_is_too_large_for_git_needs_another_place(
    organisation: Path, submit: Submit, capsys: Capture
) -> None:
    (organisation / "_config.yml").write_text(f"{CONFIG}  commit_below: 10\n")
    commit(organisation, "small")
    assert submit("vanessa/greeting:2.0") == 1
    err = capsys.readouterr().err
    assert "bytes; the registry keeps no more than 10 in git, and has no other place" in err
    assert "registry.blobs" in err


def test_a_layer_that_others_brought_is_fetched(
    organisation: Path, submit: Submit, capsys: Capture, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    (layer,) = (raw for raw in IMAGE.blobs.values() if raw[:1] == b"\x1f")
    with hostile(Behaviour(image=Image(b"", {"x": layer})), context) as server:
        url = f"https://localhost:{server.server_address[1]}/far"
        text = f"{CONFIG}  commit_below: 10\n  blobs: {url}\n"
        (organisation / "_config.yml").write_text(text)
        commit(organisation, "elsewhere")
        ca = f"--ca={tmp_path}/ca.pem"
        assert submit("vanessa/greeting:2.0", ca) == 0, capsys.readouterr().err
        assert len(server.log.requests) == 1
        server.behaviour.blob_redirect = f"{url}/nothing"
        assert submit("vanessa/greeting:3.0", ca) == 1
        assert "cannot be fetched from https://localhost" in capsys.readouterr().err
    files = git(organisation, "show", "--name-only", "--format=", "submit/vanessa-greeting-2.0")
    assert len(files.split()) == 3  # the manifest, the README, the config


@pytest.mark.parametrize("local", [True, False], ids=["from a clone", "to a URL"])
def test_pushing(
    organisation: Path,
    submit: Submit,
    tmp_path: Path,
    capsys: Capture,
    local: bool,  # noqa: FBT001
) -> None:
    server = tmp_path / "server.git"
    git(tmp_path, "clone", "-q", "--bare", str(organisation), str(server))
    git(organisation, "remote", "add", "origin", f"file://{server}")
    hooks(organisation / ".git", tmp_path / "ran")
    registry = str(organisation) if local else f"file://{server}"
    assert submit("vanessa/greeting:2.0", "--push", registry=registry) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.startswith("pushed vanessa/greeting:2.0")
    branches = git(server, "branch", "--format=%(refname:short)").split()
    assert branches == ["main", "submit/vanessa-greeting-2.0"]
    assert submit("vanessa/greeting:2.0", "--push", registry=registry) == 2
    again = ("--push", "--replace")
    assert submit("vanessa/greeting:2.0", *again, image=Image.of("x"), registry=registry) == 0
    assert not (tmp_path / "ran").exists()


def hooks(folder: Path, proof: Path) -> None:
    """Write hooks that leave a proof when they run."""
    for name in ("post-checkout", "pre-commit", "commit-msg", "post-commit", "pre-push",
                 "reference-transaction"):  # fmt: skip
        hook = folder / "hooks" / name
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho {name} >> {proof}\n")
        hook.chmod(0o755)


def test_nothing_of_the_user_s_settings_runs(
    organisation: Path, submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks(tmp_path / "template", tmp_path / "ran")
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[core]\n\thooksPath = {tmp_path}/template/hooks\n\tautocrlf = true\n"
        f"[init]\n\ttemplateDir = {tmp_path}/template\n"
        f'[filter "lfs"]\n\tclean = touch {tmp_path}/ran\n\tsmudge = touch {tmp_path}/ran\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME",
                 "GIT_COMMITTER_EMAIL"):  # fmt: skip
        monkeypatch.delenv(name)
    assert submit("vanessa/greeting:2.0") == 0
    assert not (tmp_path / "ran").exists()
    for name in ("GIT_DIR", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name)
    branch = "submit/vanessa-greeting-2.0"
    assert git(organisation, "log", "-1", "--format=%an", branch) == "builder submit\n"


def test_no_secret_is_printed(submit: Submit, capsys: Capture) -> None:
    url = "https://somebody:hunter2hunter2@localhost:1/x.git"
    assert submit("vanessa/greeting:2.0", "--push", registry=url) == 4
    shown = capsys.readouterr()
    assert "hunter2" not in shown.out + shown.err
    assert "git clone" in shown.err


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ext::sh -c touch% x", "is neither a folder nor a git URL"),
        ("--upload-pack=x", "is neither a folder nor a git URL"),
        ("nowhere", "is neither a folder nor a git URL"),
        ("git://example.org/x", "is neither a folder nor a git URL"),
        ("fd::7", "is neither a folder nor a git URL"),
        ("https://example.org/x", "lost unless it is pushed"),
        ("somebody/registry", "a repository elsewhere is https://HOST/somebody/registry"),
        ("../bare.git", "with --push: file:///"),
    ],
)
def test_what_is_no_registry(submit: Submit, capsys: Capture, address: str, words: str) -> None:
    git(Path(), "init", "-q", "--bare", "../bare.git")
    assert submit("vanessa/greeting:2.0", f"--registry={address}") == 2
    assert words in capsys.readouterr().err


def test_a_registry_below_its_repository_s_top(
    tmp_path: Path, organisation: Path, submit: Submit
) -> None:
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "-q", "-b", "trunk")
    os.rename(organisation, top / "site")
    git(top / "site", "rev-parse")
    (top / "site/.git").rename(tmp_path / "old.git")
    git(top, "add", "-f", "-A")
    git(top, "commit", "-qm", "base")
    assert submit("vanessa/greeting:2.0", "--source", "site", registry=str(top)) == 0
    shown = git(top, "show", "--name-only", "--format=", "submit/vanessa-greeting-2.0").split()
    assert f"site/{TAG}/2.0/manifest.json" in shown


@pytest.mark.parametrize(
    ("reference", "branch"),
    [
        ("a/b:1.0", "submit/a-b-1.0"),
        ("a/b:1..0", "submit/a-b-1-.0"),
        ("a:x.", "submit/a-x-"),
        ("a:x.lock", "submit/a-x-lock"),
        ("a__b/c:v_1", "submit/a__b-c-v_1"),
    ],
)
def test_branches_have_safe_names(reference: str, branch: str, tmp_path: Path) -> None:
    assert default_branch(Reference.parse(reference)) == branch
    git(tmp_path, "check-ref-format", f"refs/heads/{branch}")


@pytest.mark.parametrize(
    ("url", "environment", "page"),
    [
        ("https://token@github.com/org/reg.git", {}, "https://github.com/org/reg/compare/"),
        ("git@github.com:org/reg.git", {}, "https://github.com/org/reg/compare/"),
        ("ssh://git@github.com:22/org/reg", {}, "https://github.com/org/reg/compare/"),
        ("https://git.example.org/org/reg", {"GITHUB_SERVER_URL": "https://git.example.org"},
         "https://git.example.org/org/reg/compare/"),
        ("https://gitlab.com/a/b/c.git", {}, "https://gitlab.com/a/b/c/-/merge_requests/new?"),
        ("https://example.org/a/b", {}, ""),
        ("https://github.com/a;b/c", {}, ""),
        ("/some/where", {}, ""),
    ],
)  # fmt: skip
def test_where_the_request_is_opened(url: str, environment: dict[str, Any], page: str) -> None:
    found = request_for(url, "main", "submit/a-1", "Add a:1", environment)
    assert found.page.startswith(page)
    assert bool(found.page) == bool(page)


def test_the_command_is_quoted() -> None:
    found = request_for("git@github.com:o/r", "main", "submit/a-1", "Add a:1 $(x)", {})
    assert found == Request(
        "https://github.com/o/r/compare/main...submit/a-1?expand=1",
        "gh pr create --repo o/r --base main --head submit/a-1 --title 'Add a:1 $(x)' --body ''",
    )


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="git repository"):
        Origin.parse(str(tmp_path))
