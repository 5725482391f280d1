"""Markdown to safe HTML.

Text comes from strangers: `limits` refuses what would keep the parser busy,
`safehtml` decides what of the result may reach a page. A renderer is kept
and used again, since making one costs as much as a short README does; what
it returns depends on its arguments alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import markdown

from builder.errors import ContentError
from builder.output import fingerprint
from builder.site import blocks, highlight, limits, nesting, safehtml
from builder.site.links import Links

_REVISION = 1  # to be raised when this package renders the same text differently

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_EXTENSIONS = (
    "admonition", "attr_list", "sane_lists", "tables", "pymdownx.superfences",
    "pymdownx.tasklist", "pymdownx.tilde",
)  # fmt: skip
_CONFIGS: dict[str, dict[str, Any]] = {
    "tables": {"use_align_attribute": True},
    "pymdownx.superfences": {
        "custom_fences": [
            {
                "name": "*",
                "class": "highlight",
                "format": highlight.fence,
                "validator": highlight.accept,
            }
        ],
        "relaxed_headers": True,
    },
    "pymdownx.tilde": {"subscript": False},
}
_CONTENTS, _MAX_CONTENTS = "[TOC]", 2
_CHECKBOXES = {
    '<input type="checkbox" disabled checked/>': '<span role="img" aria-label="done">☑</span>',
    '<input type="checkbox" disabled/>': '<span role="img" aria-label="to do">☐</span>',
}

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
    at most 200 characters; `warnings` are lines and messages.
    """

    html: str
    warnings: tuple[tuple[int, str], ...] = ()
    title: str = ""
    excerpt: str = ""


class MarkdownRenderer:
    """Renders one text after another; `baseurl` goes before every address on the site."""

    def __init__(self, baseurl: str = "") -> None:
        self._baseurl = baseurl

    def render(
        self, text: str, *, path: str, first_line: int, base: str, files: Collection[str]
    ) -> Rendered:
        """Return `text` rendered for a page in the output folder `base` (`vanessa/greeting/`).

        `files` are the names published beside it; `path` and `first_line`
        say where the text begins (line 0: unknown). Raises ContentError when
        the text is larger or nested deeper than the limits.
        """
        limits.check_source(text, path=path, first_line=first_line)
        warnings: list[tuple[int, str]] = []

        def warn(address: str, message: str) -> None:
            found = text.find(address)
            line = text.count("\n", 0, found) if found >= 0 else 0
            warnings.append((first_line + line if first_line else 0, message))

        engine = _engine(contents=0 < text.count(_CONTENTS) <= _MAX_CONTENTS)
        try:
            html = engine.convert(text)
        except RecursionError:
            raise _refused(path, first_line, "is nested too deeply for Markdown") from None
        except _PARSER_FAULTS as error:
            what = f"cannot be read as Markdown ({type(error).__name__})"
            raise _refused(path, first_line, what) from error
        nesting.check_html(html, path=path, first_line=first_line)
        links = Links(self._baseurl, base, files, warn)
        return Rendered(
            safehtml.clean(html, links),
            tuple(dict.fromkeys(warnings)),
            engine.title,
            engine.excerpt,
        )


def _refused(path: str, line: int, message: str) -> ContentError:
    return ContentError.at(path, message, "write it more simply", line=line)


class _Engine:
    """One `markdown.Markdown` with our extension, reset before each text."""

    def __init__(self, *, contents: bool) -> None:
        self._page = blocks.PageExtension()
        names = [*_EXTENSIONS, "toc"] if contents else _EXTENSIONS
        self._markdown = markdown.Markdown(
            extensions=[*names, self._page], extension_configs=_CONFIGS
        )
        blocks.freeze(self._markdown)

    def convert(self, text: str) -> str:
        self._markdown.reset()
        html = self._markdown.convert(_CONTROLS.sub("", text))
        if "<input" in html:
            for checkbox, mark in _CHECKBOXES.items():
                html = html.replace(checkbox, mark)
        return html

    @property
    def title(self) -> str:
        return self._page.title

    @property
    def excerpt(self) -> str:
        return self._page.excerpt


@lru_cache(maxsize=2)
def _engine(*, contents: bool) -> _Engine:
    """Return the engine for texts with or without a table of contents, which costs a tenth."""
    return _Engine(contents=contents)


@lru_cache(maxsize=1)
def engine_key() -> str:
    """Return a text that changes when the same Markdown may render differently."""
    versions = [version(name) for name in ("Markdown", "nh3", "Pygments", "pymdown-extensions")]
    return fingerprint(
        _REVISION, versions, _EXTENSIONS, sorted(safehtml.TAGS), sorted(safehtml.CLASSES)
    )
