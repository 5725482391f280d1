"""Which collections are built on which: by shared layers, over the whole registry, at any size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.pages.family import SHOWN, Relative, families
from builder.registry.model import Row
from tests.images import Image


def row(name: str, *tags: str, hidden: bool = False, yanked: str = "", deprecated: str = "") -> Row:
    """Return a row with tags such as `1.0=abc`, whose image has the layers a, b and c."""
    pairs = [tag.partition("=")[::2] for tag in tags]
    chain = pairs[0][1] if pairs else ""
    return Row(
        name, name, hidden=hidden, yanked=tuple(yanked.split()), deprecated=deprecated,
        tags=tuple(tag for tag, _ in pairs), tag_chains=tuple(layers for _, layers in pairs),
        chain=tuple(chain[: n + 1] for n in range(len(chain))),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "bases", "users"),
    [
        ([row("base", "1=ab"), row("app", "1=abc")], {"app": ["base:1"]}, {"base": ["app"]}),
        # The longest of several, which stand on each other.
        (
            [row("base", "1=a"), row("lang", "1=ab"), row("app", "1=abc")],
            {"app": ["lang:1"], "lang": ["base:1"]},
            {"base": ["lang"], "lang": ["app"]},
        ),
        # An old tag of a base that moved on; the name that says most.
        (
            [row("base", "2=xy", "1=ab", "1.4=ab", "old=ab"), row("app", "1=abc")],
            {"app": ["base:1.4"]},
            {"base": ["app"]},
        ),
        # The same layers in several collections; none of them is built on another.
        (
            [row("a", "1=ab"), row("b", "1=ab"), row("app", "1=abc")],
            {"app": ["a:1", "b:1"]},
            {"a": ["app"], "b": ["app"]},
        ),
        # Its own older tag is no base; what that stands on is.
        ([row("app", "2=abc", "1=ab"), row("base", "1=a")], {"app": ["base:1"]}, {"base": ["app"]}),
        # An older tag alone that stands on another says nothing of the collection.
        ([row("app", "2=xyz", "1=abc"), row("base", "1=ab")], {}, {}),
        ([row("a", "1="), row("b", "1=a"), row("c")], {}, {}),
        ([row("a", "1=ab"), row("b", "1=bab"), row("c", "1=ac")], {}, {}),
        # What is hidden is on nobody's page; its own page may say what it is built on.
        (
            [row("base", "1=a"), row("secret", "1=ab", hidden=True), row("app", "1=abc")],
            {"app": ["base:1"], "secret": ["base:1"]},
            {"base": ["app"]},
        ),
    ],
)
def test_families(
    rows: list[Row], bases: dict[str, list[str]], users: dict[str, list[str]]
) -> None:
    found = families(reversed(rows))
    told = [(name, [one.title for one in item.bases]) for name, item in found.items()]
    assert {name: titles for name, titles in told if titles} == bases
    told = [(name, [one.title for one in item.users]) for name, item in found.items()]
    assert {name: titles for name, titles in told if titles} == users
    assert found == families(rows)


def test_warnings_of_relatives() -> None:
    rows = [row("base", "2=xy", "1=ab", yanked="1"), row("app", "1=abc", deprecated="other")]
    found = families(rows)
    assert found["app"].bases == (Relative("base:1", "/base/tags/1/", "yanked"),)
    assert found["base"].users == (Relative("app", "/app/", "deprecated"),)


def test_many_collections_on_one_and_many_with_the_same_layers() -> None:
    rows = [row(f"base{n:05}", "1=ab") for n in range(20_000)]
    rows += [row(f"app{n:05}", f"1=ab{chr(0x4E00 + n)}") for n in range(20_000)]
    found = families(rows)
    assert len(found["app19999"].bases) == 3
    first = found["base00000"]
    assert (first.total, len(first.users), first.users[0].title) == (20_000, SHOWN, "app00000")
    assert len(found) == 20_003


def test_pages_follow_what_others_become(greeting: Path, build: Callable[..., int]) -> None:
    collections, site = greeting / "collections", greeting / "_site"
    Image.of("base", below=["ground"]).tag(collections / "base/linux", "12")
    Image.of("app", below=["ground", "base"]).tag(collections / "team/app", "1.0")
    assert build() == 0
    twin = json.loads((site / "team/app/index.json").read_bytes())
    assert twin["built_on"] == ["base/linux:12"]
    assert json.loads((site / "base/linux/index.json").read_bytes())["used_by"] == ["team/app"]
    assert "Built on" in (site / "team/app/index.html").read_text()
    assert 'href="/base/linux/tags/12/"' in (site / "team/app/index.html").read_text()
    assert "Used by" in (site / "base/linux/index.html").read_text()
    Image.of("other", below=["sand"]).tag(collections / "team/app", "1.1")
    assert build() == 0
    assert "built_on" not in json.loads((site / "team/app/index.json").read_bytes())
    assert "Used by" not in (site / "base/linux/index.html").read_text()
