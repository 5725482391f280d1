"""What brings Python-Markdown near to GitHub: a text's blocks, found by CommonMark's rules.

Python-Markdown wants four spaces in front of what is in a list item, an empty
line in front of a list, and knows neither fences nor tables in odd places. So
each text is read here as CommonMark reads it (https://spec.commonmark.org) and
written again as Python-Markdown wants it; code and raw HTML are put aside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from html import escape
from itertools import count
from typing import NamedTuple, cast
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

from builder.text.fences import FENCE, closing

_LANGUAGE = re.compile(r"[ \t]*(?:\{[ \t]*\.)?([\w#.+-]*)")
_QUOTE = re.compile(r" {0,3}> ?")
_ITEM = re.compile(r"(?P<indent> {0,3})(?P<marker>[-+*]|[0-9]{1,9}[.)])(?P<space> +|$)(?P<text>.*)")
# Possessive where a line could be tried in many ways: one line may be a quarter of a megabyte.
_RULE = re.compile(r" {0,3}(?:(?:- *+){3,}+|(?:_ *+){3,}+|(?:\* *+){3,}+)$")
_HEADING = re.compile(r" {0,3}(?P<marks>#{1,6})(?:[ ]++(?P<text>.*)|$)")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+) *$")
_DELIMITERS = re.compile(r" {0,3}\|? *+:?-++:? *+(?:\| *+:?-++:? *+)*+\|? *+$")
_INDENTED = re.compile(r" {0,3}(?P<head>\[\^[^\]\s]+\]:|!!! ?[\w-]+)(?P<text>.*)")
_CELL = re.compile(r"(?:[^|\\]|\\.)+")
_TICKED = re.compile(r"`+[^`]+`+")
_TAG = (
    r"(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|"
    r"details|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|"
    r"head|header|hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|"
    r"option|p|param|search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul)"
)
_ATTRIBUTE = r"\s+[A-Za-z_:][\w.:-]*(?:\s*=\s*(?:[^\s\"'=<>`]+|'[^']*'|\"[^\"]*\"))?"
_RAW = tuple(
    # the kinds of HTML blocks: how each begins, and what is on its last line (None: an empty one
    # follows); the last kind does not interrupt a paragraph
    (re.compile(rf"(?i) {{0,3}}{start}"), re.compile(f"(?i){end}") if end else None)
    for start, end in (
        (r"<(?:script|pre|style|textarea)(?:\s|>|$)", r"</(?:script|pre|style|textarea)>"),
        (r"<!--", r"-->"),
        (r"<\?", r"\?>"),
        (r"<![A-Za-z]", r">"),
        (rf"</?{_TAG}(?:\s|/?>|$)", None),
        (rf"<(?:/[A-Za-z][\w-]*\s*|[A-Za-z][\w-]*(?:{_ATTRIBUTE})*\s*/?)>\s*$", None),
    )
)
_CODE_INDENT = 4
# What may begin something within a line: anything but letters, digits and harmless signs.
_MARK = re.compile(r"[^\w\s.,;?'\"()+=/%$|-]|_|(?i:www\.)|  \n")

Store = Callable[[str], str]


class CommonMarkExtension(Extension):
    """Reads the blocks; Python-Markdown's own search for code and raw HTML is not needed then."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Python-Markdown's name
        """Put the step below behind the one for white space (30)."""
        md.preprocessors.deregister("html_block")
        md.parser.blockprocessors.deregister("code")
        md.preprocessors.register(_Blocks(md), "builder-commonmark", 25)
        md.treeprocessors.register(_Plain(md), "builder-plain", 20.5)  # `inline` has 20


class _Plain(Treeprocessor):
    """Spares text without any mark, such as most cells of tables, the search for twenty of them."""

    def run(self, root: Element) -> None:
        for node in root.iter():
            if node.text and _MARK.search(node.text) is None:
                node.text = AtomicString(node.text)


class _Blocks(Preprocessor):
    """The step of Python-Markdown that writes a text's blocks anew."""

    def run(self, lines: list[str]) -> list[str]:
        store = cast("Store", self.md.htmlStash.store)
        return Writer([line.expandtabs(4) for line in lines], store).run()


class Item(NamedTuple):
    """The first line of a list item: its marker, and the column its content begins at."""

    marker: str
    offset: int
    text: str


def _item_of(line: str, *, in_text: bool = False) -> Item | None:
    """Return the item that begins here; only `1.` and what is not empty interrupt a paragraph."""
    found = _ITEM.match(line)
    if found is None or _RULE.match(line):
        return None
    if in_text and (not found["text"].strip() or found["marker"][:-1] not in {"", "1"}):
        return None
    space = len(found["space"])
    if space > _CODE_INDENT or not found["text"].strip():
        space = 1
    offset = len(found["indent"]) + len(found["marker"]) + space
    return Item(found["marker"], offset, line[offset:])


class Writer:
    """Writes the lines of one container (a text, an item, a quote) as Python-Markdown wants them.

    `store` puts HTML aside and returns what stands for it; in an item blocks
    need no empty line between them.
    """

    def __init__(self, lines: list[str], store: Store, *, in_item: bool = False) -> None:
        self._lines = lines
        self._store = store
        self._in_item = in_item
        self._at = 0
        self._blocks: list[tuple[str, list[str]]] = []  # of a kind each
        self._text: list[str] = []  # the open paragraph
        self._gap = False  # whether an empty line came since the last block
        self.loose = False  # whether one came between two blocks
        self._steps = (
            self._code, self._fence, self._raw, self._heading, self._underlined, self._rule,
            self._quote, self._list, self._table, self._indented,
        )  # fmt: skip

    def run(self) -> list[str]:
        """Return the lines, an empty one between two blocks where that changes something."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.strip():
                self._end_text()
                self._gap = bool(self._blocks)
                self._at += 1
            elif not any(step(line) for step in self._steps_for(line)):
                self._text.append(line.lstrip())
                self._at += 1
        self._end_text()
        return list(self._written())

    def _steps_for(self, line: str) -> Iterable[Callable[[str], bool]]:
        return (self._table,) if _is_plain(line) else self._steps

    def _written(self) -> Iterator[str]:
        before = ""
        for kind, lines in self._blocks:
            tight = self._in_item and before == "text" and kind in {"list", "html"}
            if before and (self.loose or not tight):
                yield ""
            if before == kind and kind in {"list", "quote"}:
                yield from (self._store("<!-- -->"), "")  # else Python-Markdown makes one of both
            yield from lines
            before = kind

    def _add(self, kind: str, lines: list[str]) -> bool:
        """Take up a block, after the open paragraph."""
        self._end_text()
        self.loose |= self._gap
        self._gap = False
        self._blocks.append((kind, lines))
        return True

    def _end_text(self) -> None:
        lines, self._text = self._text, []
        if lines:
            self._add("text", _paragraph(lines))

    def _put_aside(self, html: str) -> bool:
        return self._add("html", [self._store(html)])

    def _take(self, wanted: Callable[[str], bool]) -> list[str]:
        """Return the next lines as long as they are wanted."""
        start = self._at
        while self._at < len(self._lines) and wanted(self._lines[self._at]):
            self._at += 1
        return self._lines[start : self._at]

    def _code(self, line: str) -> bool:
        if self._text or _indent(line) < _CODE_INDENT:
            return False
        lines = self._take(lambda line: not line.strip() or _indent(line) >= _CODE_INDENT)
        text = "\n".join(line[_CODE_INDENT:] for line in lines).rstrip()
        self._put_aside(f"<pre><code>{escape(text)}\n</code></pre>")
        self._gap = not lines[-1].strip()
        return True

    def _fence(self, line: str) -> bool:
        found = FENCE.match(line)
        if found is None:
            return False
        self._at += 1
        end = closing(found["marks"])
        lines = self._take(lambda line: not end.match(line))
        self._at += 1
        width = _indent(line)
        code = "".join(f"{line[min(width, _indent(line)) :]}\n" for line in lines)
        name = (_LANGUAGE.match(found["info"]) or found)[1]
        label = f' class="language-{escape(name)}"' if name else ""
        return self._put_aside(f"<pre><code{label}>{escape(code)}</code></pre>")

    def _raw(self, line: str) -> bool:
        kinds = _RAW[:-1] if self._text else _RAW
        found = [end for start, end in kinds if start.match(line)]
        if not found:
            return False
        end = found[0]
        if end is None:
            lines = self._take(lambda line: bool(line.strip()))
        else:
            lines = self._take(lambda line: end.search(line) is None)
            lines += self._lines[self._at : self._at + 1]
            self._at += 1
        return self._put_aside("\n".join(lines))

    def _heading(self, line: str) -> bool:
        found = _HEADING.match(line)
        if found is None:
            return False
        self._at += 1
        return self._add("heading", [_heading_line(found["marks"], _unmarked(found["text"] or ""))])

    def _underlined(self, line: str) -> bool:
        if not self._text or not _UNDERLINE.match(line):
            return False
        marks = "#" if "=" in line else "##"
        text, self._text = " ".join(part.strip() for part in self._text), []
        self._at += 1
        return self._add("heading", [_heading_line(marks, text)])

    def _rule(self, line: str) -> bool:
        if not _RULE.match(line):
            return False
        self._at += 1
        return self._add("rule", ["---"])

    def _quote(self, line: str) -> bool:
        if not _QUOTE.match(line):
            return False
        lines: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if found := _QUOTE.match(line):
                lines.append(line[found.end() :])
            elif not (line.strip() and _is_text(lines) and not _begins(line)):
                break
            else:
                lines.append(line)
            self._at += 1
        inner = Writer(lines, self._store).run()
        return self._add("quote", [f"> {line}".rstrip() for line in inner])

    def _list(self, line: str) -> bool:
        item = _item_of(line, in_text=bool(self._text))
        if item is None:
            return False
        kind, first = item.marker[-1], item.marker
        bodies: list[list[str]] = []
        loose = False
        while item is not None and item.marker[-1] == kind:
            lines, gap = self._item(item)
            inner = Writer(lines, self._store, in_item=True)
            bodies.append(inner.run())
            loose |= inner.loose
            item = _item_of(self._lines[self._at]) if self._at < len(self._lines) else None
            loose |= gap and item is not None and item.marker[-1] == kind
        self._add("list", list(self._items(first, bodies, loose=loose)))
        self._gap = gap
        return True

    def _items(self, first: str, bodies: list[list[str]], *, loose: bool) -> Iterator[str]:
        start = int(first[:-1]) if first[:-1] else None
        apart = loose or any("" in body for body in bodies)
        for number, body in zip(count(start or 0), bodies, strict=False):
            marker = "-" if start is None else f"{number}."
            head, *rest = body or [self._store("<!-- -->")]
            yield f"{marker} {head}"
            yield from (f"    {line}" if line else "" for line in rest)
            if apart:
                yield ""

    def _item(self, item: Item) -> tuple[list[str], bool]:
        """Return the lines of an item, and whether empty ones came behind it."""
        lines = [item.text]
        self._at += 1
        gap = 0
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.strip():
                gap += 1
                if len(lines) == 1 and not lines[0].strip():
                    break
            elif _indent(line) >= item.offset:
                lines += [""] * gap + [line[item.offset :]]
                gap = 0
            elif gap or not _is_text(lines) or _begins(line):
                break
            else:
                lines.append(line.lstrip())
            self._at += 1
        return lines, gap > 0

    def _table(self, line: str) -> bool:
        following = self._lines[self._at + 1 : self._at + 2]
        if "|" not in line or not following or not _DELIMITERS.match(following[0]):
            return False
        if len(_cells(line)) != len(_cells(following[0])):
            return False
        self._end_text()
        rows = self._take(lambda line: bool(line.strip()) and not _begins(line))
        return self._add("table", [_TICKED.sub(_unescaped, row.strip()) for row in rows])

    def _indented(self, line: str) -> bool:
        """Take a footnote or an admonition, whose further lines are indented."""
        found = _INDENTED.match(line)
        if self._text or found is None:
            return False
        self._at += 1
        is_note = found["head"].startswith("[")
        first = [found["text"].strip()] if is_note else []
        lines = self._take(lambda line: not line.strip() or _indent(line) >= _CODE_INDENT)
        inner = Writer([*first, *(line[_CODE_INDENT:] for line in lines)], self._store).run()
        head, *rest = inner if is_note else [found["text"].lstrip(), *inner]
        rest = [f"    {line}" if line else "" for line in rest]
        self._add("indented", [f"{found['head']} {head}", *rest])
        self._gap = bool(lines) and not lines[-1].strip()
        return True


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_text(lines: list[str]) -> bool:
    """Tell whether the last of some lines is one of a paragraph, or of one in an item or quote."""
    last = lines[-1] if lines else ""
    while True:
        if found := _QUOTE.match(last):
            last = last[found.end() :]
        elif item := _item_of(last):
            last = item.text
        else:
            break
    return bool(last.strip()) and not (
        FENCE.match(last) or _HEADING.match(last) or _RULE.match(last)
    )


def _is_plain(line: str) -> bool:
    """Tell at once of most lines that nothing begins here but a paragraph or a table."""
    return line[:1].isalpha() or line.startswith("|")


def _begins(line: str) -> bool:
    """Tell whether a line begins a block, and is no text of a paragraph in an item or quote."""
    return not _is_plain(line) and bool(
        FENCE.match(line) or _HEADING.match(line) or _RULE.match(line) or _QUOTE.match(line)
        or _item_of(line) or any(start.match(line) for start, _ in _RAW)
    )  # fmt: skip


def _paragraph(lines: list[str]) -> list[str]:
    """Return a paragraph's lines: its breaks as two spaces, nothing that would be a heading."""
    lines = [f"\\{line}" if line.startswith("#") else line for line in lines]
    return [_broken(line) for line in lines[:-1]] + [lines[-1].rstrip()]


def _broken(line: str) -> str:
    return f"{line[:-1]}  " if re.search(r"(?<!\\)(?:\\\\)*\\$", line) else line


def _heading_line(marks: str, text: str) -> str:
    """Return a heading's line; `#` at its end would be taken off."""
    return f"{marks} {text[:-1]}\\#" if text.endswith("#") else f"{marks} {text}"


def _unmarked(text: str) -> str:
    """Return a heading's text without the marks that may end it."""
    text = text.strip()
    bare = text.rstrip("#")
    return bare.rstrip() if not bare or bare.endswith(" ") else text


def _cells(row: str) -> list[str]:
    """Return the cells of a table's row."""
    return _CELL.findall(row.strip().strip("|"))


def _unescaped(code: re.Match[str]) -> str:
    return code[0].replace("\\|", "|")
