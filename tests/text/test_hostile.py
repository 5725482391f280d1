"""Whatever a stranger writes, wherever in a README, a page has allowed elements and addresses only.

`hostile.txt` has a piece of HTML or Markdown on each line. What is made of it
is judged by another parser, and by cleaning it again: HTML that changes then
could mean something else to a browser (mutation).
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import nh3
import pytest

from builder.errors import BuilderError
from builder.text.markdown import ENGINES, MarkdownRenderer
from builder.text.safehtml import ATTRIBUTES, TAGS

PIECES = (Path(__file__).parent / "hostile.txt").read_text().splitlines()
PLACES = ("%s", "a %s b", "| a |\n|---|\n| %s |", "> - %s", "# %s", "a[^1]\n\n[^1]: %s",
          "<div>\n\n%s\n\n</div>", "[%s](x)", "![%s](x.png)", '<p title="%s">x</p>', "    %s",
          "[x][a]\n\n[a]: %s")  # fmt: skip
ADDED = {"rel"}  # by the last step, never by who wrote the text
MAY_LEAD_TO = re.compile(r"(?:https?://|mailto:)[^/\\]|(?![A-Za-z][A-Za-z0-9+.-]*:|[/\\]{2})")


class Judge(HTMLParser):
    """Collects what no page may have."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.faults.append(f"<{tag}>")
        known = ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set()) | ADDED
        for name, value in attrs:
            text = value or ""
            if name not in known or (
                not text.startswith("user-content-") if name in {"id", "name"}
                else name in {"href", "src", "srcset"} and not MAY_LEAD_TO.match(text)
            ):  # fmt: skip
                self.faults.append(f"{tag} {name}={text}")
            if name in {"src", "srcset"} and "evil" in text:
                self.faults.append(f"loads {text}")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"<!--{data}")

    def handle_pi(self, data: str) -> None:
        self.faults.append(f"<?{data}")


def cleaned(html: str) -> str:
    known = {**ATTRIBUTES, "a": {*ATTRIBUTES["a"], *ADDED}}
    schemes = {"http", "https", "mailto"}
    return nh3.clean(html, tags=set(TAGS), attributes=known, link_rel=None, url_schemes=schemes)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("place", PLACES)
def test_pages_have_allowed_parts_only(engine: str, place: str) -> None:
    renderer, rendered = MarkdownRenderer(engine), 0
    for piece in PIECES:
        text = place.replace("%s", piece)
        try:
            html = renderer.render(text, path="README.md", first_line=1).html
        except BuilderError:  # refused as a whole
            continue
        rendered += 1
        judge = Judge()
        judge.feed(html)
        judge.close()
        assert judge.faults == [], text
        # The page's own writer spells quotation marks in text by number, nh3 does not.
        assert cleaned(html) == re.sub("&#3(4|9);", lambda code: chr(30 + int(code[1])), html), text
    assert rendered > len(PIECES) // 2
