"""A site from parts is that of one build, and a part that does not belong to it is refused."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from builder.build import shards
from builder.build.shards import Parts, Shard
from builder.cli import run
from builder.errors import UsageError
from builder.output import Bundle
from tests.conftest import read_tree, write_tree
from tests.images import Image

C = "collections"


@pytest.fixture
def many(registry: Path) -> Path:
    """A registry with what is read across collections: links, folders above, menus, redirects."""
    write_tree(registry, {
        "_config.yml": "title: Many\nurl: https://example.org\nredirects: {old/one: a/tool0}\n",
        "about.md": "---\ntitle: About\n---\nSee [tool 3](collections/b/tool3/README.md).\n",
        f"{C}/b/README.md": "# All of B\n",
        f"{C}/b/tool5/inner/README.md": "# Below a collection\n",
    })  # fmt: skip
    for number in range(8):
        folder = registry / f"{C}/{'ab'[number % 2]}/tool{number}"
        text = f"---\ntitle: Tool {number}\n---\n# Use\n[Next](../../a/tool0/README.md#use).\n"
        write_tree(folder, {"README.md": text})
        Image.of(f"tool {number}").tag(folder, "latest")
    return registry


def shard(registry: Path, text: str, to: Path, *more: str) -> int:
    return run(["build", "-q", "-s", str(registry), "--shard", text, "-d", str(to), *more])


def join(registry: Path, *arguments: object) -> int:
    return run(["join", "-q", "-s", str(registry), *map(str, arguments)])


@pytest.fixture
def halves(many: Path, tmp_path: Path) -> Path:
    """A folder with two parts of a site."""
    for number in (1, 2):
        assert shard(many, f"{number}/2", tmp_path / f"halves/{number}") == 0
    return tmp_path / "halves"


@pytest.fixture
def made_anew(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which collections were made although there were parts."""
    found: list[str] = []
    adopt = Parts.adopt

    def watched(self: Parts, *arguments: Any) -> list[Bundle]:
        rest = adopt(self, *arguments)
        found.extend(item.name for item in rest if item.rank == 0)
        return rest

    monkeypatch.setattr(Parts, "adopt", watched)
    return found


@pytest.mark.parametrize(("total", "target"), [(1, "plain"), (3, "nginx"), (20, "plain")])
def test_parts_are_joined_to_the_site_of_one_build(
    many: Path, tmp_path: Path, made_anew: list[str], total: int, target: str
) -> None:
    elsewhere = tmp_path / "another machine"
    shutil.copytree(many, elsewhere)  # whose files have other times, inodes and places
    for number in range(1, total + 1):
        part = tmp_path / f"parts/{number}"
        assert shard(elsewhere, f"{number}/{total}", part, "-t", target) == 0
    assert join(many, tmp_path / "parts", "-t", target) == 0
    joined = read_tree(many / "_site")
    nested = ["collection b/tool5"] if total > 1 else []  # it lists what another part may have
    assert set(made_anew) <= set(nested)
    marker = (many / "_site/.builder-site").read_bytes()
    assert run(["build", "-s", str(many), "-t", target, "--json"]) == 0
    assert (many / "_site/.builder-site").read_bytes() == marker
    shutil.rmtree(many / ".builder-cache")
    shutil.rmtree(many / "_site")
    assert run(["build", "-q", "-s", str(many), "-t", target]) == 0
    assert read_tree(many / "_site") == joined
    assert (many / "_site/.builder-site").read_bytes() == marker


def test_what_a_layout_reads_of_the_whole_site_is_made_where_it_is_known(
    many: Path, tmp_path: Path, made_anew: list[str]
) -> None:
    layout = "---\nlayout: default\n---\n{{ site.collections | length }} at {{ site.time }}\n"
    write_tree(many, {"_layouts/collection.html": layout})
    for number in (1, 2):
        assert shard(many, f"{number}/2", tmp_path / f"parts/{number}") == 0
    assert join(many, tmp_path / "parts", "-d", tmp_path / "joined") == 0
    assert len(made_anew) == 9
    assert run(["build", "-q", "-s", str(many)]) == 0
    assert read_tree(tmp_path / "joined") == read_tree(many / "_site")


def edit(registry: Path, _: Path) -> None:
    write_tree(registry, {f"{C}/a/tool2/README.md": "# Another\n"})


def come(registry: Path, _: Path) -> None:
    write_tree(registry, {f"{C}/a/new/README.md": "# New\n"})


def go(registry: Path, _: Path) -> None:
    shutil.rmtree(registry / f"{C}/a/tool2")


def configure(registry: Path, _: Path) -> None:
    write_tree(registry, {"_config.yml": "title: Another\n"})


def dress(registry: Path, _: Path) -> None:
    write_tree(registry, {"_layouts/tag.html": "---\nlayout: default\n---\nAnother\n"})


def lose(_: Path, parts: Path) -> None:
    shutil.rmtree(parts / "2")


def double(_: Path, parts: Path) -> None:
    shutil.copytree(parts / "2", parts / "3")


def mix(registry: Path, parts: Path) -> None:
    assert shard(registry, "3/3", parts / "3") == 0


def damage(_: Path, parts: Path) -> None:
    for path in (parts / "1").glob("??/*"):
        path.write_bytes(b"x" * path.stat().st_size)


def cut(_: Path, parts: Path) -> None:
    for path in (parts / "1").glob("??/*"):
        path.unlink()


def forget(_: Path, parts: Path) -> None:
    record = parts / "1" / shards.RECORD
    record.write_bytes(record.read_bytes()[:100])


def alter_a_row(_: Path, parts: Path) -> None:
    with closing(sqlite3.connect(parts / "1" / shards.RECORD)) as database:
        database.execute("UPDATE outputs SET media_type = 'text/html' WHERE path LIKE 'v2/%'")
        database.commit()


HARMS: tuple[tuple[Callable[[Path, Path], None], str], ...] = (
    (edit, "collections/a/tool2: is not what it was for shard 1/2 in "),
    (come, "collections/a/new: is not what it was for shard 1/2 in "),
    (go, "collections/a/tool2: is not what it was for shard 1/2 in "),
    (configure, "was made with another configuration, or with other flags"),
    (dress, "was made with another theme"),
    (lose, "shards: missing: 2/2"),
    (double, "halves/3: is shard 2/2, as "),
    (mix, "halves/3: is shard 3/3, and "),
    (damage, "is damaged or missing, of shard 1/2 in "),
    (cut, "is damaged or missing, of shard 1/2 in "),
    (forget, "halves/1: is not a whole shard"),
    (alter_a_row, "halves/1: is not a whole shard"),
)


def test_what_does_not_belong_together_is_refused(
    many: Path, halves: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for harm, told in HARMS:
        place = tmp_path / harm.__name__
        registry = shutil.copytree(many, place / "registry")
        parts = shutil.copytree(halves, place / "halves")
        write_tree(registry, {"_site/.builder-site": "", "_site/index.html": "the last site"})
        harm(registry, parts)
        assert join(registry, parts) == 1, harm.__name__
        assert told in capfd.readouterr().err, harm.__name__
        assert read_tree(registry / "_site") == {"index.html": b"the last site"}


def test_other_software_is_refused(
    many: Path,
    halves: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shards, "software_key", lambda: "another")
    assert join(many, halves) == 1
    assert "was made by another version of the builder or of a library" in capfd.readouterr().err
    assert not (many / "_site").exists()


def test_folders_that_are_no_parts(
    many: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert join(many, tmp_path / "nowhere") == 1
    assert "holds no shard of a site" in capfd.readouterr().err
    write_tree(tmp_path, {"mine/file": "mine"})
    assert shard(many, "1/2", tmp_path / "mine") == 1
    assert "nothing in it was touched" in capfd.readouterr().err
    assert (tmp_path / "mine/file").read_text() == "mine"


def test_a_part_is_made_anew_and_one_that_fails_is_none(many: Path) -> None:
    command = ["build", "-q", "-s", str(many), "--shard"]
    assert run([*command, "2/2"]) == 0
    part = many / "_site.2-of-2"
    before = read_tree(part)
    readme = many / f"{C}/b/tool7/README.md"
    text = readme.read_text()
    readme.write_text("---\n[\n---\n")
    assert run([*command, "1/2"]) == 0  # what another machine will tell
    assert run([*command, "2/2"]) == 1
    assert join(many, many / "_site.1-of-2", part) == 1
    readme.write_text(text)
    assert run([*command, "2/2"]) == 0
    assert read_tree(part).keys() == before.keys()
    assert join(many, many / "_site.1-of-2", part) == 0


def slices(total: int) -> Iterator[frozenset[str]]:
    names = [f"n{number}" for number in range(10)]
    return (Shard(number, total).names(names) for number in range(1, total + 1))


@pytest.mark.parametrize("total", [1, 2, 3, 10, 13])
def test_slices_have_each_name_once(total: int) -> None:
    found = list(slices(total))
    assert sorted(name for names in found for name in names) == [f"n{n}" for n in range(10)]
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", " 1/2"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="is no shard"):
        Shard.parse(text)
