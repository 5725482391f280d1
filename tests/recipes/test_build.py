"""Building recipes: what the registry holds afterwards, when it goes well and when not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from builder.registry.recipe import copy_inputs
from builder.storage.lock import lock
from tests.conftest import read_tree
from tests.recipes.conftest import HELLO, Command, recipe

ROOT = Path(__file__).parent.parent.parent
States = Callable[[], dict[str, str]]


def is_running(number: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def content(registry: Path) -> dict[str, bytes]:
    return read_tree(registry / "collections")


def test_a_build_writes_the_tag(
    registry: Path, recipes: Command, build: Callable[..., int]
) -> None:
    folder = recipe(registry, "a/b:1")
    (folder / "README.md").write_text("---\ndescription: Kept words\n---\nNotes.\n")
    [outcome] = recipes("build")
    assert outcome["state"] == "built"
    assert outcome["engine"] == "build.sh"
    text = (folder / "README.md").read_text()
    assert "description: Kept words\n" in text
    assert "\ninputs: sha256:" in text
    assert "\ncreated: 20" in text
    assert text.endswith("---\nNotes.\n")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["layers"][0]["annotations"]["org.opencontainers.image.title"] == "hello.txt"
    assert build() == 0
    published = json.loads((registry / "_site/v2/a/b/tags/list").read_bytes())
    assert published == {"name": "a/b", "tags": ["1"]}
    assert recipes("build") == []


def test_the_old_image_is_served_until_the_new_one_is_there(
    registry: Path, recipes: Command, build: Callable[..., int], states: States
) -> None:
    folder = recipe(registry, "a/b:1")
    other = recipe(registry, "a/b:2")
    recipes("build")
    before, untouched = (folder / "manifest.json").read_bytes(), read_tree(other)
    (folder / "README.md").unlink()
    (folder / "build.sh").write_text(HELLO.replace("echo hello", "echo changed"))
    assert states() == {"a/b:1": "pending", "a/b:2": "current"}
    assert build() == 0
    published = registry / "_site/v2/a/b/manifests/1"
    assert published.read_bytes() == before
    assert [item["tag"] for item in recipes("build")] == ["1"]
    assert build() == 0
    assert published.read_bytes() == (folder / "manifest.json").read_bytes() != before
    assert read_tree(other) == untouched


def test_pages_tell_the_state(registry: Path, recipes: Command, build: Callable[..., int]) -> None:
    folders = {tag: recipe(registry, f"a/b:{tag}") for tag in ("asked", "changed", "done")}
    recipes("build")
    recipe(registry, "a/b:new")
    (folders["asked"] / "README.md").unlink()
    (folders["changed"] / "data").write_text("more")
    assert build() == 0
    words = {"asked": "A rebuild of this image was requested", "changed": "a file it uses",
             "new": "Not built yet"}  # fmt: skip
    for tag in ("asked", "changed", "done", "new"):
        page = (registry / "_site/a/b/tags" / tag / "index.html").read_text()
        assert [other for other, said in words.items() if said in page] == [tag] * (tag in words)
    page = (registry / "_site/a/b/index.html").read_text()
    assert (page.count("to be rebuilt"), page.count("not built yet")) == (2, 1)


def test_a_failure_stops_no_other(registry: Path, recipes: Command, states: States) -> None:
    bad = recipe(registry, "bad:1", {"build.sh": "echo to the log; echo why >&2; exit 3"})
    recipe(registry, "good:1")
    before = read_tree(bad)
    failed, built = recipes("build", "-j", "1", code=1)
    assert (failed["state"], built["state"]) == ("failed", "built")
    assert failed["why"] == (
        "sh ended with exit code 3\n  | $ /bin/sh -e ./build.sh\n  | to the log\n  | why"
    )
    assert (registry / failed["log"]).read_text().endswith("to the log\nwhy\n")
    assert states() == {"bad:1": "pending", "good:1": "current"}
    assert read_tree(bad) == before


def test_the_summary(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe(registry, "bad:1", {"build.sh": "printf '::set-output name=a::b\\n'; false"})
    recipe(registry, "good:1")
    assert run(["recipes", "build", "-j", "1", "-s", str(registry)]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("failed    bad:1\nbuilt     good:1 sha256:")
    assert captured.out.endswith("\n1 of 2 failed\n")
    assert "| ::set-output" in captured.err
    assert "the whole log: .builder-cache/recipes/bad+1/log" in captured.err
    assert not any(line.startswith("::") for line in captured.err.splitlines())


def test_in_github_actions_a_failure_marks_its_recipe(
    registry: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    recipe(registry, "bad:1", {"build.sh": "exit 7"})
    assert run(["recipes", "build", "-s", str(registry)]) == 1
    place = "::error file=collections/bad/manifests/1/build.sh,line=1::"
    assert f"{place}the build sh ended with exit code 7\n" in capsys.readouterr().err


def test_a_build_that_takes_too_long_is_ended(registry: Path, recipes: Command) -> None:
    recipe(registry, "slow:1", {"build.sh": "trap '' TERM; echo $$; while :; do sleep 1; done"})
    [outcome] = recipes("build", "--timeout", "1", code=1)
    assert outcome["why"].startswith("took longer than 1 seconds")
    number = int((registry / outcome["log"]).read_text().split()[-1])
    assert not is_running(number)


@pytest.mark.parametrize("how", ["", "setsid "])
def test_children_that_stay_behind_are_ended(registry: Path, recipes: Command, how: str) -> None:
    script = f"{how}sh -c 'echo $$ > child; exec sleep 600' &\nwhile [ ! -s child ]; do :; done\n"
    recipe(registry, "a:1", {"build.sh": script + 'mv child "$BUILDER_OUTPUT/child.txt"'})
    [outcome] = recipes("build")
    assert outcome["state"] == "built"
    [blob] = [data for path, data in content(registry).items() if data.strip().isdigit()]
    assert not is_running(int(blob))


@pytest.mark.parametrize("target", ["/etc/passwd", "/etc", "build.sh"])
def test_a_link_in_the_context_is_refused(registry: Path, recipes: Command, target: str) -> None:
    folder = recipe(registry, "a:1", {"build.sh": 'cp -rL link "$BUILDER_OUTPUT"', "data/x": ""})
    (folder / "data/link").symlink_to(target)
    [outcome] = recipes("build", code=1)
    assert "data/link" in outcome["why"]
    assert not (folder / "manifest.json").exists()


def test_no_secret_reaches_a_recipe(
    registry: Path, recipes: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "CI_JOB_TOKEN", "SSH_AUTH_SOCK", "MINE",
               "BUILDAH_REGISTRY_PASSWORD", "APPTAINER_DOCKER_USERNAME", "BUILDER_BUILD_URL",
               "REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_AUTH")  # fmt: skip
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    recipe(registry, "a:1", {"build.sh": 'env > "$BUILDER_OUTPUT/env.txt"'})
    recipes("build")
    [blob] = [text for text in content(registry).values() if b"BUILDER_NAME=a\n" in text]
    names = {line.partition("=")[0] for line in blob.decode().splitlines()}
    assert not names & set(secrets)
    assert {"PATH", "HOME", "BUILDAH_ISOLATION", "BUILDER_OUTPUT", "BUILDER_TAG"} <= names


SPY = """
for file in /proc/[0-9]*/environ /proc/$PPID/environ; do
  tr '\\0' '\\n' < "$file" || true
done > "$BUILDER_OUTPUT/seen.txt" 2> /dev/null
readlink "/proc/$PPID/cwd" > /dev/null && echo opened >> "$BUILDER_OUTPUT/seen.txt"
echo "$SOURCE_DATE_EPOCH" >> "$BUILDER_OUTPUT/seen.txt"
"""


def test_no_secret_can_be_read_from_the_process_that_runs_recipes(registry: Path) -> None:
    """Even as root, as long as it may not trace other processes."""
    recipe(registry, "a/b:1", {"build.sh": SPY})
    secret = f"secret-{os.urandom(8).hex()}"
    environment = {**os.environ, "GITHUB_TOKEN": secret, "AWS_SECRET_ACCESS_KEY": secret,
                   "BUILDER_RECIPES_BUILD_SECONDS": "77", "SOURCE_DATE_EPOCH": "4000"}  # fmt: skip
    done = subprocess.run(
        ["setpriv", "--inh-caps=-sys_ptrace", "--bounding-set=-sys_ptrace", "--",
         sys.executable, "-m", "builder", "recipes", "build", "-s", str(registry)],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (layer,) = [path for path in (registry / "collections/a/b/blobs/sha256").iterdir()
                if b"4000" in path.read_bytes() and b"PATH=" in path.read_bytes()]  # fmt: skip
    seen = layer.read_text(errors="replace")
    assert secret not in seen
    assert "opened" not in seen.splitlines()


def test_flags_in_the_environment_still_count(registry: Path) -> None:
    recipe(registry, "a/b:1", {"build.sh": "sleep 60"})
    environment = {**os.environ, "BUILDER_RECIPES_BUILD_SECONDS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "builder", "recipes", "build", "-s", str(registry)],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "took longer than 1 seconds" in done.stderr


def test_the_smoke_test_decides(registry: Path, recipes: Command) -> None:
    check = 'grep -q good "${BUILDER_IMAGE#file:}"'
    good = recipe(registry, "good:1", {"build.sh": 'echo good > "$BUILDER_OUTPUT/x"'})
    bad = recipe(registry, "bad:1", {"build.sh": 'echo bad > "$BUILDER_OUTPUT/x"'})
    for folder in (good, bad):
        (folder / "test.sh").write_text(check)
    found = {item["name"]: item["state"] for item in recipes("build", code=1)}
    assert found == {"good": "built", "bad": "failed"}
    assert not (bad / "manifest.json").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("true", "the build left nothing"),
        ('touch "$BUILDER_OUTPUT/a" "$BUILDER_OUTPUT/b"', "the build left a, b"),
        ('echo no > "$BUILDER_OUTPUT/a.tar"', "is of no type known here"),
        ('echo no > "$BUILDER_OUTPUT/a.sif"', "is not a SIF"),
        ('ln -s /etc/passwd "$BUILDER_OUTPUT/a"', "a symbolic link"),
        ('mkfifo "$BUILDER_OUTPUT/a"', "not a regular file"),
        ('rm -r "$BUILDER_OUTPUT"', "No such file"),
    ],
)
def test_a_result_that_is_none(registry: Path, recipes: Command, script: str, said: str) -> None:
    folder = recipe(registry, "a:1", {"build.sh": script})
    [outcome] = recipes("build", code=1)
    assert said in outcome["why"]
    assert list(read_tree(folder)) == ["build.sh"]


def test_a_build_cannot_write_into_the_registry_by_its_folder(
    registry: Path, recipes: Command
) -> None:
    folder = recipe(registry, "a:1", {"build.sh": HELLO + "echo x > build.sh; touch more"})
    recipes("build")
    assert (folder / "build.sh").read_text() == HELLO + "echo x > build.sh; touch more"
    assert not (folder / "more").exists()


def test_a_recipe_that_changes_while_it_is_built(registry: Path, recipes: Command) -> None:
    folder = recipe(registry, "a:1")
    (folder / "build.sh").write_text(f"{HELLO}echo '# new' >> {folder}/build.sh\n")
    [outcome] = recipes("build", code=1)
    assert "changed during the build" in outcome["why"]
    assert not (folder / "manifest.json").exists()


def test_an_immutable_tag_is_built_once(registry: Path, recipes: Command, tmp_path: Path) -> None:
    count = tmp_path / "count"
    folder = recipe(registry, "a:1.0", {"build.sh": f"{HELLO}echo >> {count}\n"})
    (registry / "_config.yml").write_text("registry: {immutable: ['1.*']}\n")
    recipes("build")
    (folder / "data").write_text("more")
    [outcome] = recipes("build", code=1)
    assert "immutable" in outcome["why"]
    assert count.read_text() == "\n"
    [outcome] = recipes("build", "--force")
    assert outcome["state"] in {"built", "unchanged"}
    assert count.read_text() == "\n\n"


def test_what_another_run_builds_is_left_to_it(registry: Path, recipes: Command) -> None:
    recipe(registry, "a:1")
    with lock(registry / ".builder-cache/recipes/a+1/lock", "this test"):
        [outcome] = recipes("build")
    assert outcome["state"] == "busy"
    assert "another run is at work on the recipe a:1" in outcome["why"]


def test_a_registry_that_stays_locked_is_a_failure(registry: Path, recipes: Command) -> None:
    recipe(registry, "a:1")
    with lock(registry / ".builder-cache/registry.lock", "this test"):
        [outcome] = recipes("build", "--timeout", "1", code=1)
    assert outcome["state"] == "failed"
    assert "another run is at work on this registry" in outcome["why"]


def test_the_same_moment_gives_the_same_image(
    registry: Path, recipes: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    script = (
        'echo "$SOURCE_DATE_EPOCH $BUILDER_CREATED" > "$BUILDER_OUTPUT/when.txt"\n'
        'test "$(stat -c %Y build.sh data data/x . | sort -u)" = "$SOURCE_DATE_EPOCH"\n'
    )
    folder = recipe(registry, "a:1", {"build.sh": script, "data/x": "x"})
    [first] = recipes("build")
    assert "created: 2023-11-14T22:13:20Z\n" in (folder / "README.md").read_text()
    assert b"1700000000 2023-11-14T22:13:20Z\n" in content(registry).values()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["annotations"] == {"org.opencontainers.image.created": "2023-11-14T22:13:20Z"}
    [second] = recipes("build", "a:1")
    assert (first["state"], second["state"]) == ("built", "unchanged")
    assert first["digest"] == second["digest"]


def test_a_full_disk_is_one_failure(
    registry: Path, recipes: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe(registry, "a:1")
    recipe(registry, "b:1")

    def full(folder: Path, origin: str, into: Path, epoch: int | None) -> None:
        if "/a/" in str(folder):
            raise OSError(28, "No space left on device")
        copy_inputs(folder, origin, into, epoch)

    monkeypatch.setattr("builder.recipes.build.copy_inputs", full)
    failed, other = recipes("build", code=1)
    assert failed["why"].endswith("/recipes/a+1/work: No space left on device")
    assert other["state"] == "built"


def test_many_at_once(registry: Path, recipes: Command, states: States) -> None:
    for number in range(12):
        script = f'sleep 0.0{number % 3}; echo {number} > "$BUILDER_OUTPUT/number.txt"'
        recipe(registry, f"many/r{number}:1", {"build.sh": script})
    assert {item["state"] for item in recipes("build", "-j", "6")} == {"built"}
    assert set(states().values()) == {"current"}
    assert run(["check", "-s", str(registry)]) == 0


def test_a_long_name(registry: Path, recipes: Command) -> None:
    name = "/".join("n" * 80 for _ in range(3))
    recipe(registry, f"{name}:{'t' * 128}")
    assert [item["state"] for item in recipes("build")] == ["built"]


def test_nothing_of_a_build_stays(registry: Path, recipes: Command) -> None:
    recipe(registry, "a:1", {"build.sh": HELLO + "mkdir -p x/y; chmod 0 x"})
    recipes("build")
    assert sorted(os.listdir(registry / ".builder-cache/recipes/a+1")) == ["lock", "log"]


def test_a_build_is_told_of_when_it_begins_and_once_when_it_ended(
    registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recipe(registry, "a:1")
    assert run(["recipes", "build", "-s", str(registry)]) == 0
    said = capsys.readouterr()
    assert said.err == "building  a:1 with build.sh\n"
    assert said.out.startswith("built     a:1 sha256:")
    (folder / "link").symlink_to("/etc/passwd")
    assert run(["recipes", "build", "-s", str(registry)]) == 1
    assert "collections/a/manifests/1/link: " in capsys.readouterr().err
