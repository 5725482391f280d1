"""How deep the tags of some HTML nest, found out without an HTML parser.

A parser takes time that is quadratic in the depth, and nothing stops it. So
depth is estimated here by the rules of the HTML standard, never too low: an
end tag counts only where a parser could not read it as anything else.
"""

from __future__ import annotations

import re

from builder.errors import ContentError

MAX_DEPTH = 100
MAX_UNCLEAR = 1_000  # tags after a place where end tags can no longer be trusted

_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
# Elements that end by themselves where another of their kind begins.
_CLOSED_BY_NEXT = frozenset({"dd", "dt", "li", "option", "p", "td", "th", "tr"})
# Elements that are opened again after the element around them has ended.
_FORMATTING = frozenset(
    {
        "a",
        "b",
        "big",
        "code",
        "em",
        "font",
        "i",
        "nobr",
        "s",
        "small",
        "strike",
        "strong",
        "tt",
        "u",
    }
)
# An end tag does not reach through these to what is open around them.
_BOUNDARIES = frozenset({"applet", "caption", "marquee", "object", "table"})
_RAW_TEXT = frozenset(
    {"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"}
)
_UNCLEAR = frozenset({"math", "noscript", "plaintext", "select", "svg", "template", "frameset"})

_TOKEN = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<[!?][^>]*+>"
    r"|</(?P<end>[A-Za-z][A-Za-z0-9-]*+)[ \t\n\f\r]*+>"
    r"|<(?P<start>[A-Za-z][A-Za-z0-9-]*+)"
    r"(?:[ \t\n\f\r/]++(?:[^ \t\n\f\r/=<>\"']++"
    r"(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\f\r\"'`=<>]++))?+)?+)*+>"
    r"|(?P<odd><[A-Za-z/!?])",
    re.DOTALL,
)
_START = re.compile(r"<[A-Za-z]")


def check_html(html: str, *, path: str, first_line: int) -> None:
    """Refuse HTML whose tags nest deeper than 100, before a parser sees it.

    Raises ContentError at `path` and `first_line`, where the text begins.
    """
    if html.count("<") > MAX_DEPTH and too_deep(html):
        message = f"nests HTML tags deeper than the limit of {MAX_DEPTH}"
        hint = "close the tags, or write it in Markdown"
        raise ContentError.at(path, message, hint, line=first_line)


def too_deep(html: str) -> bool:
    """Tell whether elements may nest deeper than 100."""
    open_names: list[str] = []
    at = 0
    while match := _TOKEN.search(html, at):
        at = match.end()
        name = (match["start"] or match["end"] or "").lower()
        if match["odd"] or name in _UNCLEAR:
            return len(_START.findall(html, match.start())) > MAX_UNCLEAR
        if match["end"]:
            _close(name, open_names)
        elif name in _RAW_TEXT:
            end = re.compile(rf"</{name}(?=[ \t\n\f\r/>])", re.IGNORECASE).search(html, at)
            at = end.start() if end else len(html)
        elif name and name not in _VOID and name not in _CLOSED_BY_NEXT:
            open_names.append(name)
            if len(open_names) > MAX_DEPTH:
                return True
    return False


def _close(name: str, open_names: list[str]) -> None:
    """Take off what an end tag closes, by the standard's rules of scope."""
    for index in range(len(open_names) - 1, -1, -1):
        if open_names[index] == name:
            above = open_names[index + 1 :]
            if name not in _FORMATTING:
                above = [other for other in above if other in _FORMATTING]
            open_names[index:] = above
            return
        if open_names[index] in _BOUNDARIES and name != "table":
            return
