"""Which program builds which recipe, and how it is asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import ContentError
from builder.recipes.engines import ENGINES, choose_engine, result
from builder.recipes.model import Job
from tests.recipes.conftest import Command, recipe


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = Job("a/hello", "1.0", "Recipe", tmp_path / "context", tmp_path / "output")
    job.output.mkdir()
    return job


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("here", "preferred", "recipe_name", "chosen"),
    [
        ("podman docker", [], "Containerfile", "podman"),
        ("podman docker buildah", [], "Dockerfile", "buildah"),
        ("podman docker", ["docker", "podman"], "Dockerfile", "docker"),
        ("podman", ["docker", "podman"], "Dockerfile", "podman"),
        ("podman", ["apptainer"], "Dockerfile", "podman"),
        ("apptainer singularity", [], "Singularity.1.0", "apptainer"),
        ("apptainer singularity", ["docker", "singularity"], "hello.def", "singularity"),
        ("", ["docker"], "build.sh", "build.sh"),
    ],
)
def test_the_first_that_suits_and_is_here(
    installed: Path, here: str, preferred: list[str], recipe_name: str, chosen: str
) -> None:
    install(installed, *here.split())
    assert choose_engine(recipe_name, "x", preferred).name == chosen


@pytest.mark.parametrize(
    ("here", "preferred", "recipe_name", "hint"),
    [
        ("apptainer", [], "Dockerfile", "install buildah or podman or docker"),
        ("podman", ["docker"], "Dockerfile", "install docker"),
        ("podman", [], "recipe.txt", "name it Dockerfile"),
    ],
)
def test_nothing_here_builds_it(
    installed: Path, here: str, preferred: list[str], recipe_name: str, hint: str
) -> None:
    install(installed, *here.split())
    with pytest.raises(ContentError, match=hint):
        choose_engine(recipe_name, "x", preferred)


def test_an_unknown_engine_is_refused(registry: Path, recipes: Command) -> None:
    recipe(registry, "a:1")
    assert "kaniko is not an engine" in recipes("build", "--engine", "kaniko", code=2)
    (registry / "_config.yml").write_text("registry: {engines: [docker, kaniko]}\n")
    assert "registry.engines in the configuration: kaniko" in recipes("build", code=2)


def test_each_is_told_the_moment_only_where_it_is_set(job: Job) -> None:
    for engine in ENGINES[1:4]:
        words = " ".join(word for command in engine.commands(job) for word in command)
        assert "timestamp" not in words
    fixed = Job("a/hello", "1.0", "Recipe", job.context, job.output, 7)
    assert "--timestamp 7" in " ".join(ENGINES[1].commands(fixed)[0])
    assert "rewrite-timestamp=true" in " ".join(ENGINES[3].commands(fixed)[0])


def test_no_file_name_is_taken_for_a_flag(tmp_path: Path) -> None:
    job = Job("a", "1", "--force.def", tmp_path / "context", tmp_path / "output")
    for engine in ENGINES:
        assert "--force.def" not in [word for line in engine.commands(job) for word in line]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["oci-layout", "index.json", "blobs"], "oci:{}"),
        (["image"], "file:{}/image"),
        (["image.tar", ".cache"], "{}/image.tar"),
        (["hello_1.0.sif"], "sif:{}/hello_1.0.sif"),
        (["data.csv"], "file:{}/data.csv"),
    ],
)
def test_the_one_thing_that_was_left(job: Job, names: list[str], expected: str) -> None:
    for name in names:
        (job.output / name).touch()
    assert result(job) == expected.format(job.output)


def test_a_folder_that_was_left(job: Job) -> None:
    (job.output / "image").mkdir()
    assert result(job) == f"oci:{job.output}/image"


@pytest.mark.parametrize(("names", "said"), [([], "left nothing"), (["a", "b"], "left a, b")])
def test_nothing_or_several_things(job: Job, names: list[str], said: str) -> None:
    for name in names:
        (job.output / name).touch()
    with pytest.raises(ContentError, match=said):
        result(job)
