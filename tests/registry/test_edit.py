"""Tagging, untagging, removing: what a registry's folder is afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import ContentError, LockedError
from builder.oci.digest import Digest
from builder.registry.edit import (
    copy_tag,
    lock,
    remove_collection,
    remove_manifest,
    remove_tag,
    tags_of,
)
from builder.registry.model import RegistryOptions
from tests.conftest import read_tree, write_tree
from tests.images import Image

NAME = "vanessa/greeting"
DAY = "2024-05-31T09:30:00Z"
Commands = Callable[..., None]


@pytest.fixture
def options(greeting: Path) -> RegistryOptions:
    return RegistryOptions(greeting)


def folder(options: RegistryOptions, name: str = NAME) -> Path:
    return options.source / "collections" / name


def manifest(options: RegistryOptions, tag: str) -> bytes:
    return (folder(options) / "manifests" / tag / "manifest.json").read_bytes()


def test_a_second_tag_has_the_same_bytes_and_a_date(options: RegistryOptions) -> None:
    digest = Image.of("one").digest
    assert copy_tag(options, NAME, "latest", "1.0", created=DAY) == (digest, None)
    assert manifest(options, "1.0") == manifest(options, "latest")
    readme = (folder(options) / "manifests/1.0/README.md").read_text()
    assert readme == f"---\ncreated: {DAY}\n---\n"


def test_a_moved_tag_keeps_its_notes(options: RegistryOptions) -> None:
    Image.of("two").tag(folder(options), "1.0")
    text = "---\ndescription: x\ncreated: 2020-01-01\n---\nNotes.\n"
    (folder(options) / "manifests/1.0/README.md").write_text(text)
    copy_tag(options, NAME, "latest", "1.0", created=DAY)
    readme = (folder(options) / "manifests/1.0/README.md").read_text()
    assert readme == f"---\ndescription: x\ncreated: {DAY}\n---\nNotes.\n"
    assert manifest(options, "1.0") == Image.of("one").manifest


def test_the_same_again_changes_nothing(options: RegistryOptions) -> None:
    copy_tag(options, NAME, "latest", "1.0", created=DAY)
    before = read_tree(folder(options))
    copy_tag(options, NAME, "latest", "1.0", created="2025-01-01T00:00:00Z")
    assert read_tree(folder(options)) == before


def test_a_manifest_in_front_matter_is_copied_whole(options: RegistryOptions) -> None:
    layer = "  - size: 1\n    digest: md5:d41d8cd98f00b204e9800998ecf8427e\n"
    text = f"---\nlayers:\n{layer}    url: https://example.org/x.sif\n---\nNotes\n"
    write_tree(folder(options), {"manifests/old/README.md": text})
    assert copy_tag(options, NAME, "old", "new", created=DAY) == (None, None)
    copied = (folder(options) / "manifests/new/README.md").read_text()
    assert copied == text.replace("---\nNotes", f"created: {DAY}\n---\nNotes")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [("nope", "x", "no manifest"), ("latest", "LATEST", "case"), ("pending", "x", "no manifest")],
)
def test_what_cannot_be_tagged(options: RegistryOptions, old: str, new: str, word: str) -> None:
    write_tree(folder(options), {"manifests/pending/Singularity": "Bootstrap: docker\n"})
    before = read_tree(folder(options))
    with pytest.raises(ContentError, match=word):
        copy_tag(options, NAME, old, new, created=DAY)
    assert read_tree(folder(options)) == before


@pytest.mark.parametrize("pattern", ["1.*", f"{NAME}:1.0", "*"])
def test_immutable_by_configuration(greeting: Path, pattern: str) -> None:
    options = RegistryOptions(greeting, immutable=(pattern,))
    copy_tag(options, NAME, "latest", "1.0", created=DAY)
    Image.of("two").tag(folder(options), "other")
    for change in (
        lambda: copy_tag(options, NAME, "other", "1.0", created=DAY),
        lambda: remove_tag(options, NAME, "1.0"),
        lambda: remove_manifest(options, NAME, Digest(Image.of("one").digest)),
        lambda: remove_collection(options, NAME),
    ):
        with pytest.raises(ContentError, match="immutable"):
            change()
    copy_tag(options, NAME, "other", "1.0", created=DAY, force=True)
    assert manifest(options, "1.0") == Image.of("two").manifest


def test_immutable_by_the_collection(options: RegistryOptions) -> None:
    (folder(options) / "README.md").write_text("---\nimmutable: true\n---\n")
    with pytest.raises(ContentError, match="immutable"):
        remove_tag(options, NAME, "latest")


def test_untag_keeps_content_and_what_makes_a_collection(options: RegistryOptions) -> None:
    (folder(options) / "README.md").unlink()
    assert remove_tag(options, NAME, "latest") is False
    left = read_tree(folder(options))
    assert not [path for path in left if path.startswith("manifests")]
    assert left["README.md"] == b"---\ntitle: greeting\n---\n"
    assert len(left) == 3


def test_untag_leaves_a_recipe_pending(options: RegistryOptions) -> None:
    tag = folder(options) / "manifests/latest"
    write_tree(tag, {"Dockerfile": "FROM scratch\n", "README.md": "---\ncreated: x\n---\n"})
    assert remove_tag(options, NAME, "latest") is True
    assert os.listdir(tag) == ["Dockerfile"]


@pytest.mark.parametrize("remove", [lambda o: remove_tag(o, NAME, "latest"),
                                    lambda o: remove_collection(o, NAME)])  # fmt: skip
def test_what_a_disk_refuses_has_changed_nothing(
    options: RegistryOptions, monkeypatch: pytest.MonkeyPatch, remove: Callable[..., object]
) -> None:
    before = read_tree(folder(options))

    def refuse(folder: Path) -> None:
        raise OSError(5, "Input/output error", str(folder))

    monkeypatch.setattr("builder.registry.folder.sync_folder", refuse)
    with pytest.raises(OSError, match="Input/output"):
        remove(options)
    assert read_tree(options.source / "collections" / NAME) == before
    assert not [path for path in options.source.rglob(".incoming-*") if path.is_dir()]


def test_untag_what_is_not_there(options: RegistryOptions) -> None:
    with pytest.raises(ContentError, match="its tags: latest"):
        remove_tag(options, NAME, "nope")
    with pytest.raises(ContentError, match="no such collection"):
        remove_tag(options, "vanessa/nope", "latest")


def test_a_manifest_goes_with_all_of_its_tags(options: RegistryOptions) -> None:
    copy_tag(options, NAME, "latest", "1.0", created=DAY)
    digest, tags = tags_of(options, NAME, "latest")
    assert tags == ("1.0", "latest")
    assert remove_manifest(options, NAME, digest, dry_run=True) == tags
    assert manifest(options, "1.0")
    assert remove_manifest(options, NAME, digest) == tags
    assert not (folder(options) / "manifests").exists()


def test_a_manifest_that_an_index_needs_stays(options: RegistryOptions) -> None:
    child = Image.of("one")
    Image.index(child, Image.of("two")).tag(folder(options), "all")
    with pytest.raises(ContentError, match="part of the index that the tag 'all'"):
        remove_manifest(options, NAME, Digest(child.digest))
    remove_tag(options, NAME, "all")
    remove_manifest(options, NAME, Digest(child.digest))


def test_a_layer_is_not_a_manifest(options: RegistryOptions) -> None:
    digest = json.loads(manifest(options, "latest"))["layers"][0]["digest"]
    with pytest.raises(ContentError, match="has no manifest"):
        remove_manifest(options, NAME, Digest(digest))


def test_a_collection_goes_and_an_empty_namespace_with_it(options: RegistryOptions) -> None:
    remove_collection(options, NAME, dry_run=True)
    assert folder(options).is_dir()
    remove_collection(options, NAME)
    assert os.listdir(options.source / "collections") == []


def test_collections_below_stay(options: RegistryOptions) -> None:
    below = folder(options, f"{NAME}/more")
    Image.of("two").tag(below, "latest")
    kept = read_tree(below)
    remove_collection(options, NAME)
    assert read_tree(options.source / "collections/vanessa/greeting") == {
        f"more/{path}": data for path, data in kept.items()
    }


def test_an_image_layout_is_left_to_its_own_tools(options: RegistryOptions) -> None:
    Image.of("one").layout(folder(options, "lay"), "latest")
    with pytest.raises(ContentError, match="image layout"):
        copy_tag(options, "lay", "latest", "1.0", created=DAY)


def test_a_folder_that_is_a_link(options: RegistryOptions, tmp_path: Path) -> None:
    Image.of("one").tag(tmp_path / "elsewhere", "latest")
    folder(options, "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ContentError):
        remove_tag(options, "link", "latest")
    with pytest.raises(ContentError):
        remove_collection(options, "link")
    assert (tmp_path / "elsewhere/manifests/latest/manifest.json").exists()


def test_leftovers_of_killed_runs_are_swept(options: RegistryOptions) -> None:
    write_tree(folder(options), {"manifests/.incoming-1-x/manifest.json": "{"})
    write_tree(options.source, {"_blobs/blobs/sha256/.incoming-1-aa": "x"})
    with lock(options):
        copy_tag(options, NAME, "latest", "1.0", created=DAY)
    assert not list(options.source.rglob(".incoming*"))


def test_one_run_at_a_time(options: RegistryOptions) -> None:
    script = (
        "import sys, pathlib\n"
        "from builder.registry.edit import lock\n"
        "from builder.registry.model import RegistryOptions\n"
        "with lock(RegistryOptions(pathlib.Path(sys.argv[1]))):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(options.source)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=str(other.pid)), lock(options):
            raise AssertionError
        other.communicate()
    with lock(options):
        pass
