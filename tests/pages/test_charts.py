"""The two drawings: their numbers add up and stay inside their boxes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builder.pages import charts

SIZES = st.lists(st.integers(0, 1 << 40), max_size=80)


@given(SIZES)
def test_tiles_share_the_box(sizes: list[int]) -> None:
    tiles = charts.treemap(sizes)
    shown = sorted((size for size in sizes if size), reverse=True)[:60]
    assert [tile.size for tile in tiles] == (shown if len(shown) > 2 else [])
    for tile in tiles:
        assert sizes[tile.number - 1] == tile.size
        assert tile.x >= 0
        assert tile.y >= 0
        assert tile.width >= 1
        assert tile.height >= 1
        assert tile.x + tile.width <= 1001
        assert tile.y + tile.height <= 61


def test_area_stands_for_bytes() -> None:
    large, _, small = charts.treemap([100, 300, 200])
    assert (large.number, small.number) == (2, 1)
    assert abs(large.width / small.width - 3) < 0.1
    assert large.height == small.height


def test_a_curve_needs_four_tags() -> None:
    assert charts.curve([("1", 1), ("2", 2), ("3", 3)]) is None
    made = charts.curve([("1", 0), ("2", 5), ("3", 10), ("4", 10)])
    assert made is not None
    assert [(point.x, point.y) for point in made.points] == [
        (10, 50),
        (336, 30),
        (663, 10),
        (990, 10),
    ]
    assert made.largest == 10


@given(st.lists(st.integers(1, 1 << 40), min_size=4, max_size=100))
def test_a_curve_shows_the_last_sixty(sizes: list[int]) -> None:
    made = charts.curve([(str(number), size) for number, size in enumerate(sizes)])
    assert made is not None
    assert [point.size for point in made.points] == sizes[-60:]
    assert made.total == len(sizes)
    assert all(0 <= point.x <= made.width and 0 <= point.y <= made.height for point in made.points)
