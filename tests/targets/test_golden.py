"""The whole tree for each host, against the one that was looked at.

A line is a path; behind it stand the size and the sha256, cut, of files whose bytes are a contract:
the endpoints, their JSON, and a host's rules. After a change that is meant, `GOLDEN=write` writes
the trees anew: look at what git says has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.targets import target_names
from tests.conftest import write_tree
from tests.images import Image, as_json, descriptor

GOLDEN = Path(__file__).parent / "golden"
_ASSET = re.compile(r"(assets/.+)\.[0-9a-f]{10}(\.[a-z0-9]+)$")  # the theme's, named by their bytes
_LOOKS = re.compile(r"\.html$|^assets/|^search|\.(?:xml|svg)$|^llms\.txt$|openapi\.json$")


@pytest.fixture
def small(registry: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with one of each: index, artifact, referrer, recipe, namespace, document."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    children = Image.holding(b"one"), Image.holding(b"two")
    index = Image.index(*children)
    collection = registry / "collections/team/tool"
    for tag in ("1.0", "latest"):
        index.tag(collection, tag)
    refer(collection, index)
    write_tree(registry, {
        "_config.yml": "title: Small\nurl: https://registry.example.org\n",
        "about.md": "---\ntitle: About\nredirect_from: [/old/]\n---\n# About\n",
        "collections/team/README.md": "# The team\n",
        "collections/team/tool/README.md": "---\nlicense: MIT\n---\n# Tool\n",
        "collections/team/later/manifests/1.0/Dockerfile": "FROM scratch\n",
    })  # fmt: skip
    return registry


def refer(collection: Path, subject: Image) -> None:
    """Attach a few bytes to an image."""
    document = json.loads(Image.holding(b"signed").manifest)
    document["artifactType"] = "application/vnd.example.signature"
    document["subject"] = descriptor(subject.media_type, subject.manifest)
    signature = Image(as_json(document), Image.holding(b"signed").blobs)
    signature.blobs[signature.digest] = signature.manifest
    signature.store(collection)


def lines_of(root: Path, shown: str) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        name = f"{shown}{path.relative_to(root)}"
        if path.is_dir() or path.name == ".builder-site":
            continue
        if path.is_symlink():
            yield f"{name} -> {path.readlink()}"
        elif _LOOKS.search(name):
            yield _ASSET.sub(r"\1.*\2", name)
        else:
            data = path.read_bytes()
            yield f"{name} {len(data)} {hashlib.sha256(data).hexdigest()[:12]}"


@pytest.mark.parametrize("target", target_names())
def test_the_tree_of_a_host(small: Path, build: Callable[..., int], target: str) -> None:
    assert build("-q", "-t", target) == 0
    beside = small / f"_site.{target}"
    lines = [*lines_of(small / "_site", ""), *lines_of(beside, f"../_site.{target}/")]
    file = GOLDEN / f"{target}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
    assert lines == file.read_text().splitlines()
