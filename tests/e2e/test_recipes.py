"""From a recipe to a pull: real engines and clients, several runs at once, runs that are killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import oras.client
import pytest

from tests.conftest import write_tree
from tests.e2e.conftest import BUILDER, run, serving
from tests.hosts import until
from tests.recipes.conftest import HELLO, recipe, tag_folder

pytestmark = pytest.mark.e2e
# A program that takes apptainer's words, and makes what it makes but for the descriptors.
APPTAINER = """#!/bin/sh -e
[ "$1" = build ] && [ $# -eq 3 ] || { echo "usage: apptainer build SIF DEF" >&2; exit 255; }
case "$2" in *.sif) ;; *) echo "not a .sif: $2" >&2; exit 255;; esac
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
section() { awk -v want="%$1" '/^%/ { inside = ($1 == want); next } inside' "$2"; }
section files "$3" | while read -r from to; do
    [ -z "$from" ] || { mkdir -p "$root/$(dirname "$to")"; cp -r "$from" "$root/$to"; }
done
mkdir -p "$root/.singularity.d"
section runscript "$3" > "$root/.singularity.d/runscript"
section test "$3" > "$root/.singularity.d/test"
( cd "$root" && sh -e .singularity.d/test )
mksquashfs "$root" "$2.squashfs" -quiet -no-progress -all-root
{ printf '#!/usr/bin/env run-singularity\\n\\0SIF_MAGIC\\00001\\00002\\0'; } > "$2"
truncate -s 4096 "$2"
cat "$2.squashfs" >> "$2"
rm "$2.squashfs"
"""


@pytest.fixture
def buildah(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let buildah work in a container, with storage of its own."""
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/images"\n'
    )
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")


@pytest.fixture
def apptainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def recipes(registry: Path, *arguments: str) -> Any:
    return json.loads(run(*BUILDER, "recipes", *arguments, "--json", "-s", str(registry)))


def states(registry: Path) -> dict[str, str]:
    return {f"{item['name']}:{item['tag']}": item["state"] for item in recipes(registry)}


def debian_package(name: str, folder: Path) -> None:
    """Copy the files of an installed package."""
    for line in run("dpkg", "-L", name).splitlines():
        if os.path.isfile(line):
            write_tree(folder, {line.lstrip("/"): Path(line).read_bytes()})


def pulled(host: str, reference: str, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Pull with skopeo; return the config, and the files of all layers."""
    source = f"docker://{host}/{reference}"
    run("skopeo", "copy", "--src-tls-verify=false", source, f"oci:{folder}:x")
    index = json.loads((folder / "index.json").read_bytes())

    def blob(descriptor: dict[str, Any]) -> Path:
        return folder / "blobs" / str(descriptor["digest"]).replace(":", "/")

    manifest = json.loads(blob(index["manifests"][0]).read_bytes())
    files: dict[str, bytes] = {}
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer)) as archive:
            for member in archive.getmembers():
                if (stream := archive.extractfile(member)) is not None:
                    files[member.name] = stream.read()
    return json.loads(blob(manifest["config"]).read_bytes()), files


@pytest.mark.usefixtures("buildah")
def test_a_containerfile_goes_from_pending_to_pulled(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (registry / "_config.yml").write_text("repository: example/registry\n")
    text = 'FROM scratch\nCOPY files/ /\nCMD ["/usr/bin/hello"]\n'
    folder = recipe(registry, "debian/hello:2", {"Containerfile": text})
    debian_package("hello", folder / "files")
    assert states(registry) == {"debian/hello:2": "pending"}
    [outcome] = recipes(registry, "build")
    assert (outcome["state"], outcome["engine"]) == ("built", "buildah")
    assert states(registry) == {"debian/hello:2": "current"}
    with serving(registry) as host:
        config, files = pulled(host, "debian/hello:2", tmp_path / "pulled")
    assert files["usr/bin/hello"] == Path("/usr/bin/hello").read_bytes()
    assert config["config"]["Cmd"] == ["/usr/bin/hello"]
    assert config["created"] == "2023-11-14T22:13:20Z"
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.source"] == "https://github.com/example/registry"
    assert labels["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
    [again] = recipes(registry, "build", "debian/hello:2")
    assert (again["state"], again["digest"]) == ("unchanged", outcome["digest"])
    assert run("buildah", "images", "--quiet") == ""


@pytest.mark.usefixtures("buildah")
@pytest.mark.parametrize("engine", ["buildah", "podman"])
def test_recipes_that_make_the_same_image_at_once(registry: Path, engine: str) -> None:
    names = [f"same/r{number}:1" for number in range(3)]
    for name in names:
        recipe(registry, name, {"Dockerfile": "FROM scratch\nCOPY x /\n", "x": "x"})
    outcomes = recipes(registry, "build", "-j", "3", "--engine", engine)
    assert {(item["state"], item["engine"]) for item in outcomes} == {("built", engine)}
    assert states(registry) == dict.fromkeys(names, "current")
    assert run(engine, "images", "--quiet") == ""


@pytest.mark.usefixtures("buildah")
def test_a_build_script_goes_from_pending_to_pulled(registry: Path, tmp_path: Path) -> None:
    script = (
        "c=$(buildah from scratch)\n"
        "trap 'buildah rm $c' EXIT\n"
        "buildah copy $c files /\n"
        'buildah config --label org.opencontainers.image.revision="$BUILDER_REVISION" $c\n'
        'buildah commit $c oci-archive:"$BUILDER_OUTPUT/image.tar"\n'
    )
    folder = recipe(registry, "debian/hello:2", {"build.sh": script})
    debian_package("hello", folder / "files")
    run("git", "init", "-q", str(registry))
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    run("git", "-C", str(registry), *who, "commit", "-q", "--allow-empty", "-m", "first")
    [outcome] = recipes(registry, "build")
    assert (outcome["state"], outcome["engine"]) == ("built", "build.sh")
    with serving(registry) as host:
        config, files = pulled(host, "debian/hello:2", tmp_path / "pulled")
    assert files["usr/bin/hello"] == Path("/usr/bin/hello").read_bytes()
    commit = run("git", "-C", str(registry), "rev-parse", "HEAD").strip()
    assert config["config"]["Labels"]["org.opencontainers.image.revision"] == commit


@pytest.mark.usefixtures("apptainer")
def test_a_definition_file_goes_from_pending_to_pulled(registry: Path, tmp_path: Path) -> None:
    text = (
        "Bootstrap: scratch\n%files\n    hello usr/bin/hello\n"
        "%test\n    test -s usr/bin/hello\n%runscript\n    hello\n"
    )
    folder = recipe(registry, "sifs/hello:1.0", {"Singularity": text})
    (folder / "hello").write_bytes(Path("/usr/bin/hello").read_bytes())
    bad = text.replace("test -s usr", "test -s not")
    recipe(registry, "sifs/untested:1.0", {"bad.def": bad, "hello": "x"})
    command = [*BUILDER, "recipes", "build", "--json", "-s", str(registry)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    built, failed = json.loads(done.stdout)
    assert done.returncode == 1
    assert (built["state"], built["engine"]) == ("built", "apptainer")
    assert (failed["state"], failed["why"].splitlines()[0]) == (
        "failed", "apptainer ended with exit code 1",
    )  # fmt: skip
    with serving(registry) as host:
        client = oras.client.OrasClient(insecure=True, tls_verify=False)
        [path] = client.pull(target=f"{host}/sifs/hello:1.0", outdir=str(tmp_path / "pulled"))
    assert Path(path).name == "hello_1.0.sif"
    run("unsquashfs", "-offset", "4096", "-dest", str(tmp_path / "root"), path)
    original = hashlib.sha256(Path("/usr/bin/hello").read_bytes()).digest()
    copy = (tmp_path / "root/usr/bin/hello").read_bytes()
    assert hashlib.sha256(copy).digest() == original


@contextmanager
def building(registry: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run; end it, if it still is there, with the block."""
    command = [*BUILDER, "recipes", "build", "-s", str(registry), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_two_runs_at_once_lose_nothing_and_build_nothing_twice(
    registry: Path, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    for number in range(8):
        script = f'echo {number} >> {count}; echo {number} > "$BUILDER_OUTPUT/number.txt"'
        recipe(registry, f"many/r{number}:1", {"build.sh": script})
    with building(registry, "-j", "2") as one, building(registry, "-j", "2") as other:
        for process in (one, other):
            said = process.communicate(timeout=60)[1]
            assert process.returncode == 0, said
    assert set(states(registry).values()) == {"current"}
    assert sorted(count.read_text().split()) == [str(number) for number in range(8)]
    run(*BUILDER, "check", "-s", str(registry))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_ends_what_it_started(registry: Path, number: int) -> None:
    script = "trap '' TERM INT; echo $$; while :; do sleep 1; done"
    recipe(registry, "slow:1", {"build.sh": script})
    log = registry / ".builder-cache/recipes/slow+1/log"
    with building(registry) as process:
        assert until(lambda: log.exists() and log.read_text().count("\n") == 2)
        process.send_signal(number)
        said = process.communicate(timeout=30)[1].strip()
        assert said.splitlines()[-1] == b"builder: interrupted"
        assert process.returncode == 128 + number
    assert until(lambda: not is_running(int(log.read_text().split()[-1])))
    assert states(registry) == {"slow:1": "pending"}


def test_a_killed_run_is_made_good_by_the_next(registry: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = f"{HELLO}echo $$\n[ -e {gate} ] || exec sleep 600\n"
    recipe(registry, "slow:1", {"build.sh": script})
    recipe(registry, "quick:1")
    log = registry / ".builder-cache/recipes/slow+1/log"
    with building(registry) as process:
        assert until(lambda: log.exists() and log.read_text().count("\n") == 2)
        assert until(lambda: states(registry)["quick:1"] == "current")
        process.kill()
        process.wait(30)
    child = int(log.read_text().split()[-1])
    assert is_running(child)
    gate.touch()
    assert [item["state"] for item in recipes(registry, "build")] == ["built"]
    assert not is_running(child)
    assert set(states(registry).values()) == {"current"}
    assert not (log.parent / "work").exists()
    assert (tag_folder(registry, "slow:1") / "manifest.json").exists()
    run(*BUILDER, "check", "-s", str(registry))


@pytest.mark.usefixtures("buildah")
def test_layers_in_another_registry(registry: Path, tmp_path: Path, docker_registry: str) -> None:
    place = f"docker://{docker_registry}/of/layers"
    text = f"registry: {{blobs: '{place}', commit_below: 0}}\n"
    (registry / "_config.yml").write_text(text)
    folder = recipe(registry, "debian/hello:2", {"Containerfile": "FROM scratch\nCOPY files/ /\n"})
    debian_package("hello", folder / "files")
    assert [item["state"] for item in recipes(registry, "build")] == ["built"]
    layer = json.loads((folder / "manifest.json").read_bytes())["layers"][0]["digest"]
    assert not list(registry.rglob(layer.partition(":")[2]))
    tags = json.loads(run("skopeo", "list-tags", "--tls-verify=false", place))["Tags"]
    assert tags == [f"layer-{layer.replace(':', '-')}"]
    with serving(registry) as host:
        _, files = pulled(host, "debian/hello:2", tmp_path / "pulled")
    assert files["usr/bin/hello"] == Path("/usr/bin/hello").read_bytes()
