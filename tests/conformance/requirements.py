"""What a requirement is, and the table of docs/reference/conformance.md that holds all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tests.hosts import ROOT

PAGE = ROOT / "docs/reference/conformance.md"
MET, NOT_MET = "yes", "**no**"
SECTIONS = (
    "Determining Support",
    "Pulling manifests",
    "Pulling blobs",
    "Checking if content exists",
    "Listing Tags",
    "Listing Referrers",
    "Referrers Tag Schema",
    "Pushing blobs",
    "Pushing a blob in chunks",
    "Mounting a blob from another repository",
    "Pushing Manifests",
    "Pushing Manifests with Subject",
    "Content Management",
    "Error Codes",
    "Warnings",
    "Beyond the specification",
)
_BEGIN, _END = "<!-- made by python -m tests.conformance -->\n", "<!-- end -->\n"
_PUSHED = "<!-- pushes: made by python -m tests.conformance -->\n"
_SUMMARY = "<!-- and this -->\n"
_FIXED = ("section", "requirement", "level", "test")

Test = TypeVar("Test", bound=Callable[..., None])
Cells = Mapping[str, Mapping[str, bool]]  # by test, then by host: whether it is met


@dataclass(frozen=True, slots=True)
class Requirement:
    """One sentence: where it stands in the specification, what it asks for, how strongly.

    `level` is the specification's word, `1.1` and `main` named where they
    differ, or `beyond` for what it does not ask for and clients rely on.
    """

    section: str
    text: str
    level: str
    test: str


REQUIREMENTS: dict[str, Requirement] = {}
PUSHED: dict[str, Requirement] = {}  # of `builder serve --push` alone, which meets all of them


def all_requirements(booked: Mapping[str, Requirement] = REQUIREMENTS) -> list[Requirement]:
    """Return what is booked, section by section."""
    return sorted(booked.values(), key=lambda each: SECTIONS.index(each.section))


def requirement(section: str, level: str, text: str) -> Callable[[Test], Test]:
    """Return a decorator that books a test as the one of a requirement of all hosts."""
    return _booking(REQUIREMENTS, section, level, text)


def pushed(section: str, level: str, text: str) -> Callable[[Test], Test]:
    """Return a decorator that books a test as the one of a requirement of pushing."""
    return _booking(PUSHED, section, level, text)


def _booking(
    booked: dict[str, Requirement], section: str, level: str, text: str
) -> Callable[[Test], Test]:
    def book(test: Test) -> Test:
        assert "|" not in text
        assert test.__name__ not in booked
        booked[test.__name__] = Requirement(section, text, level, test.__name__)
        return test

    return book


def read_pushed() -> list[str]:
    """Return the rows of the page's table of pushing."""
    text = PAGE.read_text()
    start = text.index(_PUSHED) + len(_PUSHED)
    return text[start : text.index(_END, start)].splitlines(keepends=True)


def pushed_rows() -> list[str]:
    """Return the rows that the table of pushing has to have."""
    rows = ([each.section, each.text, each.level, f"`{each.test}`"] for each in
            all_requirements(PUSHED))  # fmt: skip
    return [_row(_FIXED), _row(["---"] * len(_FIXED)), *map(_row, rows)]


def read_table() -> tuple[list[Requirement], Cells]:
    """Return the rows of the page's table, and its cells."""
    text = PAGE.read_text()
    start = text.index(_BEGIN) + len(_BEGIN)
    lines = text[start : text.index(_END, start)].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    hosts = head[len(_FIXED) :]
    found, cells = [], {}
    for section, words, level, test, *marks in rows:
        name = test.strip("`")
        found.append(Requirement(section, words, level, name))
        cells[name] = {
            host.strip("`"): mark == MET for host, mark in zip(hosts, marks, strict=True)
        }
    return found, cells


def write_table(cells: Cells, hosts: Iterable[str]) -> None:
    """Replace the table of the page."""
    names = tuple(hosts)
    lines = [_row([*_FIXED, *(f"`{host}`" for host in names)]), _row(["---"] * (4 + len(names)))]
    for each in all_requirements():
        marks = [MET if cells[each.test][host] else NOT_MET for host in names]
        lines.append(_row([each.section, each.text, each.level, f"`{each.test}`", *marks]))
    text = _replaced(PAGE.read_text(), _BEGIN, "".join(lines))
    text = _replaced(text, _PUSHED, "".join(pushed_rows()))
    PAGE.write_text(_replaced(text, _SUMMARY, "".join(_summary(cells, names))))


def _replaced(text: str, begin: str, content: str) -> str:
    """Return a text with what stands between a mark and the next `_END` replaced."""
    start = text.index(begin) + len(begin)
    return text[:start] + content + text[text.index(_END, start) :]


def _summary(cells: Cells, hosts: Iterable[str]) -> Iterator[str]:
    """Yield a table of how many rows of each strength a host meets."""
    groups = {
        "MUST, MUST NOT": [each for each in all_requirements() if "MUST" in each.level],
        "SHOULD, SHOULD NOT, MAY": [
            each for each in all_requirements() if each.level in ("SHOULD", "SHOULD NOT", "MAY")
        ],
        "beyond": [each for each in all_requirements() if each.level == "beyond"],
    }
    yield _row(["host", *(f"{name} ({len(rows)})" for name, rows in groups.items())])
    yield _row(["---"] * (1 + len(groups)))
    for host in hosts:
        met = (sum(cells[each.test][host] for each in rows) for rows in groups.values())
        yield _row([f"`{host}`", *map(str, met)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
