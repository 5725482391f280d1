"""One file answers for a manifest: under its tags, as a blob, and to people, where rules can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from builder.output import Capabilities, Data, Output
from builder.registry.places import place_of
from builder.targets import target_names
from builder.targets.base import adapt
from builder.verify.places import FolderPlace, read_small
from tests.conftest import read_tree, write_tree
from tests.hosts import HOSTS, ROOT
from tests.images import Image

NAME = "vanessa/greeting"
PENDING = "vanessa/pending"
Build = Callable[..., int]
SERVERS = ("nginx", "caddy", "apache")


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


@pytest.mark.parametrize("target", SERVERS)
def test_the_tree_for_a_server_has_one_file_for_a_manifest(
    registry: Path, two_tags: Image, build: Build, target: str
) -> None:
    assert build("-t", target) == 0
    tree = read_tree(registry / "_site")
    held = [path for path, data in tree.items() if data == two_tags.manifest]
    assert held == [f"v2/{NAME}/manifests/{two_tags.digest}"]
    assert build("-t", "plain") == 0
    tree = read_tree(registry / "_site")
    held = [path for path, data in tree.items() if data == two_tags.manifest]
    assert {f"v2/{NAME}/manifests/1.0", f"v2/{NAME}/blobs/{two_tags.digest}"} <= set(held)


@pytest.mark.parametrize("target", SERVERS)
def test_no_file_of_a_server_has_a_folder_of_its_own(
    registry: Path, two_tags: Image, build: Build, target: str
) -> None:
    addresses = {f"v2/{NAME}/tags/list"}
    addresses |= {f"{NAME}/blobs/{digest}/index.json" for digest in two_tags.blobs}
    assert build("-t", "plain", "--baseurl", "") == 0
    plain = {path: (registry / "_site" / path).read_bytes() for path in addresses}
    assert build("-t", target, "--baseurl", "") == 0
    tree = read_tree(registry / "_site")
    assert {path: tree[place_of(path)] for path in addresses} == plain
    folders = {path.rpartition("/")[0] for path in tree}
    assert folders.isdisjoint(path.rpartition("/")[0] for path in addresses)
    place = FolderPlace(str(registry / "_site"))  # as `verify` reads it, without any rules
    assert {path: read_small(place, path) for path in addresses} == plain


@pytest.mark.parametrize("target", target_names())
def test_the_reference_says_how_many_files_a_collection_is(
    registry: Path, build: Build, target: str
) -> None:
    collection = registry / "collections" / NAME
    for tag in ("1.0", "1.1", "1.2"):
        Image.of("alike", annotations={"version": tag}).tag(collection, tag)
    (collection / "README.md").write_text("---\ntitle: Greeting\n---\n")
    assert build("-q", "-t", target, "--baseurl", "") == 0
    below = [
        path for place in (NAME, f"v2/{NAME}") for path in (registry / "_site" / place).rglob("*")
    ]
    folders = 2 + sum(path.is_dir() for path in below)
    row = f"| `{target}` | {len(below) + 2 - folders} | {folders} |\n"
    assert row in (ROOT / "docs/reference/targets.md").read_text()


@pytest.mark.e2e
@pytest.mark.parametrize("target", SERVERS)
def test_a_server_answers_from_the_one_file(
    registry: Path, two_tags: Image, target: str, tmp_path_factory: pytest.TempPathFactory
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
        f"{NAME}/manifests/1.0": ("application/json", None, None),
        f"{NAME}/manifests/latest/": ("application/json", None, None),
        f"{NAME}/manifests/{digest}/index.json": ("application/json", None, None),
    }
    write_tree(registry / "collections", {f"{PENDING}/manifests/1/Dockerfile": "FROM scratch\n"})
    with HOSTS[target](registry, tmp_path_factory.mktemp("site")) as host:
        for path, (media_type, cache, held) in answers.items():
            found = requests.get(f"http://{host}/{path}", timeout=30)
            assert (path, found.status_code, found.content) == (path, 200, two_tags.manifest)
            shown = found.headers
            assert (path, shown["Content-Type"]) == (path, media_type)
            assert shown.get("Cache-Control") in ((cache,) if cache else (None, "no-cache"))
            assert shown.get("Docker-Content-Digest") == held
        lists = ("tags", "tags/", "tags/index.json")
        for path in (f"v2/{NAME}/tags/list", *(f"{NAME}/{path}" for path in lists)):
            tags = requests.get(f"http://{host}/{path}", timeout=30)
            assert tags.json() == {"name": NAME, "tags": ["1.0", "latest"]}
            assert tags.headers["Content-Type"] == "application/json"
            assert ("Docker-Distribution-Api-Version" in tags.headers) == path.startswith("v2/")
        for blob, data in two_tags.blobs.items():
            known = requests.get(f"http://{host}/{NAME}/blobs/{blob}/index.json", timeout=30)
            assert (known.status_code, known.json()["size"]) == (200, len(data))
            assert known.headers["Content-Type"] == "application/json"
            assert known.headers["Access-Control-Allow-Origin"] == "*"
            moved = requests.get(
                f"http://{host}/{NAME}/blobs/{blob}/", timeout=30, allow_redirects=False
            )
            assert moved.status_code == 302
        # A collection without an image has a list for people, and no repository.
        assert requests.get(f"http://{host}/{PENDING}/tags/", timeout=30).json()["tags"] == []
        unknown = requests.get(f"http://{host}/v2/{PENDING}/tags/list", timeout=30)
        assert (unknown.status_code, unknown.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")
        missing = (f"v2/{NAME}/manifests/LATEST", f"{NAME}/manifests/LATEST", "none/manifests/1.0")
        for path in missing:
            missed = requests.get(f"http://{host}/{path}", timeout=30)
            for_clients = path.startswith("v2/")
            assert (missed.status_code, "json" in missed.headers["Content-Type"]) == (
                404,
                for_clients,
            )
