"""The programs that build recipes, and which of them builds what.

An engine gets a job and says which commands to run; what they leave in the
job's output folder is found by `result`. Paths are relative to the context,
because these programs split some of their arguments at colons and commas.
Sources: buildah-build(1), podman-build(1), `docker buildx build`, apptainer's
and SingularityCE's `build`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from typing import Protocol

from builder.errors import ContentError, UsageError
from builder.recipes.model import Job

_DOCKERFILES = ("Dockerfile", "Containerfile")
_INTO = "../output"


class Engine(Protocol):
    """A way to build."""

    @property
    def name(self) -> str:
        """What users call it."""

    def suits(self, recipe: str) -> bool:
        """Tell whether it builds recipes of this file name."""

    def commands(self, job: Job) -> list[list[str]]:
        """Return the commands to run in the job's context, one after the other."""


class Script:
    """The user's own `build.sh`."""

    name = "build.sh"

    def suits(self, recipe: str) -> bool:
        """Tell whether it is `build.sh`."""
        return recipe == self.name

    def commands(self, job: Job) -> list[list[str]]:
        """Run it; it writes to `$BUILDER_OUTPUT`."""
        return [["/bin/sh", "-e", f"./{job.recipe}"]]


class Buildah:
    """buildah, or podman, which takes the same words."""

    def __init__(self, name: str) -> None:
        self.name = name

    def suits(self, recipe: str) -> bool:
        """Tell whether it is a Dockerfile."""
        return recipe in _DOCKERFILES

    def commands(self, job: Job) -> list[list[str]]:
        """Build, write the image to an image layout, and forget it."""
        # A name of its own: two recipes may well make the same image at the same time.
        unique = hashlib.sha256(os.fsencode(job.output)).hexdigest()[:24]
        image = f"localhost/builder-{unique}:latest"
        epoch = [] if job.epoch is None else ["--timestamp", str(job.epoch)]
        # podman keeps an image of every step; two builds that end at once leave those they share.
        options = ["--layers=false", "--format", "oci", "--file", f"./{job.recipe}"]
        build = [self.name, "build", *options, "--tag", image, *epoch, *_labels(job), "."]
        push = [self.name, "push", "--quiet", image, f"oci:{_INTO}/image:{job.tag}"]
        return [build, push, [self.name, "rmi", image]]


class Docker:
    """docker with buildx, which takes the moment from `SOURCE_DATE_EPOCH`."""

    name = "docker"

    def suits(self, recipe: str) -> bool:
        """Tell whether it is a Dockerfile."""
        return recipe in _DOCKERFILES

    def commands(self, job: Job) -> list[list[str]]:
        """Build into an archive of an image layout."""
        target = f"type=oci,dest={_INTO}/image.tar"
        if job.epoch is not None:
            target += ",rewrite-timestamp=true"
        return [
            ["docker", "buildx", "build", "--progress", "plain", "--provenance=false",
             "--file", f"./{job.recipe}", *_labels(job), "--output", target, "."]
        ]  # fmt: skip


class Singularity:
    """apptainer, or singularity, which takes the same words."""

    def __init__(self, name: str) -> None:
        self.name = name

    def suits(self, recipe: str) -> bool:
        """Tell whether it is a definition file."""
        return recipe == "Singularity" or recipe.startswith("Singularity.") or recipe[-4:] == ".def"

    def commands(self, job: Job) -> list[list[str]]:
        """Build a SIF, named as `pull` would; the definition's own %test runs with it."""
        sif = f"{job.name.rpartition('/')[2]}_{job.tag}.sif"
        return [[self.name, "build", f"{_INTO}/{sif}", f"./{job.recipe}"]]


ENGINES: Sequence[Engine] = (
    Script(),
    Buildah("buildah"),
    Buildah("podman"),
    Docker(),
    Singularity("apptainer"),
    Singularity("singularity"),
)
ENGINE_NAMES = tuple(engine.name for engine in ENGINES)


def choose_engine(recipe: str, origin: str, preferred: Sequence[str]) -> Engine:
    """Return the engine for a recipe's file name: the first that suits and is installed.

    `preferred` names engines in order; those of another kind are not asked,
    and empty means all. Raises ContentError naming `origin` when none suits
    or none of those is here.
    """
    suiting = [engine for engine in ENGINES if engine.suits(recipe)]
    if not suiting:
        hint = "name it Dockerfile, Containerfile or Singularity, or say how in build.sh"
        raise ContentError.at(origin, "no engine builds a recipe of this name", hint)
    wanted = [engine for name in preferred for engine in suiting if engine.name == name]
    for engine in wanted or suiting:
        if isinstance(engine, Script) or shutil.which(engine.name):
            return engine
    names = " or ".join(engine.name for engine in wanted or suiting)
    raise ContentError.at(origin, "no installed program can build it", f"install {names}")


def check_engines(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Return engine names that the user wrote, or raise UsageError for an unknown one."""
    found = tuple(names)
    for name in found:
        if name not in ENGINE_NAMES:
            hint = f"known: {', '.join(ENGINE_NAMES)}"
            raise UsageError(f"{where}: {name} is not an engine", hint)
    return found


def result(job: Job) -> str:
    """Return what `open_source` reads of a finished job: the one thing in its output.

    Raises ContentError when there is nothing, or more than one thing.
    """
    names = sorted(path.name for path in job.output.iterdir() if not path.name.startswith("."))
    if "oci-layout" in names:
        return f"oci:{job.output}"
    if len(names) != 1:
        what = f"left {', '.join(names)}" if names else "left nothing"
        hint = "leave one image layout, archive, SIF or file in $BUILDER_OUTPUT"
        raise ContentError.at(f"{job.name}:{job.tag}", f"the build {what}", hint)
    path = job.output / names[0]
    if path.suffix == ".sif":
        return f"sif:{path}"
    if path.is_dir():
        return f"oci:{path}"
    return str(path) if path.suffix == ".tar" else f"file:{path}"


def _labels(job: Job) -> list[str]:
    return [part for key, value in job.labels.items() for part in ("--label", f"{key}={value}")]
