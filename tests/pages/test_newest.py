"""Which tag is the newest: the highest stable version, whatever the dates say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.cli import run
from builder.oci.manifest import Manifest
from builder.oci.validate import parse_manifest
from builder.pages import plan, versions
from builder.registry.model import Tag, with_same_yank
from tests.conftest import write_tree
from tests.images import Image


def manifest(text: str) -> Manifest:
    return parse_manifest(Image.of(text).manifest)


@pytest.mark.parametrize(
    ("tags", "newest"),
    [
        ({"1.13.8": "2024-01-01", "1.13.9": "2024-02-01", "nightly": "2025-01-01"}, "1.13.9"),
        ({"1.0": "2025-01-01", "2.0": "2020-01-01"}, "2.0"),
        ({"2.2.0": "", "latest": "2025-05-05"}, "2.2.0"),
        ({"2.0.0-rc1": "2025-05-05", "1.9": "2020-01-01"}, "1.9"),
        ({"2.0.0-rc1": "2025-05-05", "2.0.0-rc2": "", "latest": ""}, "2.0.0-rc2"),
        ({"latest": "2025-05-05"}, "latest"),
        ({"v2.0.0": "2026-01-01", "2024.05.01": "2024-05-01", "1.9": ""}, "2024.05.01"),
        ({"20240501": "2024-05-01", "v2.0.0": "", "2024-01": ""}, "20240501"),
        ({"bookworm": "2023-01-01", "trixie": "2025-01-01"}, "trixie"),
        ({f"sha256-{'a' * 64}.sig": "2025-01-01", "1.0": ""}, "1.0"),
    ],
)
def test_newest(tags: dict[str, str], newest: str) -> None:
    made = [Tag(name, "x", manifest(name), created=date) for name, date in tags.items()]
    order = {name: place for place, name in enumerate(versions.newest_first(tags))}
    assert plan.newest_of(sorted(made, key=lambda tag: order[tag.name])) == newest


def test_a_yanked_image_is_yanked_by_every_name() -> None:
    same, other = manifest("a"), manifest("b")
    tags = [Tag("1", "x", same, yanked="why"), Tag("2", "x", same), Tag("3", "x", other)]
    assert [tag.yanked for tag in with_same_yank(tags)] == ["why", "why", ""]


def test_where_all_tags_are_yanked_nothing_calls_one_the_newest(
    greeting: Path, build: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, site = greeting / "collections/team/old", greeting / "_site"
    for name in ("0.1", "0.2"):
        Image.of(name).tag(folder, name)
        write_tree(
            folder / "manifests" / name, {"README.md": "---\nyanked: it deletes /home\n---\n"}
        )
    assert build() == 0
    page, twin = (site / "team/old/index.html").read_text(), site / "team/old/index.json"
    assert "Newest" not in page
    assert "Size of newest" not in page
    assert page.count("badge bad") == 3  # the head's and one for each tag
    assert "newest" not in json.loads(twin.read_bytes())
    listed = json.loads((site / "collections.json").read_bytes())["collections"]
    old = next(item for item in listed if item["name"] == "team/old")
    assert "newest" not in old
    assert (old["kind"], old["yanked"], old["size"] > 0) == ("image", ["0.2", "0.1"], True)
    assert "all tags yanked" in (site / "index.html").read_text()
    assert 'aria-label="old: yanked"' in (site / "team/old/badge.svg").read_text()
    capsys.readouterr()
    assert run(["list", "team/old", "-s", str(greeting), "--no-color"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["team/old", "-"]
    write_tree(folder / "manifests/0.1", {"README.md": "Good again.\n"})
    assert build() == 0
    assert "<dd>0.1</dd>" in (site / "team/old/index.html").read_text()
    assert json.loads(twin.read_bytes())["newest"] == "0.1"
