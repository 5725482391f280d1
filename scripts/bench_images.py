"""How fast images come in and go out, beside skopeo on the same disk and the same server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from generate import SETTINGS
from image_layout import write_layout
from measure import BUILDER, Cost, Rows, in_turns, measured, need, row
from plan import Plan, remove
from servers import docker_registry

_LAYERS, _MEBIBYTES = 10, 100  # of a full run
_Command = Callable[[int], list[str]]


def measure(plan: Plan) -> Rows:
    """Return what `add` and `push` cost, and their shares of skopeo's copies."""
    need("skopeo", "docker-registry")
    work = plan.fresh("images")
    work.mkdir()
    size = plan.scaled(_MEBIBYTES)
    write_layout(work / "image", _LAYERS, size << 20)
    with docker_registry(work) as host:
        pairs = _Pairs(work, host)
        rows = {"in, image layout": _beside(pairs.add, pairs.copy, plan.runs)}
        measured(pairs.copy_into(0))  # what is fetched
        rows["in, docker-registry"] = _beside(pairs.fetch, pairs.copy_out_of, plan.runs)
        measured(pairs.add(0))
        rows["out, docker-registry"] = _beside(pairs.push, pairs.copy_into, plan.runs)
    remove(work)
    return {f"{what}, {_LAYERS} x {size} MiB": figures for what, figures in rows.items()}


def _beside(ours: _Command, theirs: _Command, runs: int) -> dict[str, float]:
    found = in_turns({"skopeo": _synced(theirs), "builder": _synced(ours)}, runs)
    return row(found["builder"]["all"], skopeo=found["skopeo"]["all"])


def _synced(command: _Command) -> Callable[[int], Iterator[tuple[str, Cost]]]:
    def run(turn: int) -> Iterator[tuple[str, Cost]]:
        prepared = command(turn)
        os.sync()
        yield "all", measured(prepared)

    return run


class _Pairs:
    """The commands that are compared, below one folder."""

    def __init__(self, work: Path, host: str) -> None:
        self._work = work
        self._host = host
        self._image = f"oci:{work}/image:latest"
        self._registry = work / "ours"
        self._registry.mkdir()
        (self._registry / "_config.yml").write_text(SETTINGS)

    def forget(self) -> None:
        """Take back what was added and copied."""
        names = ("_blobs", "collections", ".builder-cache")
        remove(self._work / "theirs", *(self._registry / name for name in names))

    def add(self, _: int) -> list[str]:
        """Return the command that adds from the image layout."""
        self.forget()
        return self._builder("add", "-q", self._image, "x/image:latest")

    def copy(self, _: int) -> list[str]:
        """Return skopeo's copy of the image layout."""
        self.forget()
        return ["skopeo", "copy", "-q", self._image, f"oci:{self._work}/theirs:latest"]

    def fetch(self, _: int) -> list[str]:
        """Return the command that adds from the registry."""
        self.forget()
        return self._builder("add", "-q", f"docker://{self._host}/s0:latest", "x/image:latest")

    def copy_out_of(self, _: int) -> list[str]:
        """Return skopeo's copy out of the registry."""
        self.forget()
        source = f"docker://{self._host}/s0:latest"
        target = f"oci:{self._work}/theirs:latest"
        return ["skopeo", "copy", "-q", "--src-tls-verify=false", source, target]

    def push(self, turn: int) -> list[str]:
        """Return the command that pushes what was added, into an empty registry."""
        self._empty_registry()
        return self._builder(
            "push", "-q", "x/image:latest", f"docker://{self._host}/b{turn}:latest"
        )

    def copy_into(self, turn: int) -> list[str]:
        """Return skopeo's copy into an empty registry."""
        self._empty_registry()
        target = f"docker://{self._host}/s{turn}:latest"
        return ["skopeo", "copy", "-q", "--dest-tls-verify=false", self._image, target]

    def _empty_registry(self) -> None:
        """Remove all content; the server looks at its disk on every request."""
        remove(self._work / "registry")

    def _builder(self, name: str, *arguments: str) -> list[str]:
        return [*BUILDER, name, "-s", str(self._registry), *arguments]
