"""The last step of both engines: safe HTML becomes the text of a page.

Headings get GitHub's ids and a link to themselves, the title and the first
paragraph are read off, quotes that begin with `[!NOTE]` become notes, code is
coloured, `:tada:` becomes a sign, pictures of other hosts become links. What
comes in is nh3's HTML, which is balanced and quotes every attribute, so one
pass over its tags is enough.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html import escape, unescape
from typing import NamedTuple
from urllib.parse import unquote

from builder.text import highlight
from builder.text.links import ID_PREFIX, is_external, prefixed

EXCERPT_LENGTH = 200  # characters
LINK_REL = "nofollow noopener"  # of links to other hosts

_TOKEN = re.compile(
    r'<pre><code(?: class="language-(?P<language>[^"]*)")?>(?P<code>[^<]*)</code></pre>'
    r'|<(?P<end>/?)(?P<tag>[a-z][a-z0-9]*)(?P<attributes>(?: [a-z-]+="[^"]*")*)>'
)
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_VOID = frozenset({"br", "col", "hr", "img", "source", "wbr"})
_QUIET = frozenset({"blockquote", "dd", "details", "li", "table"})  # nothing in these is an excerpt
_ALERT = re.compile(
    r"\s*<p>\[!(note|tip|important|warning|caution)\][ \t]*(?:<br>)?(?:\n|(?=</p>))", re.IGNORECASE
)
_EMPTY = re.compile(r"<p></p>\n?")
_EMOJI = re.compile(r":([a-z0-9_+-]{1,40}):")


class Finished(NamedTuple):
    """The text of a page, its title (not in `html` when it began with it), its first paragraph.

    `ids` are all that a link can lead to, without their prefix.
    """

    html: str
    title: str
    excerpt: str
    ids: frozenset[str]


def finish(html: str) -> Finished:
    """Return the text of a page that `html`, which nh3 made, is."""
    return _Finisher(html).run()


class _Finisher:
    """One pass over the tags of a text."""

    def __init__(self, html: str) -> None:
        self._html = html
        self._out: list[str] = []
        self._open: list[tuple[str, str]] = []  # names of elements, and how each is ended
        self._heading = -1  # where the open one begins in `_out`
        self._picture = -1  # likewise
        self._words: list[str] | None = None  # of the open heading or paragraph
        self._taken: dict[str, int] = {}
        self._named: set[str] = set()
        self._title = self._excerpt = ""

    def run(self) -> Finished:
        at = 0
        while match := _TOKEN.search(self._html, at):
            self._text(self._html[at : match.start()])
            at = match.end()
            language, code, end, tag, attributes = match.groups()
            if code is not None:
                self._out.append(highlight.block(unescape(code), language or ""))
            elif end:
                self._end(tag)
            else:
                at = self._start(
                    tag, dict(_ATTRIBUTE.findall(attributes)) if attributes else {}, at
                )
        self._text(self._html[at:])
        html = _EMPTY.sub("", "".join(self._out)).strip()
        return Finished(html, self._title, self._excerpt, frozenset(self._named | {*self._taken}))

    def _inside(self, *names: str) -> bool:
        return any(name in names for name, _ in self._open)

    def _text(self, text: str) -> None:
        if not text:
            return
        shown = text
        if ":" in text and not self._inside("code", "pre", "kbd", "samp"):
            shown = _EMOJI.sub(_sign, text)
        if self._words is not None:  # ids are made of the names of signs
            self._words.append(text if self._inside(*_HEADINGS) else shown)
        self._out.append(shown)

    def _start(self, tag: str, attributes: dict[str, str], at: int) -> int:
        """Take up an element; return where to read on."""
        if attributes:
            self._named.update(attributes[key].removeprefix(ID_PREFIX)
                               for key in ("id", "name") if key in attributes)  # fmt: skip
            if side := attributes.pop("align", ""):
                attributes["class"] = f"{attributes.get('class', '')} align-{side}".strip()
        if tag == "blockquote" and not self._open and (alert := _ALERT.match(self._html, at)):
            return self._alert(alert)
        if tag in _HEADINGS:
            self._start_heading(tag, attributes)
        elif tag == "img":
            self._out.append(self._image(attributes))
        elif tag != "source" or "srcset" in attributes:
            self._start_other(tag, attributes)
        return at

    def _start_other(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "a" and is_external(attributes.get("href", "")):
            attributes["rel"] = LINK_REL
        elif tag == "p" and not self._excerpt and not self._inside(*_QUIET):
            self._words = []
        elif tag == "picture":
            self._picture = len(self._out)
        self._out.append(_tag(tag, attributes))
        if tag not in _VOID:
            self._open.append((tag, f"</{tag}>"))

    def _end(self, tag: str) -> None:
        _, written = self._open.pop() if self._open else ("", f"</{tag}>")
        if tag in _HEADINGS:
            self._end_heading(tag)
            return
        if tag == "picture":
            self._end_picture()
            return
        if tag == "p" and self._words is not None and not self._inside(*_HEADINGS):
            self._excerpt = _shortened(_joined(self._words))
            self._words = None
        self._out.append(written)

    def _end_picture(self) -> None:
        """End a picture, which is none where its image has become a link."""
        inner = self._out[self._picture + 1 :]
        if any(piece.startswith("<img") for piece in inner):
            self._out.append("</picture>")
        else:
            self._out[self._picture :] = [p for p in inner if not p.startswith("<source")]

    def _alert(self, match: re.Match[str]) -> int:
        name = match[1].lower()
        self._out.append(
            f'<div class="admonition {name}"><p class="admonition-title">{name.title()}</p>\n<p>'
        )
        self._open += [("blockquote", "</div>"), ("p", "</p>")]
        return match.end()

    def _start_heading(self, tag: str, attributes: dict[str, str]) -> None:
        self._heading, self._words = len(self._out), []
        self._open.append((tag, ""))
        self._out.append(attributes.get("id", ""))
        self._out.append(_attributes({**attributes, "id": ""}))

    def _end_heading(self, tag: str) -> None:
        """Write a heading with its id; the first `h1` is the title, and goes from the beginning."""
        start, words = self._heading, _joined(self._words or [])
        given, attributes, *inner = self._out[start:]
        del self._out[start:]
        self._words = None
        name = self._unique(given.removeprefix(ID_PREFIX) or slug(words))
        words = _EMOJI.sub(_sign, words)
        if tag == "h1" and not self._title:
            self._title = words
            if not "".join(self._out).strip():
                self._out.append(f'<span id="{prefixed(name)}"></span>')
                return
        level = "h2" if tag == "h1" else tag
        label = escape(f"Link to the section {words}")
        link = f'<a class="heading-anchor" href="#{prefixed(name)}" aria-label="{label}">#</a>'
        self._out.append(f'<{level} id="{prefixed(name)}"{attributes}>')
        self._out += [*inner, link, f"</{level}>"]

    def _unique(self, name: str) -> str:
        """Return an id that no heading has yet, numbered as GitHub does."""
        name = first = name or "section"
        while name in self._taken:
            self._taken[first] += 1
            name = f"{first}-{self._taken[first]}"
        self._taken[name] = 0
        return name

    def _image(self, attributes: dict[str, str]) -> str:
        """Return an image; pages load nothing from other hosts, so of theirs a link or its text."""
        source = attributes.get("src", "")
        if source and not is_external(source):
            return _tag("img", {"alt": "", **attributes})
        name = unquote(source.partition("?")[0].rstrip("/").rpartition("/")[2])
        text = escape(unescape(attributes.get("alt", "")).strip() or name or "image")
        if not source or self._inside("a"):
            return text
        return f'<a href="{source}" rel="{LINK_REL}">{text}</a>'


def _tag(name: str, attributes: dict[str, str]) -> str:
    return f"<{name}{_attributes(attributes)}>"


def _attributes(attributes: dict[str, str]) -> str:
    if not attributes:
        return ""
    return "".join(
        f' {name}="{value}"' for name, value in attributes.items() if value or name == "alt"
    )


def _joined(words: list[str]) -> str:
    return " ".join(unescape("".join(words)).split())


def slug(text: str) -> str:
    """Return a heading's id as GitHub makes it: `🚀 What's new?` is `-whats-new`."""
    kept = (char for char in text.lower() if char in "- " or _is_word(char))
    return "".join(kept).replace(" ", "-")


@lru_cache(maxsize=4096)
def _is_word(char: str) -> bool:
    kind = unicodedata.category(char)
    return kind[0] in "LM" or kind in ("Nd", "Pc")


def _shortened(text: str, length: int = EXCERPT_LENGTH) -> str:
    """Return at most `length` characters of `text`, cut between words."""
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"


def _sign(match: re.Match[str]) -> str:
    return _signs().get(match[0], match[0])


@lru_cache(maxsize=1)
def _signs() -> dict[str, str]:
    """Return GitHub's names of emoji; the table is read when a text has one."""
    from pymdownx import gemoji_db  # noqa: PLC0415 - large, and seldom needed

    codes = {name: entry.get("unicode", "") for name, entry in gemoji_db.emoji.items()}
    codes |= {alias: codes[name] for alias, name in gemoji_db.aliases.items()}
    return {
        name: "".join(chr(int(code, 16)) for code in signs.split("-"))
        for name, signs in codes.items()
        if signs
    }
