"""Our own part of Python-Markdown: what a README's tree becomes before it is HTML.

Text that no inline pattern can match is marked so that none is tried (a
quarter of the time of a README), headings get ids and anchors, and the title
and the first paragraph are read off on the way.
"""

from __future__ import annotations

import html
import re
from typing import cast
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import InlineProcessor, Treeprocessor
from markdown.util import AtomicString

EXCERPT_LENGTH = 200  # characters

_INLINE = re.compile(r"[`\\\[<&*_~]|  \n|://")
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_STASHED = re.compile("\x02([^\x03]*)\x03")
_NOT_SLUG = re.compile(r"[^\w\- ]+")


class PageExtension(Extension):
    """Registers the steps below and keeps what they found."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.excerpt = ""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Python-Markdown's name
        """Place each step between Python-Markdown's own (inline 20, attributes 8, unescape 0)."""
        md.registerExtension(self)
        md.treeprocessors.register(_Plain(md), "builder-plain", 22)
        md.treeprocessors.register(_Headings(md, self), "builder-headings", 7)
        md.treeprocessors.register(_Anchors(md), "builder-anchors", 4)
        md.treeprocessors.register(_Excerpt(md, self), "builder-excerpt", -1)

    def reset(self) -> None:
        """Forget the page before."""
        self.title = self.excerpt = ""


def freeze(md: Markdown) -> None:
    """Settle the inline patterns of `md`, which otherwise looks them up one by one, by number."""
    inline = cast("InlineProcessor", md.treeprocessors["inline"])
    inline.inlinePatterns = tuple(md.inlinePatterns)  # type: ignore[assignment]


class _Plain(Treeprocessor):
    """Marks text without any inline mark-up, which is then left alone."""

    def run(self, root: Element) -> None:
        for element in root.iter():
            text, tail = element.text, element.tail
            if text and type(text) is str and not _INLINE.search(text):
                element.text = AtomicString(text)
            if tail and type(tail) is str and not _INLINE.search(tail):
                element.tail = AtomicString(tail)


class _Headings(Treeprocessor):
    """Takes the title off, demotes other `h1`s, gives ids, turns alignment into classes."""

    def __init__(self, md: Markdown, page: PageExtension) -> None:
        super().__init__(md)
        self._page = page

    def run(self, root: Element) -> None:
        self._take_title(root)
        taken: dict[str, int] = {}
        for element in root.iter():
            if element.tag in _HEADINGS:
                if element.tag == "h1":
                    element.tag = "h2"
                element.set(
                    "id", _unique(element.get("id") or slug(_words(element, self.md)), taken)
                )
            elif element.tag in {"td", "th"} and "align" in element.attrib:
                element.set("class", f"align-{element.attrib.pop('align')}")

    def _take_title(self, root: Element) -> None:
        first = next((element for element in root.iter("h1")), None)
        if first is None:
            return
        self._page.title = _words(first, self.md)
        if len(root) and root[0] is first:
            root.remove(first)


class _Anchors(Treeprocessor):
    """Puts a link to itself into each heading, after a table of contents has read its words."""

    def run(self, root: Element) -> None:
        for element in root.iter():
            if element.tag in _HEADINGS and (name := element.get("id")):
                label = f"Link to the section {_words(element, self.md)}"
                anchor = Element(
                    "a", {"class": "heading-anchor", "href": f"#{name}", "aria-label": label}
                )
                anchor.text = AtomicString("#")
                element.append(anchor)


class _Excerpt(Treeprocessor):
    """Reads the first paragraph that says something."""

    def __init__(self, md: Markdown, page: PageExtension) -> None:
        super().__init__(md)
        self._page = page

    def run(self, root: Element) -> None:
        paragraphs = (_words(element, self.md) for element in root if element.tag == "p")
        self._page.excerpt = shortened(next(filter(None, paragraphs), ""))


def shortened(text: str, length: int = EXCERPT_LENGTH) -> str:
    """Return at most `length` characters of `text`, cut between words."""
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"


def _unique(name: str, taken: dict[str, int]) -> str:
    name = name or "section"
    while name in taken:
        taken[name] += 1
        name = f"{name}-{taken[name]}"
    taken[name] = 0
    return name


def slug(text: str) -> str:
    """Return a heading's id, as the code forges make it: `What's new?` is `whats-new`."""
    return _NOT_SLUG.sub("", text.lower()).strip().replace(" ", "-")


def _words(element: Element, md: Markdown) -> str:
    """Return the text in an element, without images and raw HTML."""
    text = "".join(element.itertext())
    if "\x02" in text:
        text = _STASHED.sub(lambda match: _unstashed(match[1], md), text)
    return " ".join(text.split())


def _unstashed(key: str, md: Markdown) -> str:
    """Return the text that Python-Markdown has put aside under `key`; of tags, nothing."""
    if key == "amp":
        return "&"
    if key.isdigit():  # an escaped character
        return chr(int(key))
    number = key.rpartition(":")[2]
    raw = md.htmlStash.rawHtmlBlocks[int(number)] if number.isdigit() else ""
    return html.unescape(raw) if isinstance(raw, str) and raw.startswith("&") else ""
