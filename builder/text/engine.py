"""The two engines, by Jekyll's own key `markdown`: text in, HTML that is not yet safe out.

`GFM` is comrak, which speaks GitHub's dialect; `Python-Markdown` is that, with
the extensions that bring it near. Importing either costs more than rendering
a README does, so each is imported when there is something for it to render.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from builder.text.finish import slug

if TYPE_CHECKING:
    from markdown.treeprocessors import InlineProcessor

Convert = Callable[[str], str]

_CHECKBOX = re.compile(r'<input type="checkbox"([^<>]*)/>')
_TO_DO = '<span role="img" aria-label="to do">☐</span>'
_DONE = '<span role="img" aria-label="done">☑</span>'
_CONTENTS, _MAX_CONTENTS = "[TOC]", 2


def gfm(text: str) -> str:
    """Return the HTML of `text` by comrak."""
    return _checked(_gfm()(text))


def python_markdown(text: str) -> str:
    """Return the HTML of `text` by Python-Markdown."""
    return _checked(_python_markdown(contents=0 < text.count(_CONTENTS) <= _MAX_CONTENTS)(text))


def _checked(html: str) -> str:
    """Return `html` with signs for the boxes of task lists, which nh3 would drop."""
    if "<input" not in html:
        return html
    return _CHECKBOX.sub(lambda found: _DONE if "checked" in found[1] else _TO_DO, html)


def discard() -> None:
    """Forget the engines, after one has stopped half-way and may remember it."""
    _python_markdown.cache_clear()


@lru_cache(maxsize=1)
def _gfm() -> Convert:
    import comrak  # noqa: PLC0415

    extensions = comrak.ExtensionOptions()
    for name in ("table", "autolink", "strikethrough", "tasklist", "footnotes"):
        setattr(extensions, name, True)
    rendering = comrak.RenderOptions()
    rendering.tasklist_classes = True
    rendering.unsafe_ = True  # nh3 comes behind
    return lambda text: comrak.render_markdown(
        text, extension_options=extensions, render_options=rendering
    )


@lru_cache(maxsize=2)
def _python_markdown(*, contents: bool) -> Convert:
    """Return Python-Markdown with or without a table of contents, which costs a tenth."""
    from markdown import Markdown  # noqa: PLC0415
    from markdown.extensions.toc import TocExtension  # noqa: PLC0415

    from builder.text.commonmark import CommonMarkExtension  # noqa: PLC0415

    engine = Markdown(
        extensions=[
            "admonition", "attr_list", "footnotes", "sane_lists", "tables", "pymdownx.magiclink",
            "pymdownx.tasklist", "pymdownx.tilde", CommonMarkExtension(),
            *([TocExtension(slugify=lambda text, _: slug(text))] if contents else []),
        ],
        extension_configs={
            "tables": {"use_align_attribute": True},
            "pymdownx.tilde": {"subscript": False},
        },
    )  # fmt: skip

    inline = cast("InlineProcessor", engine.treeprocessors["inline"])
    inline.inlinePatterns = cast("Any", [*engine.inlinePatterns])  # no longer looked up by name

    def made(text: str) -> str:
        engine.reset()
        return engine.convert(text)

    return made
