"""Python-Markdown with the extensions of this project, kept and used again.

Importing this costs more than rendering a README does; `markdown` imports it
when there is something to render.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import markdown

from builder.text import blocks, highlight

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


class Engine:
    """One `markdown.Markdown` with our extension, reset before each text."""

    def __init__(self, *, contents: bool) -> None:
        self._page = blocks.PageExtension()
        names = [*_EXTENSIONS, "toc"] if contents else _EXTENSIONS
        self._markdown = markdown.Markdown(
            extensions=[*names, self._page], extension_configs=_CONFIGS
        )
        blocks.freeze(self._markdown)

    def convert(self, text: str) -> str:
        """Return the HTML of `text`, not yet safe, and keep its title and excerpt."""
        self._markdown.reset()
        html = self._markdown.convert(text)
        if "<input" in html:
            for checkbox, mark in _CHECKBOXES.items():
                html = html.replace(checkbox, mark)
        return html

    @property
    def title(self) -> str:
        """The text of the first `h1` of the last text."""
        return self._page.title

    @property
    def excerpt(self) -> str:
        """The first paragraph of the last text, shortened."""
        return self._page.excerpt


@lru_cache(maxsize=2)
def _kept(*, contents: bool) -> Engine:
    """Return the engine for texts with or without a table of contents, which costs a tenth."""
    return Engine(contents=contents)


def engine_for(text: str) -> Engine:
    """Return the engine that `text` needs."""
    return _kept(contents=0 < text.count(_CONTENTS) <= _MAX_CONTENTS)


def discard() -> None:
    """Forget the engines, after one has stopped half-way and may remember it."""
    _kept.cache_clear()
