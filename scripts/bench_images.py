"""How fast do images come in and go out? Prints ratios to skopeo; asserts nothing.

In one run, on one disk: `add oci:` of ten layers against `skopeo copy oci:
oci:`; `add docker://` and `push` against skopeo's copy from and to the same
docker-registry on loopback. Each pair is run in turns, and the medians are
compared. Layers are random bytes, which nothing can compress.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

from measure import BUILDER, Cost, measured
from servers import docker_registry

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
NAME = "org.opencontainers.image.ref.name"


def write_layout(folder: Path, layers: int, size: int) -> None:
    """Write an image of random layers, `size` bytes each, as an image layout."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        encoded = hashlib.sha256(data).hexdigest()
        (blobs / encoded).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(data)}

    def layer() -> dict[str, object]:
        # In pieces: a child's peak memory is never less than that of who started it.
        total, fresh = hashlib.sha256(), blobs / "fresh"
        with fresh.open("wb") as file:
            for _ in range(size >> 20):
                piece = os.urandom(1 << 20)
                total.update(piece)
                file.write(piece)
        encoded = total.hexdigest()
        fresh.rename(blobs / encoded)
        return {"mediaType": LAYER, "digest": f"sha256:{encoded}", "size": size}

    made = [layer() for _ in range(layers)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in made]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": put(json.dumps(config).encode(), CONFIG),
        "layers": made,
    }
    entry = put(json.dumps(manifest).encode(), MANIFEST) | {"annotations": {NAME: "latest"}}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def compare(
    what: str, ours: Callable[[int], list[str]], theirs: Callable[[int], list[str]], turns: int
) -> None:
    """Run two commands in turns and print their medians and the ratio."""
    costs: dict[str, list[Cost]] = {"builder": [], "skopeo": []}
    for turn in range(turns):
        for name, command in (("skopeo", theirs), ("builder", ours)):
            os.sync()
            costs[name].append(measured(command(turn)))
    print(f"\n{what}")
    middle = {}
    for name, found in costs.items():
        wall, cpu = (median(item[number] for item in found) for number in (0, 1))
        middle[name] = (wall, cpu)
        peak = max(cost.peak for cost in found)
        print(f"  {name:8} wall {wall:7.2f} s  cpu {cpu:7.2f} s  peak {peak:5.0f} MB")
    (wall, cpu), (their_wall, their_cpu) = middle["builder"], middle["skopeo"]
    print(f"  builder / skopeo   wall {wall / their_wall:.2f}  cpu {cpu / their_cpu:.2f}")


class Bench:
    """The commands that are compared, below one folder."""

    def __init__(self, work: Path, host: str) -> None:
        self._work = work
        self._host = host
        self._image = f"oci:{work}/image:latest"
        self._registry = work / "ours"
        self._registry.mkdir()
        (self._registry / "_config.yml").write_text("title: Bench\n")

    def forget(self) -> None:
        """Take back what was added and copied."""
        for name in ("_blobs", "collections", ".builder-cache"):
            shutil.rmtree(self._registry / name, ignore_errors=True)
        shutil.rmtree(self._work / "theirs", ignore_errors=True)

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
        shutil.rmtree(self._work / "registry", ignore_errors=True)

    def _builder(self, name: str, *arguments: str) -> list[str]:
        return [*BUILDER, name, "-s", str(self._registry), *arguments]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--size", type=int, default=100, help="MiB a layer")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    missing = [name for name in ("skopeo", "docker-registry") if shutil.which(name) is None]
    if missing:
        sys.exit(f"bench: not installed: {' '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work = Path(name)
        write_layout(work / "image", arguments.layers, arguments.size << 20)
        size = f"{arguments.layers} layers of {arguments.size} MiB"
        with docker_registry(work) as host:
            bench = Bench(work, host)
            turns = arguments.turns
            compare(f"in from an image layout, {size}", bench.add, bench.copy, turns)
            subprocess.run(bench.copy_into(0), check=True)  # what is fetched
            compare(f"in from docker-registry, {size}", bench.fetch, bench.copy_out_of, turns)
            subprocess.run(bench.add(0), check=True, stdout=subprocess.DEVNULL)
            compare(f"out into docker-registry, {size}", bench.push, bench.copy_into, turns)


if __name__ == "__main__":
    main()
