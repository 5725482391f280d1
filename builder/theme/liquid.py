"""Liquid, the language of Jekyll's page layouts, recognised so that it can be explained.

Page layouts here are Jinja's. The two look so much alike that a layout taken
from a Jekyll theme mostly parses, and then fails far from its cause; each
Liquid construct is named with the way Jinja writes it. Nothing is translated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Construct(NamedTuple):
    """A Liquid construct: its line, what it is, and how Jinja writes the same."""

    line: int
    what: str
    hint: str


_SPAN = re.compile(
    r"\{#.*?#\}"  # a comment says nothing
    r"|\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}"
    r"|\{(?P<kind>[%{])[-+]?(?P<code>.*?)[-+]?[%}]\}",
    re.DOTALL,
)
_STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
_GROUP = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")

# Tags that Jinja does not have, by their first word.
_TAGS = {
    "assign": "write {% set name = value %}",
    "capture": "write {% set name %}...{% endset %}",
    "endcapture": "write {% endset %}",
    "comment": "write {# ... #}",
    "endcomment": "write {# ... #}",
    "unless": "write {% if not ... %}",
    "endunless": "write {% endif %}",
    "elsif": "write {% elif ... %}",
    "case": "write {% if a == 1 %}...{% elif a == 2 %}...{% endif %}",
    "when": "write {% elif value == ... %}",
    "endcase": "write {% endif %}",
    "cycle": "write {{ loop.cycle('odd', 'even') }}",
    "increment": "write loop.index, or a namespace() that is set in the loop",
    "decrement": "write loop.revindex, or a namespace() that is set in the loop",
    "tablerow": "write {% for ... in ... | batch(3) %} around the rows",
    "endtablerow": "write {% endfor %}",
    "echo": "write {{ value }}",
    "liquid": "write one {% ... %} for each line",
    "render": "write {% include 'name.html' %}",
    "include_relative": "write {% include 'name.html' %} for a file in _includes",
    "highlight": "write a fenced code block in Markdown, or <pre><code>",
    "endhighlight": "write </code></pre>",
    "link": "write {{ '/path/' | relative_url }}",
    "post_url": "write {{ '/path/' | relative_url }}",
    "gist": "write a link",
    "seo": "the theme's head writes these tags itself",
    "feed_meta": "the theme's head writes this tag itself",
    "paginator": "lists are split into pages by the generator",
}

# Constructs inside a tag or an output whose strings were emptied.
_INSIDE = (
    (
        r"^include\s+[^\s'\"({\[|]+\.(?:html?|xml|svg|md|js|css|json|txt|liquid)(?=\s|$)",
        "an include without quotes",
        "write {% include 'name.html' %}",
    ),
    (
        r"^include\s+['\"]{2}\s+\w+\s*=",
        "an include with parameters",
        "write {% with key = value %}{% include 'name.html' %}{% endwith %}, or call a macro",
    ),
    (
        r"^for\b.*\b(?:limit|offset)\s*:",
        "a loop with limit or offset",
        "write {% for item in items[offset:limit] %}",
    ),
    (r"^for\b.*\breversed\s*$", "a reversed loop", "write {% for item in items | reverse %}"),
    (r"\(\s*[\w.]+\s*\.\.\s*[\w.]+\s*\)", "a range (1..n)", "write range(1, n + 1)"),
    (r"\bforloop\b", "'forloop'", "write loop.index, loop.first, loop.last, loop.length"),
    (r"\binclude\.\w", "an include's parameter", "set it with {% with %} and write its name alone"),
    (r"[\w\]]\s+contains\b", "'contains'", "write {% if part in whole %}"),
    (
        r"[!=]=\s*(?:blank|empty)\b",
        "'blank' or 'empty'",
        "write {% if value %} or {% if not value %}",
    ),
    (r"\bnil\b", "'nil'", "write none"),
    (r"&&", "'&&'", "write and"),
    (r"\|\|", "'||'", "write or"),
    (r"<>", "'<>'", "write !="),
)
_RULES = tuple((re.compile(pattern, re.DOTALL), what, hint) for pattern, what, hint in _INSIDE)
_ARGUMENT = re.compile(r"\|\s*(\w+)\s*:")


def constructs(text: str) -> Iterator[Construct]:
    """Yield every Liquid construct in the source of a page layout, in order."""
    for match in _SPAN.finditer(text):
        if match["kind"] is None:
            continue
        line = text.count("\n", 0, match.start()) + 1
        code = _STRING.sub("''", match["code"]).strip()
        for what, hint in _explain(code, is_tag=match["kind"] == "%"):
            yield Construct(line, what, hint)


def _explain(code: str, *, is_tag: bool) -> Iterator[tuple[str, str]]:
    word = re.match(r"\w*", code)
    if is_tag and word and word[0] in _TAGS:
        yield f"{{% {word[0]} %}}", _TAGS[word[0]]
    for pattern, what, hint in _RULES:
        if pattern.search(code):
            yield what, hint
    for name in _ARGUMENT.findall(_outside_brackets(code)):
        yield f"a filter with a colon ('| {name}: ...')", f"write | {name}(...)"


def _outside_brackets(code: str) -> str:
    """Return `code` without what stands in brackets: there a colon is a slice or a dictionary."""
    while True:
        code, count = _GROUP.subn("", code)
        if not count:
            return code
