"""Names that would be taken for others: they look the same, or are one letter off.

Two strengths, because they err differently: what looks the same has no honest
use, what is one letter off may be a plural.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_LOOK = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s"})
_JOINERS = str.maketrans("", "", "-_.")
_SHORT = 4  # names of fewer letters differ by one all the time


@dataclass(frozen=True, slots=True)
class Likeness:
    """A name that is taken, and why another is too similar to it.

    `certain` tells that the two look the same, or stand at the top, where one
    letter off is somebody else.
    """

    taken: str
    why: str
    certain: bool


def likeness(name: str, taken: Iterable[str]) -> Likeness | None:
    """Return the taken name that the new `name` could be mistaken for.

    Compared is the first part of the name that is new, with the others of its
    folder: a namespace with namespaces, a collection with its neighbours.
    """
    folders = {folder for other in taken for folder in _folders(other)}
    new = next((folder for folder in _folders(name) if folder not in folders), "")
    above, _, part = new.rpartition("/")
    found = None
    for other in sorted(folders):
        space, _, last = other.rpartition("/")
        if not new or space != above:
            continue
        if _skeleton(part) == _skeleton(last):
            return Likeness(other, "looks the same", certain=True)
        if found is None and _is_near(part, last):
            found = Likeness(other, "differs by one letter", certain=not above)
    return found


def _folders(name: str) -> list[str]:
    """Return a name and the folders above it, the uppermost first."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _skeleton(text: str) -> str:
    """Return what a reader sees of a name in passing."""
    plain = text.lower().translate(_JOINERS).translate(_LOOK)
    return plain.replace("rn", "m").replace("vv", "w")


def _is_near(one: str, other: str) -> bool:
    if min(len(one), len(other)) < _SHORT or _differ_by_number(one, other):
        return False
    return _one_edit_apart(*sorted((_skeleton(one), _skeleton(other)), key=len))


def _differ_by_number(one: str, other: str) -> bool:
    """Tell whether two names differ in digits alone, as versions do: python3, python4."""
    return one.strip("0123456789") == other.strip("0123456789")


def _one_edit_apart(short: str, long: str) -> bool:
    """Tell whether one letter added, changed, or swapped with its neighbour makes them equal."""
    if len(long) - len(short) > 1:
        return False
    start = 0
    while start < len(short) and short[start] == long[start]:
        start += 1
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = short[start : start + 2] == long[start : start + 2][::-1]
    return short[start + 1 :] == long[start + 1 :] or (
        swapped and short[start + 2 :] == long[start + 2 :]
    )
