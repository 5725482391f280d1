"""Layers that are brought elsewhere: there first, then the tag; and not at all if not for all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.cli import run
from builder.errors import UsageError
from builder.offsite import open_offsite
from tests.conftest import read_tree, write_tree
from tests.images import Image
from tests.offsite.github import REPOSITORY, TAG, GitHub, github

PLACE = f"github-release://{REPOSITORY}/{TAG}"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.remote.http._backoff", lambda number: 0.01 * number)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, registry: Path) -> Iterator[GitHub]:
    """A GitHub, and a registry whose layers go there."""
    text = f"registry: {{blobs: '{PLACE}', commit_below: 0, target: nginx}}\n"
    (registry / "_config.yml").write_text(text)
    with github() as hub:
        for name, value in hub.environment.items():
            monkeypatch.setenv(name, value)
        yield hub


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image in a layout."""
    image = Image.of("far away")
    image.layout(tmp_path / "layout", "1")
    return image


Add = Callable[[], int]


@pytest.fixture
def add(registry: Path, tmp_path: Path, image: Image) -> Add:
    """Add the image; returns the exit code."""
    assert image.blobs
    return lambda: run(["add", f"oci:{tmp_path}/layout", "a/b:1", "-s", str(registry)])


def layer_of(image: Image) -> str:
    digest: str = json.loads(image.manifest)["layers"][0]["digest"]
    return digest


def test_a_layer_becomes_an_asset_and_clients_are_sent_to_it(
    hub: GitHub, add: Add, image: Image, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add() == 0
    layer = layer_of(image)
    assert "kept in the place that registry.blobs names" in capsys.readouterr().out
    assert hub.uploaded() == {layer.replace(":", "-"): image.blobs[layer]}
    here = {hashlib.sha256(data).hexdigest() for data in read_tree(registry).values()}
    assert layer.partition(":")[2] not in here
    assert run(["build", "-s", str(registry)]) == 0
    url = f"{hub.url}/{REPOSITORY}/releases/download/{TAG}/{layer.replace(':', '-')}"
    emitted = b"".join(read_tree(registry).values()).decode("utf-8", "replace")
    assert url in emitted
    assert (registry / f"_site/v2/a/b/manifests/{image.digest}").read_bytes() == image.manifest


def test_what_is_there_is_not_sent_again(hub: GitHub, add: Add, registry: Path) -> None:
    assert add() == 0
    (registry / "collections/a/b/manifests/1/manifest.json").unlink()
    hub.log.clear()
    assert add() == 0
    assert [line.partition(" ")[0] for line in hub.log] == ["download"]


def test_an_unfinished_asset_is_replaced(
    hub: GitHub, add: Add, image: Image, capsys: pytest.CaptureFixture[str], registry: Path
) -> None:
    hub.broken_uploads = 1
    assert add() == 4
    assert "500: Server Error" in capsys.readouterr().err
    assert not (registry / "collections/a").exists()
    assert add() == 0
    assert list(hub.uploaded().values()) == [image.blobs[layer_of(image)]]


def test_an_asset_with_other_bytes_is_replaced(hub: GitHub, add: Add, image: Image) -> None:
    layer = layer_of(image)
    hub.add(layer.replace(":", "-"), "uploaded", b"x" * len(image.blobs[layer]))
    assert add() == 0
    assert list(hub.uploaded().values()) == [image.blobs[layer]]


def test_a_release_with_many_assets(hub: GitHub, add: Add, image: Image) -> None:
    for number in range(250):
        hub.add(f"other-{number}", "uploaded", b"")
    hub.add(layer_of(image).replace(":", "-"), "starter", b"")
    assert add() == 0
    assert len(hub.uploaded()) == 251


def test_a_server_that_takes_a_moment(hub: GitHub, add: Add) -> None:
    hub.late = 2
    assert add() == 0


Refused = Callable[[str], None]


@pytest.fixture
def refused(add: Add, registry: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Check that adding is refused in some words, and that nothing came in."""

    def call(said: str) -> None:
        before = read_tree(registry / "collections")
        assert add() == 4
        err = capsys.readouterr().err
        assert said in err
        assert "wrong-token" not in err
        assert read_tree(registry / "collections") == before
        assert not [path for path in read_tree(registry) if "sha256/" in path]

    return call


def test_a_release_that_nobody_can_read(hub: GitHub, refused: Refused) -> None:
    hub.is_private = True
    refused("does not return what was just uploaded")


@pytest.mark.usefixtures("hub")
def test_a_wrong_token(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "wrong-token")
    refused("401: Bad credentials")


@pytest.mark.usefixtures("hub")
def test_no_token(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    refused("uploading to a release needs a token")


@pytest.mark.usefixtures("hub")
def test_no_release(refused: Refused, registry: Path) -> None:
    config = registry / "_config.yml"
    config.write_text(config.read_text().replace(f"/{TAG}'", "/missing'"))
    refused("make the release first: gh release create missing")


def test_the_token_is_for_the_api_alone(hub: GitHub, refused: Refused) -> None:
    with github() as other:
        hub.upload_host = other.url.replace("127.0.0.1", "localhost")
        refused("sends uploads to 'http://localhost")
        assert other.log == []


def test_a_recipe_is_only_written_with_its_layer(hub: GitHub, registry: Path) -> None:
    folder = registry / "collections/a/b/manifests/1"
    write_tree(folder, {"build.sh": 'echo hi > "$BUILDER_OUTPUT/hi.txt"'})
    hub.is_private = True
    assert run(["recipes", "build", "-s", str(registry)]) == 1
    assert not (folder / "manifest.json").exists()
    hub.is_private = False
    assert run(["recipes", "build", "-s", str(registry)]) == 0
    assert list(hub.uploaded().values()) == [b"hi\n"]


def test_offload_brings_away_what_was_stored_before(
    hub: GitHub, add: Add, image: Image, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = registry / "_config.yml"
    said = config.read_text()
    config.write_text("registry: {commit_below: 0}\n")
    assert add() == 0
    assert run(["offload", "-s", str(registry)]) == 2
    config.write_text(said)
    layer = layer_of(image)
    here = registry / "_blobs/blobs" / layer.replace(":", "/")
    other = here.with_name("0" * 64)
    other.write_bytes(b"no tag needs this")
    assert run(["offload", "--dry-run", "-s", str(registry)]) == 0
    assert here.exists()
    hub.broken_uploads = 1
    assert run(["offload", "-s", str(registry)]) == 4
    assert here.exists()
    capsys.readouterr()
    assert run(["offload", "--json", "-q", "-s", str(registry)]) == 0
    done = json.loads(capsys.readouterr().out)
    size = len(image.blobs[layer])
    url = f"{hub.url}/{REPOSITORY}/releases/download/{TAG}/{layer.replace(':', '-')}"
    assert done == {
        "dryRun": False, "bytes": size, "blobs": [{"digest": layer, "size": size, "url": url}],
    }  # fmt: skip
    assert not here.exists()
    assert other.exists()
    assert run(["build", "-s", str(registry)]) == 0


def test_offload_brings_no_broken_file(hub: GitHub, add: Add, image: Image, registry: Path) -> None:
    config = registry / "_config.yml"
    said = config.read_text()
    config.write_text("registry: {commit_below: 0}\n")
    assert add() == 0
    config.write_text(said)
    layer = layer_of(image)
    here = registry / "_blobs/blobs" / layer.replace(":", "/")
    here.write_bytes(b"x" * len(image.blobs[layer]))
    assert run(["offload", "-s", str(registry)]) == 1
    assert hub.assets == {}


def test_a_recipe_built_without_a_login_is_offloaded_by_who_has_one(
    hub: GitHub, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = registry / "collections/a/b/manifests/1"
    write_tree(folder, {"build.sh": 'echo hi > "$BUILDER_OUTPUT/hi.txt"'})
    monkeypatch.delenv("GITHUB_TOKEN")
    assert run(["recipes", "build", "--local", "-s", str(registry)]) == 0
    assert hub.log == []
    monkeypatch.setenv("GITHUB_TOKEN", hub.environment["GITHUB_TOKEN"])
    assert run(["offload", "-s", str(registry)]) == 0
    assert list(hub.uploaded().values()) == [b"hi\n"]
    assert not [path for path in read_tree(registry / "_blobs") if not path.endswith(".lock")]


def test_push_takes_layers_from_where_they_are(
    hub: GitHub, add: Add, image: Image, registry: Path, tmp_path: Path
) -> None:
    assert hub.port
    assert add() == 0
    out = tmp_path / "out"
    assert run(["export", "a/b:1", f"oci:{out}:1", "-s", str(registry)]) == 0
    copy = out / "blobs" / layer_of(image).replace(":", "/")
    assert copy.read_bytes() == image.blobs[layer_of(image)]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://blobs.example.org/x/", "https://blobs.example.org/x/blobs/sha256/0f"),
        ("github-release://o/r/v1.0", "https://github.com/o/r/releases/download/v1.0/sha256-0f"),
        ("docker://registry.example.org/a/b",
         "https://registry.example.org/v2/a/b/blobs/sha256:0f"),
        ("s3://bucket/prefix", "https://cdn.example.org/p/blobs/sha256/0f"),
        ("az://container", "https://cdn.example.org/p/blobs/sha256/0f"),
        ("docker://localhost:5000/a", "http://localhost:5000/v2/a/blobs/sha256:0f"),
    ],
)  # fmt: skip
def test_where_clients_are_sent(text: str, url: str) -> None:
    offsite = open_offsite(text, {}, "https://cdn.example.org/p/")
    assert offsite is not None
    assert offsite.url("sha256:0f") == url


@pytest.mark.parametrize(
    "text",
    [
        "http://plain.example.org", "https://user@example.org", "ftp://x", "sites", "",
        "github-release://o/r", "github-release://o/../v1", "github-release://o/r/a b",
        "s3://bucket", "gs://bucket/prefix", "docker://", "docker://host", "docker://host/a:1", "docker://host/UPPER",
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        open_offsite(text, {})
