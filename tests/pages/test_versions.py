"""The order of tags: what a person looking for a version expects at the top."""

from __future__ import annotations

import random

import pytest

from builder.pages import versions

# Each row is in the order that pages show.
ORDERS = (
    ("latest", "2.0", "1.0"),
    ("1.10", "1.9", "1.2"),
    ("v2.0.0", "v1.10.0", "v1.9.9"),
    ("3.1", "3.1-alpine", "3.1-slim", "3.0"),
    ("2.0.0", "2.0.0-rc.10", "2.0.0-rc.9", "2.0.0-beta"),
    ("1.0", "edge", "main", "1.1-dev"),
    ("2024.12.1", "2024.2.1", "2023.12.31"),
    ("1.0", "stable", f"sha256-{'a' * 64}.sig"),
    ("latest", "1.0", "bookworm", "trixie", "2.0-nightly", f"sha512-{'b' * 128}.att"),
)


@pytest.mark.parametrize("order", ORDERS)
def test_tags_stand_as_people_look_for_them(order: tuple[str, ...]) -> None:
    for seed in range(20):
        shuffled = random.Random(seed).sample(order, len(order))  # noqa: S311 - the same each time
        assert versions.newest_first(shuffled) == list(order)


@pytest.mark.parametrize(
    ("tag", "kinds"),
    [
        ("1.0", {"version"}),
        ("v1", {"version"}),
        ("1.0-alpine", {"version"}),
        ("1.0-rc1", {"version", "pre"}),
        ("1.0b2", {"version", "pre"}),
        ("nightly", set()),
        ("latest", set()),
        ("1beta-test", {"version", "pre"}),
        ("7zip", set()),
        (f"sha256-{'0' * 64}", {"tool"}),
        (f"sha256-{'0' * 64}.sbom", {"tool"}),
        ("sha256-abc", set()),
    ],
)
def test_what_a_tag_is(tag: str, kinds: set[str]) -> None:
    found = {
        "version": versions.is_version(tag),
        "pre": versions.is_pre_release(tag),
        "tool": versions.is_tool_tag(tag),
    }
    assert {name for name, is_so in found.items() if is_so} == kinds


def test_a_version_says_how_precise_it_is_and_of_which_variant() -> None:
    tags = ("1", "1.2", "1.2.3", "1.2.3-slim", "main")
    assert sorted(tags, key=versions.precision) == ["main", "1", "1.2", "1.2.3-slim", "1.2.3"]
    assert [versions.variant(tag) for tag in tags] == ["", "", "", "-slim", ""]


def test_numbers_of_any_length_are_ordered() -> None:
    assert versions.newest_first(["9" * 18, "1" * 18, "2"]) == ["9" * 18, "1" * 18, "2"]
    assert not versions.is_version("9" * 19)  # no version that anybody counts
