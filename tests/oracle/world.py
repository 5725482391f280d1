"""The registry that is edited: what is in it, and how things are put there."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

from builder.cli import run
from builder.layers.listing import listing_path
from builder.layers.record import make_listing
from builder.oci.descriptor import Descriptor
from builder.oci.digest import Digest
from tests.images import LAYER, Image, sha256

MADE = (".builder-cache", "_site")  # what a build makes, apart from `_site.TARGET`
PARTS = ("a", "b", "one", "two", "img", "lists", "side")
WORDS = ("red", "green", "blue", "fast", "slow", "small", "image", "tool", "data", "of", "for")


class World:
    """A registry in a folder; `rng` decides what is done to it next."""

    def __init__(self, root: Path, app: Path) -> None:
        self.root = root
        self.app = app
        self.rng = Random(0)

    def some(self, items: list[Any]) -> Any:
        """Return one of them, or None of nothing."""
        return self.rng.choice(items) if items else None

    def text(self, most: int = 6) -> str:
        return " ".join(self.rng.choice(WORDS) for _ in range(self.rng.randint(1, most)))

    def path(self, inner: str) -> Path:
        return self.root / inner

    def write(self, inner: str, content: str | bytes) -> str:
        """Write a file, in place of whatever is in its way."""
        file = self.root / inner
        for above in reversed(file.parents):
            if above.is_file():
                above.unlink()
        if file.is_dir():
            shutil.rmtree(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return f"write {inner}"

    def remove(self, inner: str) -> str:
        file = self.root / inner
        if file.is_dir():
            shutil.rmtree(file)
        elif file.exists():
            file.unlink()
        return f"remove {inner}"

    def move(self, old: str, new: str) -> str:
        if self.path(new).exists() or f"{new}/".startswith(f"{old}/"):
            return f"cannot move {old} to {new}"
        self.path(new).parent.mkdir(parents=True, exist_ok=True)
        self.path(old).rename(self.path(new))
        return f"move {old} to {new}"

    def found(self, pattern: str) -> list[str]:
        """Return the paths of what is there by a pattern of names, in order."""
        items = (str(path.relative_to(self.root)) for path in self.root.glob(pattern))
        return sorted(item for item in items if not item.startswith(MADE))

    def files(self, pattern: str) -> list[str]:
        return [item for item in self.found(pattern) if self.path(item).is_file()]

    def collections(self) -> list[str]:
        """Return the folders of collections, below the registry's."""
        marks = self.found("collections/**/manifests") + self.files("collections/**/README.md")
        places = {str(Path(mark).parent) for mark in marks if "/manifests/" not in mark}
        return sorted(places - {"collections"})

    def new_name(self) -> str:
        parts = [self.rng.choice(PARTS) for _ in range(self.rng.choice((1, 2, 2, 2, 3)))]
        return f"collections/{'/'.join(parts)}"

    def image(self, **more: Any) -> Image:
        base = [f"base {n}" for n in range(self.rng.randint(0, 3))]
        top = "base 0" if self.rng.random() < 0.2 else f"{self.text()} {self.rng.randint(0, 3)}"
        one = Image.of(base.pop() if base and self.rng.random() < 0.3 else top, below=base, **more)
        if self.rng.random() < 0.2:
            other = Image.of(self.text(), architecture="arm64")
            return Image.index(one, other)
        return one

    def config(self) -> dict[str, Any]:
        """Return the configuration; it is kept as JSON, which is YAML too."""
        try:
            found: dict[str, Any] = json.loads(self.path("_config.yml").read_text())
        except (OSError, ValueError):
            found = {"title": "Registry"}
        return found

    def set_config(self, config: dict[str, Any]) -> None:
        self.write("_config.yml", json.dumps(config, indent=1))

    def save(self, into: Path) -> None:
        """Keep a copy of all that a repository holds."""
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(self.root, into, ignore=_made)

    def checkout(self, saved: Path) -> None:
        """Put a copy in place of what there is, as git does: equal files are left alone."""
        have, want = (_tree(root) for root in (self.root, saved))
        for inner in sorted(have.keys() - want.keys(), reverse=True):
            self.remove(inner)
        for inner in sorted(want):
            if have.get(inner) != want[inner]:
                self.write(inner, want[inner])
        for inner in reversed(self.found("**/*")):
            folder = self.path(inner)
            if folder.is_dir() and not any(folder.iterdir()) and not (saved / inner).is_dir():
                folder.rmdir()


def _made(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name in MADE or name.startswith("_site.")]


def _tree(root: Path) -> dict[str, bytes]:
    found = {}
    for folder, folders, files in os.walk(root):
        if folder == str(root):
            folders[:] = [name for name in folders if name not in _made("", folders)]
        for name in files:
            file = Path(folder, name)
            found[str(file.relative_to(root))] = file.read_bytes()
    return found


def make_app(folder: Path) -> Path:
    """Return a collection that holds a web app, made once for all."""
    pages = folder / "pages"
    pages.mkdir(parents=True)
    (pages / "index.html").write_text("<!doctype html><title>App</title>")
    (folder / "registry/collections").mkdir(parents=True)
    code = run(["bundle", str(pages), "web/app:v1", "-q", "-s", str(folder / "registry")])
    assert code == 0
    return folder / "registry/collections/web/app"


def write_listing(world: World, collection: str) -> str:
    """Write the listing of one of a collection's layers."""
    layers = [item for item in world.files(f"{collection}/blobs/sha256/*")
              if world.path(item).read_bytes()[:2] == b"\x1f\x8b"]  # fmt: skip
    if not layers:
        return "no layer"
    inner = world.some(layers)
    data = world.path(inner).read_bytes()
    descriptor = Descriptor(LAYER, Digest(sha256(data)), len(data))
    out = io.BytesIO()
    make_listing(world.path(inner), descriptor, inner, out)
    return world.write(f"{collection}/{listing_path(descriptor.digest)}", out.getvalue())
