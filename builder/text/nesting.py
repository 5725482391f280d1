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


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The standard's kinds of elements, https://html.spec.whatwg.org/multipage/parsing.html
_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_FORMATTING = _names("a b big code em font i nobr s small strike strong tt u")
_SPECIAL = _names(
    "address applet article aside blockquote body button caption center colgroup dd details dir "
    "div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup html "
    "li listing main marquee menu nav object ol p pre search section summary table tbody td tfoot "
    "th thead tr ul"
)
_RAW_TEXT = _names("iframe noembed noframes script style textarea title xmp")
_TABLE_PARTS = _names("caption tbody td tfoot th thead tr")
# Elements that another's beginning ends.
_ENDED_BY = {
    "dd": _names("dd dt"),
    "dt": _names("dd dt"),
    "li": _names("li"),
    "td": _names("td th"),
    "th": _names("td th"),
    "tr": _names("td th tr"),
}
_ENDS_PARAGRAPH = _names(
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p pre "
    "search section summary table ul xmp"
)
# An end tag does not reach through these to what is open around them.
_SCOPE = _names("applet caption marquee object table td th")
_TABLE_SCOPE = _names("caption table")
_ITEM_SCOPE = _SCOPE | _names("ol ul")
_PARAGRAPH_SCOPE = _SCOPE | _names("button")
# In and after these, end tags do not mean what they say elsewhere.
_UNCLEAR = _names("frameset math noscript plaintext select svg template")

_TOKEN = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<[!?][^>]*+>"
    r"|</(?P<end>[A-Za-z][^ \t\n\f\r/<>]*+)[ \t\n\f\r]*+>"
    r"|<(?P<start>[A-Za-z][^ \t\n\f\r/<>]*+)"
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
        if match["start"] and name in _ENDS_PARAGRAPH:
            _close("p", open_names)
        if match["end"]:
            _close(name, open_names)
        elif name in _RAW_TEXT:
            end = re.compile(rf"</{name}(?=[ \t\n\f\r/>])", re.IGNORECASE).search(html, at)
            at = end.start() if end else len(html)
        elif name and name not in _VOID:
            _begin(name, open_names)
            if len(open_names) > MAX_DEPTH:
                return True
    return False


def _begin(name: str, open_names: list[str]) -> None:
    """Put an element on, after those that its beginning ends."""
    if name in _TABLE_PARTS and "table" not in open_names:
        return  # a parser drops it
    ended = _ENDED_BY.get(name, frozenset())
    index = len(open_names)
    for at in range(len(open_names) - 1, -1, -1):
        if open_names[at] in ended:
            index = at
        elif open_names[at] in _SPECIAL:
            break
    _end_from(index, open_names)
    if name == "a":  # links do not nest
        _close(name, open_names)
    open_names.append(name)


def _close(name: str, open_names: list[str]) -> None:
    """Take off what an end tag closes."""
    boundaries = _boundaries(name)
    for at in range(len(open_names) - 1, -1, -1):
        if open_names[at] == name:
            if name in _FORMATTING or name == "form":
                del open_names[at]  # what is inside stays open
            else:
                _end_from(at, open_names)
            return
        if open_names[at] in boundaries:
            return


def _boundaries(name: str) -> frozenset[str]:
    if name == "table":
        return frozenset()
    if name in _TABLE_PARTS:
        return _TABLE_SCOPE
    if name == "li":
        return _ITEM_SCOPE
    if name == "p":
        return _PARAGRAPH_SCOPE
    return _SCOPE if name in _SPECIAL or name in _FORMATTING else _SPECIAL


def _end_from(index: int, open_names: list[str]) -> None:
    """End the elements from `index` on; formatting is opened again behind them."""
    if open_names[index:]:
        in_cell = open_names[index] in {"td", "th", "caption"}
        open_names[index:] = [
            name for name in open_names[index + 1 :] if name in _FORMATTING and not in_cell
        ]
