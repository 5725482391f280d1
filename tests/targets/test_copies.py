"""One file answers for a manifest: under its tags, as a blob, and to people, where rules can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from builder.output import Capabilities, Data, Output
from builder.targets.base import adapt
from tests.conftest import read_tree
from tests.hosts import run_nginx
from tests.images import Image

NAME = "vanessa/greeting"
Build = Callable[..., int]


@pytest.fixture
def two_tags(registry: Path) -> Image:
    """An image under two tags, without anything that refers to it."""
    image = Image.of("twice")
    collection = registry / "collections" / NAME
    image.tag(collection, "1.0")
    image.tag(collection, "latest")
    return image


@pytest.mark.parametrize(("copies", "kept"), [(True, "v2/a/manifests/x"), (False, "")])
def test_a_copy_is_a_file_of_its_own_unless_the_host_has_rules(copies: bool, kept: str) -> None:  # noqa: FBT001
    output = Output("a/x", "text/plain", Data(b"x"), copy_of="v2/a/manifests/x")
    host = Capabilities(name="host", title="host", copies=copies)
    assert [item.copy_of for item in adapt(output, host)] == [kept]


def test_the_tree_for_nginx_has_one_file_for_a_manifest(
    registry: Path, two_tags: Image, build: Build
) -> None:
    assert build("-t", "nginx") == 0
    tree = read_tree(registry / "_site")
    held = [path for path, data in tree.items() if data == two_tags.manifest]
    assert held == [f"v2/{NAME}/manifests/{two_tags.digest}"]
    assert build("-t", "plain") == 0
    tree = read_tree(registry / "_site")
    held = [path for path, data in tree.items() if data == two_tags.manifest]
    assert {f"v2/{NAME}/manifests/1.0", f"v2/{NAME}/blobs/{two_tags.digest}"} <= set(held)


@pytest.mark.e2e
def test_nginx_answers_from_the_one_file(
    registry: Path, two_tags: Image, tmp_path_factory: pytest.TempPathFactory
) -> None:
    digest, kind = two_tags.digest, "application/vnd.oci.image.manifest.v1+json"
    brief, long = (
        "public, max-age=60, no-transform",
        "public, max-age=31536000, immutable, no-transform",
    )
    answers = {
        f"v2/{NAME}/manifests/1.0": (kind, brief, digest),
        f"v2/{NAME}/manifests/latest": (kind, brief, digest),
        f"v2/{NAME}/manifests/{digest}": (kind, long, digest),
        f"v2/{NAME}/blobs/{digest}": ("application/octet-stream", long, digest),
        f"{NAME}/manifests/1.0": ("application/json", "no-cache", None),
        f"{NAME}/manifests/latest/": ("application/json", "no-cache", None),
        f"{NAME}/manifests/{digest}/index.json": ("application/json", "no-cache", None),
    }
    with run_nginx(registry, tmp_path_factory.mktemp("site")) as host:
        for path, (media_type, cache, held) in answers.items():
            found = requests.get(f"http://{host}/{path}", timeout=30)
            assert (path, found.status_code, found.content) == (path, 200, two_tags.manifest)
            shown = found.headers
            assert (path, shown["Content-Type"]) == (path, media_type)
            assert shown["Cache-Control"] == cache
            assert shown.get("Docker-Content-Digest") == held
        tags = requests.get(f"http://{host}/{NAME}/tags/", timeout=30)
        assert tags.json() == {"name": NAME, "tags": ["1.0", "latest"]}
        missing = (f"v2/{NAME}/manifests/LATEST", f"{NAME}/manifests/LATEST", "none/manifests/1.0")
        for path in missing:
            assert requests.get(f"http://{host}/{path}", timeout=30).status_code == 404
