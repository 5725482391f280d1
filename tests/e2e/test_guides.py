"""Guides, as their readers would follow them: their own commands, in order, on real servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import free_port
from tests.gateways import WRITER, bucket_at_root, make_bucket, run_moto
from tests.gitting import IDENTITY, git
from tests.hosts import started
from tests.page_host import Twists, pages

ROOT = Path(__file__).parent.parent.parent
SIF = b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\0" + b"01\0" * 50
pytestmark = pytest.mark.e2e


def blocks(name: str, language: str = "sh") -> list[str]:
    """Return the commands of a guide, or its files, block by block; indented ones in lists too."""
    text = (ROOT / f"docs/guide/{name}.md").read_text()
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def configure(registry: Path, settings: str, here: Mapping[str, str] | None = None) -> None:
    """Put settings of a guide into a new registry's configuration, in place of its own."""
    for written, stands in (here or {}).items():
        assert written in settings, written
        settings = settings.replace(written, stands)
    (registry / "_config.yml").write_text(f"title: Mine\n{settings}")


def follow(commands: list[str], folder: Path, here: Mapping[str, str], **environment: str) -> str:
    """Run commands of a guide, each of `here` in place of what is written; return the output."""
    script = "".join(commands)
    for written, stands in here.items():
        assert written in script, written
        script = script.replace(written, stands)
    programs = f"{folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    end = "trap 'jobs -p | xargs -r kill; wait' EXIT\nset -o pipefail\n"
    done = subprocess.run(
        ["bash", "-e"], input=end + script, cwd=folder, text=True, capture_output=True,
        env={**os.environ, **IDENTITY, "PATH": programs, **environment}, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_lab_with_sif_files_and_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "solver.sif").write_bytes(SIF)
    first, publish, update = blocks("lab")[:4], blocks("lab")[4], blocks("lab")[5]
    assert "builder publish" in publish
    with run_moto(tmp_path) as endpoint:
        for name in ("lab-registry", "lab-data"):
            make_bucket(endpoint, name)
        login = {**WRITER, "AWS_ENDPOINT_URL": endpoint}
        url = f"{endpoint}/lab-data/mesh.sif"
        requests.put(url, data=SIF, timeout=60).raise_for_status()
        with bucket_at_root(endpoint, "lab-registry", tmp_path) as host:
            site = {"https://registry.example.org": f"http://{host}"}
            follow(first, tmp_path, site, **login)
            said = follow(["cd lab\n", publish], tmp_path, site, **login)
            assert "no problems found" in said
            (tmp_path / "solver.sif").write_bytes(SIF + b"more")
            follow(["cd lab\n", update], tmp_path, {}, **login)
            command = ["curl", "-sf", f"http://{host}/v2/physics/solver/tags/list"]
            listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
            assert json.loads(listed)["tags"] == ["1.0", "1.1"]
    mesh = json.loads(git(tmp_path / "lab", "show",
                          "HEAD:collections/physics/mesh/manifests/2.3/manifest.json"))  # fmt: skip
    assert mesh["layers"][0]["urls"] == [url]
    assert mesh["layers"][0]["size"] == len(SIF)


@pytest.fixture
def nginx_words(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """The server of the guide: its configuration, and what its addresses and commands are here."""
    text = (ROOT / "docs/guide/team.md").read_text()
    (config,) = re.findall(r"^```nginx\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    port, served = free_port(), tmp_path / "srv"
    kept = [line for line in config.splitlines() if "ssl_certificate" not in line]
    inner = "\n".join(kept).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; user root;\nevents {{}}\n"
        f"http {{ access_log off;\n{inner.replace('/srv/registry', str(served))}\n}}\n"
    )
    return (
        f"127.0.0.1:{port}",
        {
            "https://registry.example.org": f"http://127.0.0.1:{port}",
            "/srv/registry": str(served),
            "sudo systemctl reload nginx": f"nginx -c {file} -s reload",
        },
    )


def test_a_team_on_its_own_nginx_from_the_first_day_to_the_tenth(
    nginx_words: tuple[str, dict[str, str]], served: str, tmp_path: Path
) -> None:
    address, here = nginx_words
    enter = ["cd team\n"]
    make, look, *days, tenth = blocks("team")

    def day(*commands: str, **more: str) -> str:
        words = {**here, **more}
        used = {key: value for key, value in words.items() if key in "".join(commands)}
        assert used
        return follow([*commands], tmp_path, used)

    older = {"docker.io/library/alpine:3.19": f"{served}/vanessa/greeting:1.0.0"}
    newer = {"docker.io/library/alpine:3.20": f"{served}/vanessa/greeting:1.1.0"}
    day(make, **older)
    command = ["nginx", "-c", str(tmp_path / "nginx.conf")]
    with started(command, int(address.rpartition(":")[2])):
        assert "docker" in day(*enter, look)
        update, yank, delete = days
        day(*enter, update, yank, **newer)
        assert _tags(address) == ["3.19", "3.20", "latest"]
        day(*enter, delete)
        assert _tags(address) == ["3.20", "latest"]
        said = day(*enter, tenth)
    assert "no problems found" in said
    assert git(tmp_path / "team", "status", "--porcelain") == ""


def _tags(address: str) -> list[str]:
    command = ["curl", "-sf", f"http://{address}/v2/base/alpine/tags/list"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    tags: list[str] = json.loads(said)["tags"]
    return tags


def test_a_project_page_on_github(served: str, tmp_path: Path) -> None:
    setup, build, archive, pull = blocks("github")
    alpine = {"docker.io/library/alpine:3.20": f"{served}/vanessa/greeting:1.1.0"}
    follow([setup], tmp_path, alpine)
    follow(["cd registry\n", build], tmp_path, {})
    with pages(tmp_path / "registry/_site", Twists(root="registry")) as host:
        here = {"https://OWNER.github.io/registry": host.url}
        follow([archive], tmp_path, here)
        port = str(free_port())
        wait = f"until curl -sf http://127.0.0.1:{port}/v2/ >/dev/null; do sleep 0.1; done\n"
        start, rest = pull.split("&\n", 1)
        follow(
            ["mkdir -p work\n", "cd work\n", f"{start}&\n", wait, rest], tmp_path,
            {**here, "127.0.0.1:5000": f"127.0.0.1:{port}"},
            BUILDER_PROXY_PORT=port, XDG_CACHE_HOME=str(tmp_path / "cache"),
        )  # fmt: skip
    assert (tmp_path / "alpine_3.20.tar").stat().st_size > 1000
    index = json.loads((tmp_path / "alpine/index.json").read_text())
    manifest = tmp_path / "registry/collections/tools/alpine/manifests/3.20/manifest.json"
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    assert (tmp_path / "alpine/blobs/sha256" / digest).read_bytes() == manifest.read_bytes()


def test_moving_away(served: str, docker_registry: str, tmp_path: Path) -> None:
    source = f"docker://{served}/vanessa/greeting"
    make = ["builder new mine\n", "cd mine\n",
            f"builder add --all-tags --with-referrers {source} team/greeting\n"]  # fmt: skip
    follow(make, tmp_path, {})
    push, export = blocks("moving-away")
    follow(["cd mine\n", push], tmp_path, {"registry.example.net": docker_registry})
    follow(["cd mine\n", export], tmp_path, {})
    for place in (f"docker://{docker_registry}/team/greeting", "oci:images/team/greeting"):
        said = follow([f"skopeo inspect --raw --tls-verify=false {place}:1.1.0\n"], tmp_path, {})
        file = tmp_path / "mine/collections/team/greeting/manifests/1.1.0/manifest.json"
        assert said == file.read_text()


def test_a_mirror(served: str, docker_registry: str, tmp_path: Path) -> None:
    def there(version: str, *names: str) -> None:
        flags = "--all --src-tls-verify=false --dest-tls-verify=false"
        copies = [
            f"skopeo copy -q {flags} docker://{served}/vanessa/greeting:{version} "
            f"docker://{docker_registry}/{name}\n"
            for name in names
        ]
        follow(copies, tmp_path, {})

    there("1.0.0", "library/alpine:3.19", "library/alpine:2.7", "library/alpine:latest")
    there("1.0.0", *(f"pause:3.{number}" for number in range(7, 11)))
    follow(["builder new mine\n"], tmp_path, {})
    names = {"docker.io": docker_registry, "registry.k8s.io": docker_registry}
    configure(tmp_path / "mine", blocks("mirrors", "yaml")[0], names)
    (sync,) = blocks("mirrors")
    follow(["cd mine\n", sync], tmp_path, {})
    mirror = tmp_path / "mine/collections/mirror"
    tags = {path.relative_to(mirror).as_posix() for path in mirror.glob("*/manifests/*")}
    assert tags == {
        "alpine/manifests/3.19", "alpine/manifests/latest",
        "pause/manifests/3.8", "pause/manifests/3.9", "pause/manifests/3.10",
    }  # fmt: skip
    assert git(tmp_path / "mine", "status", "--porcelain", "collections") == ""
    there("1.1.0", "library/alpine:3.20", "library/alpine:latest")
    follow(["cd mine\n", sync], tmp_path, {})
    assert (mirror / "alpine/manifests/3.20").is_dir()
    said = follow(["cd mine\n", "builder history mirror/alpine:latest\n"], tmp_path, {})
    assert said.count("sha256:") >= 2
    follow(["cd mine\n", "builder check\n", "builder build\n"], tmp_path, {})


def test_an_organisation(served: str, tmp_path: Path) -> None:
    hub, registry = tmp_path / "hub/registry.git", tmp_path / "made"
    image = f"docker://{served}/vanessa/greeting:1.1.0"
    follow([
        f"builder new {registry}\n", f"git init -q --bare -b main {hub}\n",
        f"skopeo copy -q --src-tls-verify=false {image} oci:build\n",
    ], tmp_path, {})  # fmt: skip
    (registry / "OWNERS").write_text(blocks("organisation", "text")[0])
    configure(registry, blocks("organisation", "yaml")[0])
    follow(
        ["git add -A\n", "git commit -qm Rules\n", f"git push -q {hub} HEAD:main\n"], registry, {}
    )
    check, submit, token, look = blocks("organisation", "bash")
    address = {"https://github.com/ORGANISATION/registry.git": f"file://{hub}"}
    said = follow([look], tmp_path, address)
    assert "collections/physics/solver/manifests/2.1/manifest.json" in said
    follow([token, submit], tmp_path, address, TOKEN="not-a-token")
    assert "submit/physics-solver-2.1" in git(hub, "branch", "--list")
    git(tmp_path / "registry", "checkout", "-q", "submit/physics-solver-2.1")
    judge = ["cd registry\n", check]
    summary = tmp_path / "summary.md"
    follow(judge, tmp_path, {}, LOGIN="anna", GITHUB_STEP_SUMMARY=str(summary))
    assert "physics/solver" in summary.read_text()
    stranger = {"LOGIN": "stranger", "GITHUB_STEP_SUMMARY": str(summary)}
    with pytest.raises(AssertionError, match="stranger"):
        follow(judge, tmp_path, {}, **stranger)


def test_a_web_app(docker_registry: str, tmp_path: Path) -> None:
    (tmp_path / "my-app").mkdir()
    (tmp_path / "my-app/index.html").write_text("<!doctype html><title>Mine</title>")
    bundle, registry = blocks("web-apps")
    follow(["builder new mine\n", "cd mine\n", bundle], tmp_path, {})
    configure(tmp_path / "mine", blocks("web-apps", "yaml")[0])
    follow(["cd mine\n", "builder build\n"], tmp_path, {})
    for version in ("1.0.0", "latest"):
        assert (tmp_path / f"mine/_site/my-app/{version}/index.html").is_file()
    port = str(free_port())
    page = f"http://127.0.0.1:{port}/my-app/1.0.0/"
    said = follow(
        ["cd mine\n", registry.rstrip("\n"), " &\n",
         f"until curl -sf {page}; do sleep 0.1; done\n"], tmp_path,
        {"localhost:5000": docker_registry}, BUILDER_SERVE_PORT=port,
    )  # fmt: skip
    assert "<title>Mine</title>" in said
