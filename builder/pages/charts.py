"""Geometry of the two drawings: sizes over tags, and an image's layers.

Only numbers are made here, whole units of a fixed view box; the page draws
them as inline SVG and shows the same numbers in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 1000, 60
_MARGIN = 10
_MIN_POINTS, _MAX_POINTS = 4, 60
_TONES = 6
_MIN_TILES, _MAX_TILES = 3, 60


@dataclass(frozen=True, slots=True)
class Point:
    """One tag's size, in bytes, and where it stands."""

    tag: str
    size: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Curve:
    """Sizes over tags, oldest first; `line` and `area` are SVG paths.

    `largest` is the size at the top, in bytes; the bottom is zero. `total`
    counts the tags there are, of which the last are shown.
    """

    width: int
    height: int
    largest: int
    points: tuple[Point, ...]
    line: str
    area: str
    total: int


def curve(sizes: Sequence[tuple[str, int]]) -> Curve | None:
    """Return the drawing of the last sixty `(tag, bytes)`; None with fewer than four."""
    shown = sizes[-_MAX_POINTS:]
    if len(shown) < _MIN_POINTS:
        return None
    largest = max(size for _, size in shown)
    across, up = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    points = tuple(
        Point(
            tag,
            size,
            _MARGIN + number * across // (len(shown) - 1),
            _HEIGHT - _MARGIN - size * up // largest,
        )
        for number, (tag, size) in enumerate(shown)
    )
    line = "M" + "L".join(f"{point.x} {point.y}" for point in points)
    area = f"{line}V{_HEIGHT}H{points[0].x}Z"
    return Curve(_WIDTH, _HEIGHT, largest, points, line, area, len(sizes))


@dataclass(frozen=True, slots=True)
class Tile:
    """One layer as a rectangle; `number` counts layers from 1, `tone` picks a colour."""

    number: int
    size: int
    x: int
    y: int
    width: int
    height: int
    tone: int

    @property
    def labelled(self) -> bool:
        """Whether the tile has room for its number."""
        return self.width >= 28 and self.height >= 18


def treemap(sizes: Sequence[int]) -> tuple[Tile, ...]:
    """Return one rectangle for each size above zero, area for bytes, largest first.

    Nothing for one or two: their shares in the table say as much.

    The box is 1000 by 60. A run of tiles is laid along the shorter side of
    what is left for as long as that makes them squarer.
    """
    order = sorted((n for n, size in enumerate(sizes) if size > 0), key=lambda n: -sizes[n])
    order = order[:_MAX_TILES]
    total = sum(sizes[number] for number in order)
    if len(order) < _MIN_TILES:
        return ()
    scale = _WIDTH * _HEIGHT / total
    box = (0.0, 0.0, float(_WIDTH), float(_HEIGHT))
    tiles: list[Tile] = []
    start = 0
    while start < len(order):
        side = min(box[2], box[3])
        end = _run_end([sizes[n] * scale for n in order[start:]], side) + start
        box = _lay(order[start:end], sizes, scale, box, tiles)
        start = end
    return tuple(tiles)


def _run_end(areas: Sequence[float], side: float) -> int:
    """Return how many of the areas to lay in one run along a side of this length."""
    total, best = 0.0, float("inf")
    for count, area in enumerate(areas):
        total += area
        depth = total / side if side else 0
        if not depth:
            continue
        lengths = (areas[0] / depth, area / depth)
        worst = max(max(depth / length, length / depth) for length in lengths if length)
        if worst > best:
            return count
        best = worst
    return len(areas)


def _lay(
    run: Sequence[int],
    sizes: Sequence[int],
    scale: float,
    box: tuple[float, float, float, float],
    tiles: list[Tile],
) -> tuple[float, float, float, float]:
    """Add the tiles of a run along the shorter side and return the box that is left."""
    x, y, width, height = box
    area = sum(sizes[number] for number in run) * scale
    tall = height <= width
    depth = area / (height if tall else width) if height and width else 0
    along = y if tall else x
    for number in run:
        length = sizes[number] * scale / depth if depth else 0
        place = (x, along, depth, length) if tall else (along, y, length, depth)
        left, top, right, bottom = place[0], place[1], place[0] + place[2], place[1] + place[3]
        tiles.append(
            Tile(
                number + 1, sizes[number], round(left), round(top),
                max(1, round(right) - round(left) - 1), max(1, round(bottom) - round(top) - 1),
                len(tiles) % _TONES,
            )
        )  # fmt: skip
        along += length
    if tall:
        return x + depth, y, width - depth, height
    return x, y + depth, width, height - depth
