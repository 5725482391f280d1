"""The Markdown that people read leads somewhere: every relative link, and every page is led to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# The front page's links are to pages of the site that is built from it.
READ_AS_FILES = [page for page in PAGES if page.name != "index.md"]


def prose(page: Path) -> str:
    """Return the text without its code, in which brackets are no links."""
    fenced = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!\[)`[^`\n]*`(?!\])", "", fenced)


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield the relative links of a page: as written, the file, and the part of it."""
    for text in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", text):
            path, _, part = text.partition("#")
            yield text, (page.parent / path).resolve() if path else page, part


def anchors(page: Path) -> set[str]:
    """Return what a page's headings are called, as GitHub calls them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", text.strip().lower()) for text in headings)
    return {text.replace(" ", "-") for text in words}


@pytest.mark.parametrize("page", READ_AS_FILES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    broken = [
        text
        for text, file, part in links(page)
        if not file.exists() or (part and part not in anchors(file))
    ]
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen and page.suffix == ".md" and page.is_file():
            seen.add(page)
            todo += [file for _, file, _ in links(page)]
    pages = (ROOT / "docs").rglob("*.md")
    assert sorted(str(page.relative_to(ROOT)) for page in pages if page not in seen) == []
