"""Mirrors of a real registry: what comes, moves, goes and stays."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builder import frontmatter
from builder.cli import run
from tests.images import INDEX, Image, as_json, descriptor
from tests.sync.conftest import Open, Sync


def tag_folder(mine: Path, name: str, tag: str) -> Path:
    return mine / "collections" / name / "manifests" / tag


def raw(mine: Path, name: str, tag: str) -> bytes:
    return (tag_folder(mine, name, tag) / "manifest.json").read_bytes()


def keys(mine: Path, name: str, tag: str) -> dict[str, Any]:
    readme = tag_folder(mine, name, tag) / "README.md"
    return frontmatter.parse(readme.read_bytes(), str(readme)).keys


def actions(result: dict[str, Any]) -> Counter[str]:
    return Counter(step["action"] for step in result["tags"])


def build(mine: Path, tmp_path: Path) -> None:
    assert run(["build", "-q", "-s", str(mine), "-d", str(tmp_path / "site")]) == 0


def test_three_repositories_move_grow_shrink_and_are_pruned(
    host: str, upstream: Open, mine: Path, sync: Sync, tmp_path: Path
) -> None:
    counts = {"many/a": 120, "many/b": 50, "many/c": 30}
    images = [Image.of(f"image {number}") for number in range(6)]
    index = Image.index(images[0], images[1])
    upstreams = {name: upstream(name) for name in counts}
    for name, count in counts.items():
        for number in range(6):
            tags = [f"1.{n}" for n in range(count) if n % 6 == number]
            upstreams[name].push(index if number == 0 else images[number], *tags)
    mirrors = [{"from": f"{host}/many/*", "to": "mirror/*", "prune": True}]

    status, result, _ = sync(mirrors, "--dry-run")
    assert (status, actions(result), result["dryRun"]) == (0, {"new": 200}, True)
    assert not (mine / "collections/mirror").exists()

    status, result, _ = sync(mirrors)
    assert (status, actions(result), result["problems"]) == (0, {"new": 200}, [])
    assert raw(mine, "mirror/many/a", "1.0") == index.manifest
    assert keys(mine, "mirror/many/b", "1.7")["mirror"] == {
        "from": f"{host}/many/b:1.7", "digest": images[1].digest,
    }  # fmt: skip
    assert actions(sync(mirrors)[1]) == {"unchanged": 200}

    other = Image.of("another")
    upstreams["many/a"].push(other, "1.0", "2.0")  # moved, added
    upstreams["many/b"].delete(images[2])  # 8 tags go
    status, result, _ = sync(mirrors)
    gone = len([n for n in range(50) if n % 6 == 2])
    assert status == 0
    assert actions(result) == {
        "moved": 1, "new": 1, "pruned": gone, "unchanged": 199 - gone,
    }  # fmt: skip
    (moved,) = (step for step in result["tags"] if step["action"] == "moved")
    assert (moved["before"], moved["digest"]) == (index.digest, other.digest)
    assert raw(mine, "mirror/many/a", "1.0") == other.manifest
    (was,) = keys(mine, "mirror/many/a", "1.0")["moves"]
    assert was.endswith(f" {index.digest}")
    assert not tag_folder(mine, "mirror/many/b", "1.2").exists()
    build(mine, tmp_path)
    page = (tmp_path / "site/mirror/many/a/tags/1.0/index.html").read_text()
    assert f"{host}/many/a:1.0" in page
    assert index.digest in page


def test_some_platforms_are_a_new_index(
    host: str, upstream: Open, mine: Path, sync: Sync, tmp_path: Path
) -> None:
    there = upstream("some/app")
    arm, intel = Image.of("one", architecture="arm64"), Image.of("two")
    whole = Image.index(intel, arm)
    there.push(whole, "1")
    there.push(intel, "plain")
    mirror = {"from": f"{host}/some/app", "to": "app", "platforms": "linux/arm64"}
    assert actions(sync([mirror])[1]) == {"new": 2}
    index = json.loads(raw(mine, "app", "1"))
    assert [item["digest"] for item in index["manifests"]] == [arm.digest]
    assert index["mediaType"] == INDEX
    assert keys(mine, "app", "1")["mirror"]["digest"] == whole.digest
    assert raw(mine, "app", "plain") == intel.manifest
    assert actions(sync([mirror])[1]) == {"unchanged": 2}
    build(mine, tmp_path)
    assert actions(sync([mirror | {"platforms": "all"}])[1]) == {"moved": 2}
    assert raw(mine, "app", "1") == whole.manifest
    status, result, error = sync([mirror | {"platforms": "windows/amd64"}])
    assert (status, len(result["problems"])) == (1, 1)
    assert "it has: linux/amd64, linux/arm64" in error
    assert raw(mine, "app", "1") == whole.manifest


def test_what_refers_to_an_image_comes_along_and_later_too(
    host: str, upstream: Open, mine: Path, sync: Sync
) -> None:
    there = upstream("signed/app")
    image = Image.of("signed")
    there.push(image, "1")
    mirrors = [{"from": f"{host}/signed/app", "to": "app", "referrers": True}]
    assert actions(sync(mirrors)[1]) == {"new": 1}
    subject = descriptor(image.media_type, image.manifest)
    sbom = Image.of("sbom", subject=subject, artifactType="application/spdx+json")
    entry = descriptor(sbom.media_type, sbom.manifest)
    listed = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    there.push(sbom, sbom.digest)
    there.push(Image(listed, {}, INDEX), image.digest.replace(":", "-"))
    there.push(Image.of("signature"), f"{image.digest.replace(':', '-')}.sig")
    status, result, error = sync(mirrors)
    assert (status, error) == (0, "")
    assert {step["tag"]: step["action"] for step in result["tags"]} == {
        "1": "attached", f"{image.digest.replace(':', '-')}.sig": "new",
    }  # fmt: skip
    stored = mine / "collections/app/blobs" / sbom.digest.replace(":", "/")
    assert stored.read_bytes() == sbom.manifest
    assert actions(sync(mirrors)[1]) == {"unchanged": 2}


def test_own_and_immutable_tags_stay(host: str, upstream: Open, mine: Path, sync: Sync) -> None:
    there = upstream("fixed/app")
    one, two = Image.of("one"), Image.of("two")
    there.push(one, "v1", "own", "gone")
    own = Image.of("mine")
    own.tag(mine / "collections/app", "own")
    mirrors = [{"from": f"{host}/fixed/app", "to": "app", "prune": True, "floor": 0}]
    status, result, error = sync(mirrors, immutable=["v*", "gone"])
    assert (status, actions(result)) == (1, {"new": 2, "refused": 1})
    assert "app:own: is here already, and no mirror brought it" in error
    there.delete(one)
    there.push(two, "v1")
    status, result, error = sync(mirrors, immutable=["v*", "gone"])
    assert {step["tag"]: step["action"] for step in result["tags"]} == {
        "v1": "refused", "gone": "stays",
    }  # fmt: skip
    assert "app:v1: is immutable here, and another image there" in error
    assert raw(mine, "app", "own") == own.manifest
    assert raw(mine, "app", "v1") == raw(mine, "app", "gone") == one.manifest


def test_an_upstream_that_is_empty_prunes_nothing(
    host: str, upstream: Open, mine: Path, sync: Sync
) -> None:
    image = Image.of("lone")
    there = upstream("empty/app")
    there.push(image, "1", "2")
    mirrors = [{"from": f"{host}/empty/app", "to": "app", "prune": True}]
    assert sync(mirrors)[0] == 0
    there.delete(image)
    status, result, error = sync(mirrors)
    assert (status, actions(result)) == (1, {"refused": 2})
    assert "would leave 0 tags, and floor is 1: nothing is pruned" in error
    assert raw(mine, "app", "2") == image.manifest


def test_a_source_that_fails_is_one_problem_and_the_rest_goes_on(
    host: str, upstream: Open, mine: Path, sync: Sync
) -> None:
    upstream("good/app").push(Image.of("good"), "1", "2")
    lost = "127.0.0.1:9/lost"
    mirrors = [lost, f"{host}/not/there", {"from": f"{host}/good/app", "newest": 1}]
    status, result, error = sync(mirrors)
    assert (status, actions(result)) == (4, {"new": 1})
    assert len(result["problems"]) == 2
    assert "127.0.0.1:9: cannot connect" in error
    assert "not/there" in error
    assert (tag_folder(mine, "good/app", "2")).is_dir()
    assert [step["tag"] for step in sync(None, "good/*")[1]["tags"]] == ["2"]


def test_names_choose_and_must_exist(host: str, upstream: Open, sync: Sync) -> None:
    upstream("chosen/app").push(Image.of("good"), "1")
    assert sync([f"{host}/chosen/app"], "none/*")[0] == 2
    assert sync([])[0] == 2
    assert (
        sync([f"{host}/chosen/app", {"from": f"{host}/chosen/other", "to": "chosen/app"}])[0] == 1
    )


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "holds mappings with 'from'"),
        ({"from": "x/y:1"}, "is not a repository"),
        ({"from": "https://x.y/z"}, "is not a repository"),
        ({"from": "x.y/*", "to": "one"}, "is one name for several sources"),
        ({"from": "x.y/z", "to": "V2"}, "is not a collection name"),
        ({"from": "x.y/z", "tags": ">=a"}, "neither a pattern"),
        ({"from": "x.y/z", "newest": 0}, "newest must be a number from 1"),
        ({"from": "x.y/z", "prune": "yes"}, "prune must be true or false"),
        ({"from": "x.y/z", "insecure": 1}, "insecure must be true or false"),
        ({"from": "x.y/z", "platforms": ["arm64"]}, "is not a platform"),
        ({"from": "x.y/z", "tag": "1"}, "unknown key 'tag'"),
    ],
)
def test_what_the_configuration_says_wrong(sync: Sync, item: Any, message: str) -> None:
    status, _, error = sync([item])
    assert status == 1
    assert "_config.yml:1:" in error
    assert message in error
