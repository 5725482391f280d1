"""How the READMEs of what is installed here look by each engine, beside comrak's own output."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path

import comrak
import nh3
import pytest

from builder.text.markdown import ENGINES, GFM, MarkdownRenderer
from builder.text.safehtml import TAGS, without_false_tags

NPM = Path(__file__).parent.parent / "npm" / "node_modules"
PARTS = {"ul", "ol", "li", "table", "tr", "td", "th", "pre", "h2", "h3", "h4", "h5", "h6"}
FEWEST = 40
MOST_DIFFERENT = {GFM: 0.0, "Python-Markdown": 0.05}


@cache
def readmes() -> dict[str, str]:
    """Return the READMEs in Markdown that came with packages, by name."""
    found = {}
    for package in metadata.distributions():
        about = package.metadata.json
        if str(about.get("description_content_type")).startswith("text/markdown"):
            found[str(about["name"])] = str(about["description"])
    for file in sorted(NPM.rglob("[Rr][Ee][Aa][Dd][Mm][Ee].md")):
        found[str(file.relative_to(NPM))] = file.read_text(errors="replace")
    return {name: text for text, name in {text: name for name, text in found.items()}.items()}


class Structure(HTMLParser):
    """Reads off headings, lists, items, tables, code and links, the title apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._links = 0
        self._in_code = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "a" and "heading-anchor" not in (said.get("class") or ""):
            self._links += 1
            self.link(said.get("href"))
        elif tag == "img" and not self._links and (said.get("src") or "").startswith("http"):
            self.link(said.get("src"))  # what a picture of another host becomes
        elif tag in PARTS or tag == "h1":
            self.found.append("h2" if tag == "h1" else tag)
        if tag == "pre":
            self._in_code = True

    def link(self, to: str | None) -> None:
        if to and not to.startswith("#"):
            self.found.append(f"a {to if to.startswith('http') else 'here'}")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._links = max(0, self._links - 1)
        if tag in {"ul", "ol"}:
            self.found.append(f"/{tag}")
        if tag == "pre":
            self._in_code = False

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.found[-1] += "".join(data.split())


def plain(text: str) -> list[str]:
    """Return the structure of comrak's own output, its first heading left out."""
    extensions = comrak.ExtensionOptions()
    for name in ("table", "autolink", "strikethrough", "tasklist", "footnotes"):
        setattr(extensions, name, True)
    rendering = comrak.RenderOptions()
    rendering.unsafe_ = True
    html = comrak.render_markdown(text, extension_options=extensions, render_options=rendering)
    allowed = {"a": {"href"}, "img": {"src"}}
    html = nh3.clean(without_false_tags(html), tags=set(TAGS), attributes=allowed, link_rel=None)
    if html.lstrip().startswith("<h1>"):
        html = html.partition("</h1>")[2]
    return Structure(html).found


def shown(text: str, name: str, engine: str) -> list[str]:
    """Return the structure of what a page shows of a README."""
    path = f"a/b/c/d/e/{name}"
    made = MarkdownRenderer(engine).render(text, path=path, first_line=1, address="/a/b/c/d/e/")
    return Structure(made.html).found


def different(engine: str) -> Iterator[str]:
    for name, text in readmes().items():
        if shown(text, name, engine) != plain(text):
            yield name


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_real_readmes_have_the_structure_that_comrak_gives_them(engine: str) -> None:
    wrong = list(different(engine))
    share = len(wrong) / len(readmes())
    assert len(readmes()) > FEWEST
    said = f"{engine}: {len(wrong)} of {len(readmes())} READMEs differ ({share:.1%}): {wrong}"
    assert share <= MOST_DIFFERENT[engine], said
