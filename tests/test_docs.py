"""Every command, flag and configuration key stands in docs/reference/."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from builder.cli import COMMANDS, group
from builder.config import KEYS, REGISTRY_KEYS
from builder.pages.collectionview import CollectionView
from builder.pages.family import Family, Relative
from builder.pages.tagtable import TagGroup, TagLine, TagRow, TagTable
from builder.pages.tagview import TagView
from builder.registry.model import Row
from builder.registry.schema import COLLECTION_KEYS, TAG_KEYS
from builder.targets import target_names
from builder.theme import filters

REFERENCE = Path(__file__).parent.parent / "docs/reference"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_is_documented(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    common = (REFERENCE / "commands.md").read_text()
    page = REFERENCE / "commands" / f"{name}.md"
    assert page.is_file(), f"there is no {page}"
    section = page.read_text()
    does = COMMANDS[name]
    row = f"| [`{name}`](commands/{name}.md) | {does[0].lower()}{does[1:]} |"
    assert row in common.splitlines(), f"docs/reference/commands.md has no line {row}"
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    assert [item.name for item in inner if f"`builder {name} {item.name}" not in section] == []
    params = [*command.params, *(param for item in inner for param in item.params)]
    flags = [option for item in params for option in item.opts if option.startswith("--")]
    missing = [flag for flag in flags if f"`{flag}" not in section and f"`{flag}" not in common]
    assert missing == []


def test_every_configuration_key_is_documented() -> None:
    text = (REFERENCE / "config.md").read_text()
    keys = [*KEYS, *(f"registry.{key}" for key in REGISTRY_KEYS)]
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_every_front_matter_key_is_documented() -> None:
    text = (REFERENCE / "front-matter.md").read_text()
    assert [key for key in (*COLLECTION_KEYS, *TAG_KEYS) if f"`{key}`" not in text] == []


def test_every_target_is_documented() -> None:
    text = (REFERENCE / "targets.md").read_text()
    missing = [name for name in target_names() if f"\n| `{name}` | " not in text]
    assert missing == [], "they have no row in docs/reference/targets.md"


def test_contributors_are_sent_to_files_that_are_there() -> None:
    root = REFERENCE.parent.parent
    text = (root / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:builder|docs|tests|_includes|_layouts|assets|\.ci)/[^`]*)`", text)
    real = [path for path in named if "NAME" not in path]
    assert len(real) > 25
    assert [path for path in real if not (root / path).exists()] == []
    goals = re.findall(r"`make ([a-z]+)`", text)
    targets = re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE)
    assert sorted(set(goals) - set(targets)) == []


def test_the_readme_shows_the_two_commands() -> None:
    text = (REFERENCE.parent.parent / "README.md").read_text()
    assert "make serve" in text
    assert "make test" in text


def test_the_theme_is_documented() -> None:
    text = (REFERENCE / "theme.md").read_text()
    urls = filters.UrlFilters(baseurl="", url="", assets={})
    names = {*filters.all_filters(urls, filters.DateFilters("UTC")), "markdownify"}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
    for view in (
        CollectionView,
        Family,
        Relative,
        TagLine,
        TagTable,
        TagGroup,
        TagRow,
        TagView,
        Row,
    ):
        shown = [f"`{field.name}`" for field in fields(view) if not field.name.startswith("_")]
        line = ", ".join(shown)
        assert f"\n{line}" in text, f"docs/reference/theme.md lacks, of {view.__name__}: {line}"
