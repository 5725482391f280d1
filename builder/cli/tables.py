"""Tables on a terminal, and the one of a collection's tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.pages import plan
from builder.registry.model import Collection
from builder.theme.filters import filesize

_WIDEST = 48  # characters of a cell; what is longer moves the rest of its own row
TAG_HEAD = ("TAG", "SIZE", "PUBLISHED", "")


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows in columns as wide as they need to be; few long cells do not widen all rows."""
    widths = [
        max((len(cell) for cell in column if len(cell) <= _WIDEST), default=0)
        for column in zip(*rows, strict=True)
    ]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def tag_lines(collection: Collection) -> Iterator[tuple[str, ...]]:
    """Yield a line for each tag below `TAG_HEAD`, newest first."""
    known = plan.facts(collection)
    for tag in known.order:
        size = filesize(known.sizes.get(tag.name, 0)) if known.sizes.get(tag.name) else ""
        note = f"yanked: {tag.yanked}" if tag.yanked else "" if tag.available else "not available"
        yield f"{collection.name}:{tag.name}", size, tag.date[:10], note
