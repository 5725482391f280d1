"""A collection's badge: its name and newest version as a small picture for READMEs elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from builder.pages.words import cut
from builder.registry.model import Row

FILE = "badge.svg"
SVG = "image/svg+xml"
_HEIGHT, _MARGIN = 20, 6  # pixels
_WIDE, _NARROW = frozenset("mwMW%@"), frozenset("fijlrtI1.,:;|!-()[] ")
_COLOURS = {"deprecated": "#7d4a00", "yanked": "#a1222b", "no tag yet": "#57606c"}
_OTHER = "#0b655e"
_MAX = 40  # characters of a name or a version


def shield(row: Row) -> dict[str, Any]:
    """Return what the badge of a collection says: what is wrong with it comes before its version.

    As an endpoint of Shields says it; source: https://shields.io/badges/endpoint-badge.
    """
    version = "yanked" if row.all_yanked else row.newest or "no tag yet"
    said = cut("deprecated" if row.deprecated else version, _MAX)
    label = cut(row.name.rpartition("/")[2], _MAX)
    return {
        "schemaVersion": 1,
        "label": label,
        "message": said,
        "color": _COLOURS.get(said, _OTHER),
    }


def badge(row: Row) -> bytes:
    """Return the badge of a collection as a picture."""
    about = shield(row)
    name, said, colour = about["label"], about["message"], about["color"]
    left, right = _width(name), _width(said)
    texts = ((left / 2, name), (left + right / 2, said))
    shown = "".join(f'<text x="{x:g}" y="14">{escape(text)}</text>' for x, text in texts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}"'
        f' role="img" aria-label="{escape(name)}: {escape(said)}">'
        f'<clipPath id="r"><rect width="{left + right}" height="{_HEIGHT}" rx="4"/></clipPath>'
        f'<g clip-path="url(#r)"><path fill="#444c56" d="M0 0h{left}v{_HEIGHT}H0z"/>'
        f'<path fill="{colour}" d="M{left} 0h{right}v{_HEIGHT}h-{right}z"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif"'
        f' font-size="11">{shown}</g></svg>\n'
    ).encode()


def _width(text: str) -> int:
    """Return about how many pixels a text takes, with its margins."""
    return 2 * _MARGIN + sum(10 if c in _WIDE else 4 if c in _NARROW else 7 for c in text)
