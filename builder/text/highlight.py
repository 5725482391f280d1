"""Coloured code: Pygments behind both engines.

Classes only, no inline style. One formatter is kept, since making one costs
more than colouring a short block does.
"""

from __future__ import annotations

from functools import lru_cache

from markupsafe import escape
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

TOKEN_CLASSES = frozenset(name for name in STANDARD_TYPES.values() if name)
MAX_COLOURED = 8 << 10  # characters; some lexers take the square of the time for long odd input

_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)


def block(source: str, language: str) -> str:
    """Return the HTML of a block of code; `language` is a word that Pygments may know."""
    label = f' class="language-{escape(language)}"' if language else ""
    return f'<div class="highlight"><pre><code{label}>{_body(source, language)}</code></pre></div>'


def _body(source: str, language: str) -> str:
    if len(source) <= MAX_COLOURED and (lexer := _lexer_class(language.lower())):
        # A lexer of its own for each block: some keep state between texts.
        return highlight(source, lexer(stripnl=False), _FORMATTER)
    return str(escape(source if source.endswith("\n") else f"{source}\n"))


@lru_cache(maxsize=128)
def _lexer_class(language: str) -> type[Lexer] | None:
    if language in {"", "text", "plain", "plaintext", "txt", "none"}:
        return None
    try:
        return type(get_lexer_by_name(language))
    except ClassNotFound:
        return None
