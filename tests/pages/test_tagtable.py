"""The table of tags: a row a digest, and hundreds of tags in groups."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from builder.pages import versions
from builder.pages.tagtable import SHOWN, TagLine, TagTable, tag_table


def table_of(tags: Mapping[str, str]) -> TagTable:
    """Return the table of tags by name and digest."""
    lines = [
        TagLine(name, f"/x/tags/{name}/", tags[name], (), (), 1, "", "", "", "", (), "", "")
        for name in versions.newest_first(tags)
    ]
    return tag_table(lines)


def names(table: TagTable) -> list[list[str]]:
    return [[row.tag.name for row in group.rows] for group in table.groups]


def test_the_name_that_says_most_leads_its_digest() -> None:
    table = table_of({"latest": "a", "1": "a", "1.9.0": "b", "1.13.9": "a", "edge": "c"})
    assert names(table) == [["1.13.9", "1.9.0", "edge"]]
    assert [line.name for line in table.groups[0].rows[0].others] == ["latest", "1"]


def test_hundreds_are_folded_by_major_version_and_what_is_no_release_apart() -> None:
    tags = {f"{major}.{minor}": f"{major}.{minor}" for major in (1, 2, 3) for minor in range(20)}
    tags |= {f"nightly-2025{day:04}": f"n{day}" for day in range(101, 110)}
    tags |= {"3.0-rc.1": "rc1", "3.0-rc.2": "rc2", "main": "m"}
    table = table_of(tags)
    assert [group.title for group in table.groups] == [
        "",
        "2.x",
        "1.x",
        "Other names",
        "Pre-releases",
    ]
    first, two, _, others, pre = names(table)
    assert len(first) == SHOWN
    assert (first[0], two[0]) == ("3.19", "2.9")
    assert others[:2] == ["main", "nightly-20250109"]
    assert pre == ["3.0-rc.2", "3.0-rc.1"]


def test_names_alone_are_shown_too() -> None:
    table = table_of({f"build-{n}": str(n) for n in range(50)})
    assert [(group.title, len(group.rows)) for group in table.groups] == [("", 30), ("More", 20)]
    assert names(table)[0][:2] == ["build-49", "build-48"]


def test_no_tag_is_no_group() -> None:
    assert table_of({}).groups == ()


def test_names_of_one_digest_in_two_states_are_two_rows() -> None:
    lines = [
        TagLine(name, f"/x/tags/{name}/", "a", (), (), 1, "", "", "", state, (), "", "")
        for name, state in (("2", ""), ("1", "stale"), ("latest", ""))
    ]
    (group,) = tag_table(lines).groups
    shown = {row.tag.name: [other.name for other in row.others] for row in group.rows}
    assert shown == {"2": ["latest"], "1": []}


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        (("", (), 0, "", ""), ()),  # to be built from a recipe
        (("sha256:a", (), 9, "", ""), ("digests", "sizes")),
        (("", (), 9, "2024-01-01", ""), ("sizes", "dates")),
        (("sha256:a", (), 0, "", "2024-01-01"), ("digests", "dates")),
    ],
)
def test_columns_are_there_where_any_row_says_something(
    line: tuple[str, tuple[str, ...], int, str, str], columns: tuple[str, ...]
) -> None:
    digest, platforms, size, created, built = line
    one = TagLine(
        "1", "/x/tags/1/", digest, (), platforms, size, created, built, "", "", (), "", ""
    )
    table = tag_table([one])
    shown = {"digests": table.digests, "sizes": table.sizes, "dates": table.dates}
    assert tuple(name for name, is_shown in shown.items() if is_shown) == columns
    assert not table.platforms
