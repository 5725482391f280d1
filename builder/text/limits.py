"""How large and how deep a README may be, counted before anything parses it.

Python-Markdown takes 45 s on 20,000 `[`, an HTML parser two minutes on
100,000 nested `<div>`, and no signal reaches it there. What it costs grows
with an opening character's distance to its end, so that is what is summed up,
in linear time; an honest README of the largest size uses a fraction of the
budget. Code in fences is not counted: it is never searched for mark-up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NoReturn

from builder.errors import ContentError
from builder.text.fences import FENCE, closing

MAX_BYTES = 256 << 10
MAX_RUN = 250  # equal opening characters in a row
MAX_NESTING = 32  # quotes and lists in one another
MAX_TAGS = 10_000
MAX_UNCLOSED = 100
MAX_CELLS = 20_000
MAX_COLUMNS = 200
MAX_DEFINITIONS = 5_000
MAX_FENCES = 4_000  # opening and closing lines

# A step is about half a nanosecond of Python-Markdown's time: what it takes to
# pass over one character while another one's end is looked for.
_BUDGET = 4_000_000_000
_PER_SPECIAL = 1
_PER_LINE = 100  # headings, rules and definitions, which split the block they are in
_PER_ESCAPE = 2
_PER_BRACE = 8  # of attributes, in headings
_PER_TAG = 120
_PER_TICK = 120
_PER_PAREN = 220
_PER_BRACKET = 540

_HINT = "write it more simply, or put code into a fence (```)"
_SPECIAL = "[]`*_\\&<~{"
_SPECIALS = re.compile(r"[\[\]`*_\\&<~{]|  \n")
_RUN = re.compile(r"([\[(<>*_`!&~\\])\1{" + str(MAX_RUN) + "}")
_QUOTE_OR_ITEM = r"(?:[ \t]*(?:>|[-*+](?=[ \t])|[0-9]{1,9}[.)](?=[ \t])))"
_NESTED = re.compile(
    r"^" + _QUOTE_OR_ITEM + "{" + str(MAX_NESTING + 1) + r"}(?! {0,2}([-*])(?: {0,2}\1)* *$)",
    re.MULTILINE,
)
_INDENTED = re.compile(
    r"^(?:\t| {1,3}\t| {4}){"
    + str(MAX_NESTING)
    + r"}[ \t]*(?:>|[-*+][ \t]|[0-9]{1,9}[.)][ \t]|!!!)",
    re.MULTILINE,
)
_TAG = re.compile(r"<[A-Za-z/!?]")
_FORMATTING = re.compile(
    r"<(/?)(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])", re.IGNORECASE
)
_TAG_ENDS = re.compile(r"<[A-Za-z/!?]|>")
_BRACKETS = re.compile(r"\]\(|[\[\]()]")
_TICKS = re.compile(r"\\?(`+)")
_OTHER_FENCE = re.compile(r"^[ \t>]*+(?:[-*+]|[0-9]{1,9}[.)])?+[ \t>]*+(?:```|~~~)", re.MULTILINE)
_DELIMITERS = re.compile(r"^[ \t|>]*+:?-[-: \t|]*$", re.MULTILINE)
_SPLITTING = re.compile(r"^(?:[ \t>]*+(?:#|!!!|[-=*_][-=*_ \t]*$))", re.MULTILINE)
_DEFINITION_LINE = r"[ \t>]*+\[[^\]\n]*\]:"
_DEFINITION = re.compile(rf"^{_DEFINITION_LINE}", re.MULTILINE)
_DEFINED_AFTER_TEXT = re.compile(
    rf"^(?!{_DEFINITION_LINE})[^\n]+\n(?={_DEFINITION_LINE})", re.MULTILINE
)
_BLANK = re.compile(r"(?:\n[ \t]*)+(?=\n)")
_ITEMS = tuple(  # an item of the other kind does not begin a new one
    re.compile(rf"^(?= {{0,3}}{marker} )", re.MULTILINE) for marker in ("[-*+]", r"[0-9]{1,9}\.")
)


def check_source(text: str, *, path: str, first_line: int) -> None:
    """Refuse a Markdown text that is too large, or would keep the parser busy for seconds.

    Raises ContentError at a line counted from `first_line` (0: lines unknown).
    """
    _Check(text, path, first_line).run()


def check_html(html: str, *, path: str, first_line: int) -> None:
    """Refuse HTML that leaves more than 100 formatting elements open, before a parser sees it.

    A parser opens each of them again in every block that follows. Raises ContentError.
    """
    unclosed = 0
    for tag in _FORMATTING.finditer(html):
        unclosed = max(0, unclosed - 1) if tag[1] else unclosed + 1
        if unclosed > MAX_UNCLOSED:
            message = f"nests {MAX_UNCLOSED} tags such as <b> without closing them, the limit"
            raise ContentError.at(path, message, "close the tags", line=first_line)


class _Check:
    """The checks of one text, in the order of what they cost."""

    def __init__(self, text: str, path: str, first_line: int) -> None:
        self._raw = text
        self._text = _without_fences(text)  # as many lines as there were
        self._path = path
        self._first_line = first_line

    def run(self) -> None:
        raw, text = self._raw, self._text
        size = len(raw) if raw.isascii() else len(raw.encode("utf-8", "replace"))
        if size > MAX_BYTES:
            self._refuse(
                0, f"is too large for Markdown: {size:,} bytes, the limit is {MAX_BYTES:,}"
            )
        self._check_counts()
        self._check_shape()
        if "|" in text:
            self._check_tables()
        specials = sum(map(text.count, _SPECIAL))
        most = specials * _PER_BRACKET + text.count("\n") * (_PER_LINE + _PER_SPECIAL)
        if most * len(text) > _BUDGET:  # only then is it worth to look closer
            self._check_cost()

    def _refuse(self, offset: int, message: str) -> NoReturn:
        line = self._text.count("\n", 0, offset)
        at = self._first_line + line if self._first_line else 0
        raise ContentError.at(self._path, message, _HINT, line=at)

    def _check_counts(self) -> None:
        for text, pattern, limit, what in (
            (self._raw, _OTHER_FENCE, MAX_FENCES, "code fences"),
            (self._text, _TAG, MAX_TAGS, "HTML tags"),
            (self._text, _DEFINITION, MAX_DEFINITIONS, "link definitions"),
        ):
            count = sum(1 for _ in pattern.finditer(text))
            if count > limit:
                self._refuse(0, f"has too many {what}: {count:,}, the limit is {limit:,}")

    def _check_shape(self) -> None:
        if run := _RUN.search(self._text):
            self._refuse(run.start(), f"has a run of over {MAX_RUN} {run[1]!r}, which is the limit")
        for pattern in (_NESTED, _INDENTED):
            if nested := pattern.search(self._text):
                message = f"nests quotes or lists deeper than the limit of {MAX_NESTING}"
                self._refuse(nested.start(), message)

    def _check_tables(self) -> None:
        text = self._text
        cells = 0
        for match in _DELIMITERS.finditer(text):
            columns = match[0].count("|") + 1
            if columns < 2:
                continue
            end = _BLANK.search(text, match.end())
            cells += columns * (text.count("\n", match.end(), end.start() if end else None) + 1)
            if columns > MAX_COLUMNS or cells > MAX_CELLS:
                limit = f"{MAX_CELLS:,} cells and {MAX_COLUMNS} columns"
                self._refuse(match.start(), f"has too large a table; the limit is {limit}")

    def _check_cost(self) -> None:
        total = _PER_TAG * _tag_distance(self._text)
        if total > _BUDGET:
            self._refuse(0, "opens more HTML tags without closing them than the limits allow")
        for offset, block in _blocks(self._text):
            total += _block_cost(block) + sum(map(_text_cost, _texts(block)))
            if total > _BUDGET:
                signs = Counter(_SPECIALS.findall(block)) or Counter(block)
                sign, count = signs.most_common(1)[0]
                message = f"is over the limits: {count:,} times {sign!r} in one block of text"
                self._refuse(offset, message)


def _without_fences(text: str) -> str:
    """Return `text` with the lines of fenced code emptied.

    What is taken for code here must be code for the parser. So only the
    plainest fences count, after an empty line and at the start of one; after any
    other kind nothing is taken for code.
    """
    if "```" not in text and "~~~" not in text:
        return text
    lines = text.split("\n")
    start, end = 0, None
    for number, line in enumerate(lines):
        if end:
            if end.match(line):
                if not (start and lines[start - 1].strip()):
                    lines[start : number + 1] = [""] * (number + 1 - start)
                end = None
        elif not line.startswith(" ") and (fence := FENCE.match(line)):
            start, end = number, closing(fence["marks"])
        elif _OTHER_FENCE.match(line):
            break
    return "\n".join(lines)


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield the blocks between empty lines, and their offsets."""
    start = 0
    for match in _BLANK.finditer(text):
        yield start, text[start : match.start()]
        start = match.end()
    yield start, text[start:]


def _texts(block: str) -> list[str]:
    """Return the pieces of a block that are searched for inline mark-up, as a whole each."""
    inner = block.lstrip("\n")
    kind = next((item for item in _ITEMS if item.match(inner)), None)
    return kind.split(block) if kind else [block]


def _block_cost(block: str) -> int:
    """Return the cost of the lines that split a block, which is then looked at anew."""
    lines = sum(1 for _ in _SPLITTING.finditer(block))
    lines += sum(1 for _ in _DEFINED_AFTER_TEXT.finditer(block))
    return len(block) * lines * _PER_LINE


def _text_cost(text: str) -> int:
    specials = sum(1 for _ in _SPECIALS.finditer(text))
    cost = len(text) * specials * _PER_SPECIAL
    cost += len(text) * (text.count("\\") * _PER_ESCAPE + text.count("{") * _PER_BRACE)
    if "`" in text:
        cost += _tick_cost(text)
    return cost + _bracket_cost(text) if "[" in text else cost


def _tick_cost(text: str) -> int:
    """Return the cost of searching for each run of backticks the next one of its length."""
    cost = 0
    next_of: dict[int, int] = {}
    for match in reversed(list(_TICKS.finditer(text))):
        start, length = match.start(), len(match[1])
        opening = length - (match[0][0] == "\\")  # an escaped one does not open
        if opening:
            cost += (next_of.get(opening, len(text)) - start) * _PER_TICK
        next_of[length] = start
    return cost


def _bracket_cost(text: str) -> int:
    """Return the cost of searching for each `[` its `]`, and for each `](` its `)`."""
    brackets: list[int] = []
    parens: list[tuple[int, bool]] = []
    cost = 0
    for match in _BRACKETS.finditer(text):
        at, sign = match.start(), match[0]
        if sign == "[":
            brackets.append(at)
        if sign[0] == "]" and brackets:
            cost += (at - brackets.pop()) * _PER_BRACKET
        if sign[-1] == "(":
            parens.append((at, sign[0] == "]"))
        if sign == ")" and parens:
            opened, is_link = parens.pop()
            cost += (at - opened) * _PER_PAREN * is_link
    length = len(text)
    cost += sum(length - at for at in brackets) * _PER_BRACKET
    return cost + sum(length - at for at, is_link in parens if is_link) * _PER_PAREN


def _tag_distance(text: str) -> int:
    """Return the sum of the distances from each tag's `<` to the next `>`, or the end."""
    total, end = 0, len(text)
    for match in reversed(list(_TAG_ENDS.finditer(text))):
        if match[0] == ">":
            end = match.start()
        else:
            total += end - match.start()
    return total
