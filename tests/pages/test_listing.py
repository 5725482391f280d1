"""The lists of all collections: their pages, orders, groups and sums."""

from __future__ import annotations

import pytest

from builder.pages import listing
from builder.registry.model import Namespace, Row


def rows(count: int) -> list[Row]:
    return [Row(f"team/tool{number:04}", f"Tool {number}") for number in range(count)]


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, [(1, 0)]), (1, [(1, 1)]), (100, [(1, 100)]), (101, [(1, 100), (101, 101)]),
     (250, [(1, 100), (101, 200), (201, 250)])],
)  # fmt: skip
def test_pages_hold_a_hundred(count: int, shown: list[tuple[int, int]]) -> None:
    made = list(listing.paged("name", "All", "browse/", rows(count)))
    assert [(part.first, part.last) for part in made] == shown
    assert all((part.pages, part.total) == (len(shown), count) for part in made)
    assert [row for part in made for row in part.rows] == rows(count)


def test_pages_lead_to_their_neighbours() -> None:
    first, second, third = listing.paged("name", "All", "browse/", rows(201))
    assert (first.previous_url, first.url, first.next_url) == ("", "/browse/", "/browse/page/2/")
    assert (second.previous_url, second.next_url) == ("/browse/", "/browse/page/3/")
    assert (third.previous_url, third.next_url) == ("/browse/page/2/", "")
    assert third.output == "browse/page/3/index.html"


def test_orders() -> None:
    some = (
        Row("b", "B", updated="2024-01-02", size=5), Row("a", "A", updated="2024-01-02", size=9),
        Row("c", "C", updated="", size=9), Row("hidden", "H", hidden=True, size=99),
    )  # fmt: skip
    found = {
        part.key: [row.name for row in part.rows]
        for part in listing.listings(listing.visible(some))
        if part.key in {"name", "updated", "size"}
    }
    assert found == {"name": ["a", "b", "c"], "updated": ["a", "b", "c"], "size": ["a", "c", "b"]}


def test_values_that_share_an_address_are_one_group() -> None:
    some = [
        Row("a", "A", keywords=("Deep Learning", "x"), platforms=("linux/arm64/v8",)),
        Row("b", "B", keywords=("deep-learning",), license="MIT", kind="empty"),
    ]
    made = {part.path: part for part in listing.listings(some)}
    choices = made["browse/keyword/"].choices
    assert [(item.title, item.count) for item in choices] == [("Deep Learning", 2), ("x", 1)]
    assert [row.name for row in made["browse/keyword/deep-learning/"].rows] == ["a", "b"]
    assert made["browse/platform/linux-arm64-v8/"].value == "linux/arm64/v8"
    assert made["browse/license/mit/"].total == 1
    assert [item.title for item in made["browse/kind/"].choices] == ["image"], "empty is no kind"
    assert len({part.output for part in made.values()}) == len(made)


def test_a_shared_layer_counts_once() -> None:
    some = [
        Row("a", "A", tags=("1", "2"), blobs=(("sha256:x", 10), ("sha256:y", 1))),
        Row("b", "B", tags=("1",), blobs=(("sha256:x", 10),)),
    ]
    assert listing.totals(some) == listing.Totals(collections=2, tags=3, bytes=11)


def test_namespaces_count_what_is_below_them() -> None:
    counts = listing.counts_below([Row("a/b/c", ""), Row("a/d", ""), Row("top", "")])
    assert counts == {"a": 2, "a/b": 1}
    spaces = [Namespace("a", ""), Namespace("a/b", "", {"title": "Bees"}), Namespace("none", "")]
    (branch,) = listing.tree(spaces, counts)
    assert (branch.choice.title, branch.choice.count) == ("a", 2)
    assert [(item.title, item.url) for item in branch.below] == [("Bees", "/a/b/")]


def test_changes_are_the_newest_first() -> None:
    some = [
        Row("old", "", newest="1", updated="2020-01-01", size=10),
        Row("new", "", newest="2", updated="2024-01-01", size=10, previous="1", previous_size=4),
        Row("undated", "", newest="1"),
    ]
    assert [(item.name, item.previous, item.grown) for item in listing.changes(some)] == [
        ("new", "1", 6), ("old", "", 0),
    ]  # fmt: skip
    assert len(listing.changes(some, count=1)) == 1
