"""Markdown to safe HTML.

Text comes from strangers: `limits` refuses what would keep the parser busy,
`safehtml` decides what of the result may reach a page. A renderer is kept
and used again, since making one costs as much as a short README does; what
it returns depends on its arguments alone.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from builder.errors import ContentError
from builder.fingerprint import fingerprint
from builder.text.addresses import NO_ANCHORS, Addresses, Anchors, Answer

_TAKING_PART = (
    "addresses", "commonmark", "engine", "finish", "highlight", "limits", "links", "markdown",
    "safehtml",
)  # fmt: skip

GFM, PYTHON_MARKDOWN = "GFM", "Python-Markdown"
ENGINES = (GFM, PYTHON_MARKDOWN)

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_RAW_HTML = re.compile(r"<[A-Za-z]")

# What Python-Markdown, its extensions and lexers raise on text they were not written for.
_PARSER_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A README as HTML that is safe to put into a page.

    `title` is the text of the first `h1`, which is not in `html` when the
    text began with it; `excerpt` is the plain text of the first paragraph,
    at most 200 characters; `warnings` are lines and messages; `answers` are
    what was asked of the rest of the site, `anchors` where a link can lead.
    """

    html: str
    warnings: tuple[tuple[int, str], ...] = ()
    title: str = ""
    excerpt: str = ""
    answers: tuple[Answer, ...] = ()
    anchors: Anchors = NO_ANCHORS

    def to_text(self) -> str:
        """Return the JSON that the render cache keeps."""
        value = [self.html, self.warnings, self.title, self.excerpt, self.answers, self.anchors]
        return json.dumps(value, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Rendered:
        """Return what was kept; the inverse of `to_text`."""
        html, warnings, title, excerpt, answers, anchors = json.loads(text)
        told = tuple((line, message) for line, message in warnings)
        asked = tuple(Answer(*answer) for answer in answers)
        return cls(html, told, title, excerpt, asked, Anchors.of(anchors))


class MarkdownRenderer:
    """Renders one text after another.

    `engine` is one of `ENGINES`; `baseurl` goes before every address on the
    site; `addresses` say where links lead, which without them are taken as
    they are.
    """

    def __init__(self, engine: str, baseurl: str = "", addresses: Addresses | None = None) -> None:
        self._engine = engine
        self._baseurl = baseurl
        self._addresses = addresses

    def render(self, text: str, *, path: str, first_line: int, address: str = "/") -> Rendered:
        """Return `text` rendered for the page at `address` (`/vanessa/greeting/`).

        `path` and `first_line` say where the text begins (line 0: unknown).
        Raises ContentError when the text is larger or nested deeper than the
        limits.
        """
        # Heavy imports; a build that changes nothing renders nothing.
        from builder.text import engine, limits, safehtml  # noqa: PLC0415
        from builder.text.finish import finish  # noqa: PLC0415
        from builder.text.links import ID_PREFIX, Links  # noqa: PLC0415

        text = _CONTROLS.sub("", text)
        limits.check_source(text, path=path, first_line=first_line)
        warnings: list[tuple[int, str]] = []

        def line_of(address: str) -> int:
            found = text.find(address)
            return first_line + text.count("\n", 0, max(found, 0)) if first_line else 0

        def warn(address: str, message: str) -> None:
            warnings.append((line_of(address), message))

        convert = engine.gfm if self._engine == GFM else engine.python_markdown
        try:
            html = convert(text)
        except RecursionError:
            engine.discard()
            raise _refused(path, first_line, "is nested too deeply for Markdown") from None
        except _PARSER_FAULTS as error:
            engine.discard()
            what = f"cannot be read as Markdown ({type(error).__name__})"
            raise _refused(path, first_line, what) from error
        if _RAW_HTML.search(text):  # else what there is was made by the parser, and well
            html = safehtml.without_false_tags(html)
            limits.check_html(html, path=path, first_line=first_line)
        links = Links(self._baseurl, path, address, self._addresses, warn)
        done = finish(safehtml.clean(html, links))
        for fragment in links.fragments:
            if unquote(fragment).removeprefix(ID_PREFIX) not in done.ids:
                warn(f"#{fragment}", f"the link '#{fragment}' leads to no heading of this text")
        told, answers = dict.fromkeys(warnings), dict.fromkeys(links.answers)
        onward = tuple((line_of(raw), where, name) for raw, where, name in links.onward)
        anchors = Anchors(path, address, tuple(sorted(done.ids)), onward)
        return Rendered(done.html, tuple(told), done.title, done.excerpt, tuple(answers), anchors)


def _refused(path: str, line: int, message: str) -> ContentError:
    return ContentError.at(path, message, "write it more simply", line=line)


@lru_cache(maxsize=1)
def engine_key() -> str:
    """Return a text that changes when the same Markdown may render differently.

    That is with the code of the modules that take part and with the versions
    of what they use; it is found without importing either.
    """
    from importlib.metadata import version  # noqa: PLC0415 - 30 ms, where no text is new

    folder = Path(__file__).parent
    sources = [(folder / f"{name}.py").read_bytes() for name in _TAKING_PART]
    versions = [
        version(name) for name in ("comrak", "Markdown", "nh3", "Pygments", "pymdown-extensions")
    ]
    return fingerprint(sources, versions, sys.version_info[:3])
