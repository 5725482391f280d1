from __future__ import annotations

import random
from html.parser import HTMLParser

import nh3
import pytest

from builder.text import nesting

DEEP = [
    "<div>" * 200,
    "<DIV><Span>" * 60,
    "<div></b>" * 200,
    "<div><!-- </div> -->" * 200,
    "<div><!--> <!-- </div> -->" * 200,
    '<div title="</div>">' * 200,
    "<div title='</div>'>" * 200,
    "<div><textarea></div></textarea>" * 200,
    "<div><style></div></style>" * 200,
    "<div><table></div></table>" * 200,
    "".join(f"<div><b id={n}></div>" for n in range(200)),
    "".join(f"<b id={n}><p>" for n in range(200)),
    '<div ="></div>">' * 1_100,
    "<svg><div></div>" * 1_100,
    "<div><select></div></select>" * 1_100,
    "<a-b>" * 200,
    "<q/>" * 200,
    "<li><ul>" * 200,
    "<tr><td><table>" * 200,
    "<p><object><p>" * 200,
    "<span><div></span>" * 200,
    "<x-y><section></x-y>" * 200,
    "<form><div></form>" * 200,
    "<li><section><li>" * 200,
    "<table><caption><div></tr>" * 200,
    "<ul><li></ul></li><ol><li></ul>" * 200,
    "".join(f"<table><b id={n}></table>" for n in range(200)),
]


@pytest.mark.parametrize("html", DEEP)
def test_deep_html_is_seen_through_disguise(html: str) -> None:
    assert nesting.too_deep(html)


FLAT = [
    "",
    "<p>a</p>" * 1_000,
    "<p>" * 1_000,
    "<ul>" + "<li>a" * 1_000 + "</ul>",
    "<table>" + "<tr><td><b>a</b><td><a href='x'>b</a>" * 500 + "</table>",
    "<br><img src=x><hr/>" * 500,
    "<div><span>a</span></div>" * 500,
    "<!-- <div> -->" * 500,
    "<script>" + "<div>" * 500 + "</script>",
    "<div><p>a</div>" * 500,
    "<svg><path/></svg>" + "<b>a</b>" * 300,
    "<a href='x>y'>z</a>" * 300,
    "1 < 2 " * 500,
    "<dl>" + "<dt>a<dd>b" * 500 + "</dl>",
    "<table>" + "<tr><th>a<td><i>b</td>" * 500 + "</table>",
    "<li>the \\<name> of it</li>" * 500,
    "<p>the \\<string\\[]> of it</p>" * 500,
    "<a name='x'>b<p>" * 500,
    "<center><font>a</center>" * 50,
]


@pytest.mark.parametrize("html", FLAT)
def test_flat_html_passes(html: str) -> None:
    assert not nesting.too_deep(html)


NAMES = [
    *("hr", "div", "span", "b", "i", "a", "p", "li", "ul", "ol", "table", "tr", "td", "th", "dl"),
    *("dt", "dd", "form", "section", "x-y", "h1", "caption", "tbody", "details", "summary", "em"),
    *("code", "pre", "blockquote", "article", "center", "font", "nav", "main", "button", "object"),
]
VOID = {"hr"}


class Depth(HTMLParser):
    """Measures well-formed HTML."""

    deepest = depth = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.depth += tag not in VOID
        self.deepest = max(self.deepest, self.depth)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self.depth -= 1


def soup(chance: random.Random) -> str:
    names = [chance.choice(NAMES) for _ in range(chance.randint(2, 7))]
    ends = ["/" * (chance.random() < 0.45) for _ in names]
    return "".join(
        # different attributes: a parser opens equal formatting again only three times
        f"<{end}{name}{'' if end else f' id=a{turn}'}>"
        for turn in range(150)
        for end, name in zip(ends, names, strict=True)
    )


def test_no_tag_soup_is_deeper_for_the_parser_than_it_looks() -> None:
    chance = random.Random(1)  # noqa: S311 - the same soups in every run
    for html in (soup(chance) for _ in range(400)):
        if not nesting.too_deep(html):
            measure = Depth()
            measure.feed(nh3.clean(html, tags={*NAMES, "colgroup"}, link_rel=None))
            assert measure.deepest <= 4 * nesting.MAX_DEPTH, html[:200]
